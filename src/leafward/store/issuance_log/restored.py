"""Tells a database that went back in time from the present one: by the checkpoint that was signed over it.

A copy of the database that is put back has fewer entries than were signed, or, once it went on from there, others. To
go on with it would sign two histories (tlog-checkpoint forbids it) and lose what was issued since.
"""

import sqlalchemy as sa

from leafward.errors import Damaged, InputError
from leafward.store.issuance_log import rows
from leafward.store.issuance_log.checkpoint import Checkpoint
from leafward.store.issuance_log.checkpoint_file import CheckpointFile, Stamp
from leafward.store.issuance_log.note import Note, VerifierKey
from leafward.store.issuance_log.rows import DatabaseTiles, Head
from leafward.store.issuance_log.tiles import TileNodes
from leafward.store.issuance_log.tree import Frontier, consistency_proof, verifies_consistency

_RESTORE = "restore the newest copy of the database; where none is left: leafward ca log restart (docs/log.md)"


class RestoreGuard:
    """Compares the database with the checkpoint file. What was found good is not looked at again until one changes."""

    def __init__(self, file: CheckpointFile) -> None:
        self._file = file
        self._good: tuple[Stamp | None, int] | None = None

    def check(self, connection: sa.Connection, head: Head | None = None) -> None:
        """Raises `Damaged` when the database is not the one that was signed last, and says what to do.

        `head` is what the caller has locked. Without it the head is read after the file: then it cannot be behind a
        file that another process is just replacing.
        """
        stamp = self._file.stamp()
        data = None if self._good is not None and self._good[0] == stamp else self._file.read()
        head = head or rows.read_head(connection)
        if self._good is not None and self._good[0] == stamp and head.size >= self._good[1]:
            return
        data = data if data is not None else self._file.read()
        size = self._without_file(connection) if data is None else self._against(connection, head, data)
        self._good = (stamp, size)

    def written(self, size: int) -> None:
        """Notes that the file was just replaced by the checkpoint of `size` entries of this very database."""
        self._good = (self._file.stamp(), size)

    def _without_file(self, connection: sa.Connection) -> int:
        # Of several stations on one server, not all have signed: their folders have no file, and need none.
        last = rows.last_checkpoint(connection)
        if last is not None and connection.dialect.name == "sqlite" and self._file.stamp() is None:
            raise Damaged(
                f"the checkpoint of the issuance log is gone: {self._file.path}",
                why=f"{last[0]} entries were signed, and nothing shows that the database is not an old copy",
                hint="put the file back (`ca log export` wrote it too); where it is lost: leafward ca log restart",
            )
        return 0

    def _against(self, connection: sa.Connection, head: Head, data: bytes) -> int:
        path = self._file.path
        if head.verifier_key is None:
            raise Damaged(
                "the maker's database is older than its issuance log",
                why=f"it was never signed, and {path} was",
                hint=_RESTORE,
            )
        try:
            checkpoint = Checkpoint.from_note(Note.parse(data), VerifierKey.parse(head.verifier_key))
        except InputError as error:
            hint = "put back the checkpoint that the log signed last (`ca log export` wrote it too)"
            raise Damaged(f"{path} is no checkpoint of this log", why=str(error), hint=hint) from error
        if checkpoint.size > head.size:
            raise Damaged(
                "the maker's database is older than its issuance log",
                why=f"it has {head.size} entries, and {checkpoint.size} were signed ({path})",
                hint=_RESTORE,
            )
        if not extends(connection, head, checkpoint):
            raise Damaged(
                "the maker's database is not the one that was signed",
                why=f"its first {checkpoint.size} entries are others than those of {path}",
                hint=f"leafward ca log verify says which; then {_RESTORE}",
            )
        return checkpoint.size


def extends(connection: sa.Connection, head: Head, checkpoint: Checkpoint) -> bool:
    """Whether the log of `head` begins with that of `checkpoint`: the consistency proof between them holds."""
    if not 0 < checkpoint.size <= head.size:
        return False
    nodes = TileNodes(DatabaseTiles(connection), head.size)
    root = Frontier.from_bytes(head.size, head.frontier).root()
    proof = consistency_proof(checkpoint.size, head.size, nodes)
    return verifies_consistency(checkpoint.size, head.size, checkpoint.root, root, proof)
