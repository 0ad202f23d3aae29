"""The issuance log of one maker: append in the caller's transaction, sign checkpoints, prove.

append        an entry is as durable as the transaction it came with
checkpoint    the tree is signed as it is now; never again another one of that size
proof         shows anybody that an entry is in what was signed
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from leafward import disk
from leafward.errors import AccessDenied, Damaged, InputError, NotFound
from leafward.store.database import told_of
from leafward.store.issuance_log import rows
from leafward.store.issuance_log.checkpoint import Checkpoint
from leafward.store.issuance_log.checkpoint_file import CheckpointFile
from leafward.store.issuance_log.note import Note, NoteSigner, VerifierKey, sign_note
from leafward.store.issuance_log.proof import InclusionProof
from leafward.store.issuance_log.restored import RestoreGuard, extends
from leafward.store.issuance_log.rows import DatabaseTiles, Head
from leafward.store.issuance_log.tiles import MAX_ENTRY_SIZE, TILE_HEIGHT, TILE_WIDTH, TileNodes
from leafward.store.issuance_log.tree import HASH_SIZE, Frontier, inclusion_proof, leaf_hash, verifies_inclusion

# The key that signs. Given the log's key where it has one (then no other will do), None for a log not signed yet.
SignerSource = Callable[[VerifierKey | None], NoteSigner]


@dataclass(frozen=True, slots=True)
class LogState:
    """How far the log is. `key` and `signed` (the last checkpoint) are None before it was signed first."""

    size: int
    root: bytes
    key: VerifierKey | None
    signed: Checkpoint | None
    note: str | None


class IssuanceLog:
    """The log in one database, with its checkpoint file in `folder`. Thread-safe; any number of processes use it.

    Promises: positions have no gaps and grow in the order of commits; what is appended is never changed; no checkpoint
    is signed that does not extend the last one. Every method raises `StoreError` when the database refuses, and
    `Damaged` when it is not the one that was signed.
    """

    def __init__(self, engine: sa.Engine, folder: Path, signer: SignerSource | None = None) -> None:
        self.engine = engine
        self.folder = folder
        self.file = CheckpointFile(folder)
        self._signer = signer
        self._guard = RestoreGuard(self.file)
        self._adopted: NoteSigner | None = None

    def append(self, connection: sa.Connection, entries: Sequence[bytes]) -> list[int]:
        """Adds entries inside the caller's transaction; their positions. Others wait until that ends.

        Costs two hashes an entry. Raises `Damaged` for a database that was restored from an old copy: nothing may be
        issued then. Raises `InputError` for an entry that is empty or larger than 65,535 bytes.
        """
        if not entries:
            return []
        if any(not 0 < len(entry) <= MAX_ENTRY_SIZE for entry in entries):
            raise InputError("a log entry has the wrong size", why=f"expected 1 to {MAX_ENTRY_SIZE} bytes")
        head = rows.lock_head(connection)
        self._guard.check(connection, head)
        frontier = Frontier.from_bytes(head.size, head.frontier)
        leaves = [leaf_hash(entry) for entry in entries]
        complete = frontier.extend(leaves)
        rows.insert_entries(connection, head.size, entries, leaves)
        _add_tiles(connection, head.size, leaves, complete)
        rows.write_head(connection, frontier.size, frontier.to_bytes())
        return list(range(head.size, frontier.size))

    def state(self) -> LogState:
        """How far it is, as last committed."""
        with rows.snapshot(self.engine) as connection:
            head = rows.read_head(connection)
            last = rows.last_checkpoint(connection)
        key = VerifierKey.parse(head.verifier_key) if head.verifier_key else None
        root = Frontier.from_bytes(head.size, head.frontier).root()
        signed = _signed(key, last) if last else None
        return LogState(head.size, root, key, signed, last[1] if last else None)

    def check_not_restored(self) -> None:
        """Raises `Damaged` when the database is older than what was signed, or went on from an older copy."""
        with rows.snapshot(self.engine) as connection:
            self._guard.check(connection)

    def checkpoint(self) -> str:
        """Signs the log as it is now, where that was not done; the signed note, which is durable when this returns.

        The key is made with the first one. Raises `NotFound` for a log without entries, `AccessDenied` where the key
        is not this log's, `Damaged` when the log does not extend what was signed before.
        """
        while True:
            signer = self._adopted_signer()
            with told_of(self.engine), self.engine.begin() as connection:
                head = rows.lock_head(connection)
                self._guard.check(connection, head)
                if head.verifier_key == str(signer.verifier):
                    return self._signed_now(connection, head, signer)
            # The log began anew under another key meanwhile.
            self._adopted = None

    def proof(self, position: int) -> InclusionProof:
        """See `proofs`."""
        (found,) = self.proofs([position])
        return found

    def proofs(self, positions: Iterable[int]) -> Iterator[InclusionProof]:
        """Proofs that these entries are in the last checkpoint; one is signed where it does not reach so far.

        Each is verified before it is given out. Raises `NotFound` for a position beyond the end.
        """
        wanted = list(positions)
        state = self._signed_state(max(wanted, default=0))
        assert state.key is not None
        assert state.signed is not None
        assert state.note is not None
        with rows.snapshot(self.engine) as connection:
            nodes = TileNodes(DatabaseTiles(connection), state.signed.size)
            for position in wanted:
                entry = _entry(connection, position)
                hashes = tuple(inclusion_proof(position, state.signed.size, nodes))
                if not verifies_inclusion(leaf_hash(entry), position, state.signed.size, hashes, state.signed.root):
                    why = "the log in the database is not what was signed"
                    raise Damaged(f"cannot prove entry {position}", why=why, hint="leafward ca log verify")
                yield InclusionProof(position, entry, hashes, state.note)

    def entries(self, start: int, end: int) -> list[bytes]:
        """The entries from `start` up to `end`, without end."""
        with rows.snapshot(self.engine) as connection:
            return [entry for _, entry, _ in rows.entries_between(connection, start, end)]

    def find(self, sha256: str) -> int | None:
        """The position of what has this SHA-256 (lower-case hex); None where nothing has. Reads the whole log."""
        with rows.snapshot(self.engine) as connection:
            return rows.find_line(connection, sha256)

    def find_kind(self, kind: str) -> dict[int, bytes]:
        """Position -> entry of all of one kind, first to last. Reads the whole log."""
        with rows.snapshot(self.engine) as connection:
            return dict(rows.find_lines(connection, kind))

    def restart(self) -> Path:
        """Ends this log and begins another with the same entries, under a new key and name: for a loss beyond repair.

        The folder with the old key and checkpoint is moved aside, as evidence; where it is now. Whoever trusted the old
        key has to be told the new one.
        """
        with rows.snapshot(self.engine) as connection:
            key = rows.read_head(connection).verifier_key
        aside = _free_name(self.folder, VerifierKey.parse(key).key_id.hex() if key else "old")
        if self.folder.exists():
            with disk.told(f"cannot move {self.folder} aside"):
                self.folder.rename(aside)
                disk.sync_folder(self.folder.parent)
        with told_of(self.engine), self.engine.begin() as connection:
            rows.lock_head(connection)
            rows.forget_checkpoints(connection)
            rows.write_key(connection, None)
        self._adopted = None
        return aside

    def _signed_state(self, position: int) -> LogState:
        state = self.state()
        if not 0 <= position < state.size:
            raise NotFound(f"no entry {position} in the log", why=f"it has {state.size}", hint="leafward ca log show")
        if state.signed is None or state.signed.size <= position:
            self.checkpoint()
            state = self.state()
        return state

    def _signed_now(self, connection: sa.Connection, head: Head, signer: NoteSigner) -> str:
        last = rows.last_checkpoint(connection)
        if last is not None and last[0] == head.size:
            note = last[1]
        else:
            self._refuse_fork(connection, head, last)
            root = Frontier.from_bytes(head.size, head.frontier).root()
            note = str(sign_note(str(Checkpoint(signer.verifier.name, head.size, root)), signer))
            rows.insert_checkpoint(connection, head.size, note)
        if self.file.read() != note.encode():
            # Before the commit: a kill between the two leaves a file of entries that are committed already.
            self.file.write(note)
            self._guard.written(head.size)
        return note

    def _adopted_signer(self) -> NoteSigner:
        """The key, kept as the log's own before it signs anything: whatever is signed can be verified ever after."""
        if self._adopted is None:
            if self._signer is None:
                raise AccessDenied("this log is open for reading", why="it has no key to sign with")
            with told_of(self.engine), self.engine.begin() as connection:
                head = rows.lock_head(connection)
                self._guard.check(connection, head)
                self._adopted = _adopt(connection, head, self._signer)
        return self._adopted

    def _refuse_fork(self, connection: sa.Connection, head: Head, last: tuple[int, str] | None) -> None:
        assert head.verifier_key is not None
        if last is None:
            return
        if not extends(connection, head, _signed(VerifierKey.parse(head.verifier_key), last)):
            raise Damaged(
                "the issuance log does not extend its last checkpoint",
                why=f"its first {last[0]} entries are others than those that were signed",
                hint="leafward ca log verify says which; restore the newest copy of the database",
            )


