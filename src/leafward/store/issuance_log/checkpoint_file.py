"""The last signed checkpoint as a file beside the database: what an old copy of the database cannot bring back with it.

It is replaced before the transaction of its checkpoint commits. So whoever finds the database behind the file knows
that the database is not the one that was signed.
"""

import os
from pathlib import Path

from leafward import disk
from leafward.errors import Damaged, NotFound
from leafward.store.issuance_log.note import MAX_NOTE_SIZE

NAME = "checkpoint"

# Which file stood there: its number, size and time.
Stamp = tuple[int, int, int]


class CheckpointFile:
    """`folder/checkpoint`. Any number of processes read it; one writes at a time (whoever holds the log's head)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self._path = str(self.path)

    def stamp(self) -> Stamp | None:
        """Changes whenever the file does; None where there is none."""
        try:
            status = os.stat(self._path)  # noqa: PTH116 - asked for with each transaction
        except FileNotFoundError:
            return None
        except OSError:
            # `read` says what is wrong with it.
            return (0, 0, 0)
        return status.st_ino, status.st_size, status.st_mtime_ns

    def read(self) -> bytes | None:
        """The note; None where there is none. Raises `StoreError` when it cannot be read."""
        try:
            return disk.read_file(self.path, limit=MAX_NOTE_SIZE)
        except NotFound:
            return None
        except Damaged as error:
            raise Damaged(error.what, why=error.why, hint="put back the checkpoint that the log signed last") from error

    def write(self, note: str) -> None:
        """Replaces it, durably. Everybody may read a checkpoint; the folder around it decides who does."""
        disk.make_folder(self.path.parent)
        disk.write_file(self.path, note.encode(), mode=disk.PUBLIC)