def _adopt(connection: sa.Connection, head: Head, source: SignerSource) -> NoteSigner:
    if head.size == 0:
        raise NotFound("the issuance log has no entries yet", hint='leafward ca init --cn "Example Root CA"')
    kept = VerifierKey.parse(head.verifier_key) if head.verifier_key else None
    signer = source(kept)
    if kept is None:
        rows.write_key(connection, str(signer.verifier))
    elif signer.verifier != kept:
        raise AccessDenied(
            "this is not the key of the issuance log",
            why=f"got {signer.verifier}, expected {kept}",
            hint="use the key of the station that signed first; another one would fork the log",
        )
    return signer


def _add_tiles(
    connection: sa.Connection, first: int, leaves: Sequence[bytes], complete: Sequence[tuple[int, int, bytes]]
) -> None:
    """The tiles that became full by `leaves`, which stand at `first` and after; `complete` are their roots."""
    for level in range(max((height for height, _, _ in complete), default=0) // TILE_HEIGHT):
        full = [(index, root) for height, index, root in complete if height == (level + 1) * TILE_HEIGHT]
        if level == 0:
            hashes = [_leaves_of_tile(connection, index * TILE_WIDTH, first, leaves) for index, _ in full]
        else:
            hashes = [
                rows.tile_roots(connection, level - 1, index * TILE_WIDTH, (index + 1) * TILE_WIDTH)
                for index, _ in full
            ]
        if any(len(found) != TILE_WIDTH * HASH_SIZE for found in hashes):
            what = "the issuance log in the database is damaged"
            raise Damaged(what, why=f"hashes of level {level} are missing", hint="leafward ca log verify")
        made = [(level, index, found, root) for (index, root), found in zip(full, hashes, strict=True)]
        rows.insert_tiles(connection, made)


def _leaves_of_tile(connection: sa.Connection, start: int, first: int, leaves: Sequence[bytes]) -> bytes:
    """The 256 leaf hashes from `start` on: those before `first` are in the database already."""
    before = rows.leaf_hashes(connection, start, first) if start < first else b""
    return before + b"".join(leaves[max(0, start - first) : start + TILE_WIDTH - first])


def _free_name(folder: Path, ending: str) -> Path:
    """`folder` with an ending, and a number where that is taken."""
    names = (folder.with_name(f"{folder.name}.{ending}{number}") for number in ("", *(f".{n}" for n in range(1, 1000))))
    return next(path for path in names if not path.exists())


def _entry(connection: sa.Connection, position: int) -> bytes:
    found = rows.entries_between(connection, position, position + 1)
    if not found:
        raise Damaged(f"entry {position} of the log is gone", hint="leafward ca log verify")
    return found[0][1]


def _signed(key: VerifierKey | None, last: tuple[int, str]) -> Checkpoint:
    """The checkpoint of a row. Raises `Damaged` when `key` did not sign it, or it stands under another size."""
    try:
        if key is None:
            raise InputError("the database has no key of the log")
        found = Checkpoint.from_note(Note.parse(last[1].encode()), key)
        if found.size != last[0]:
            raise InputError(f"it is of {found.size} entries, and stands under {last[0]}")
    except InputError as error:
        what = "a checkpoint in the database is damaged"
        raise Damaged(what, why=str(error), hint="leafward ca log verify") from error
    return found
