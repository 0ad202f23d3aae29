"""A SQLite file as every database here begins: private before SQLite sees it, in WAL, and losing nothing committed.

Needs nothing but the standard library, so that a room which cannot afford SQLAlchemy (some twelve megabytes) opens a
database in the same way as `store/database.py` does.
"""

import os
import sqlite3
import time
from pathlib import Path

from leafward.disk import PRIVATE, make_folder, sync_folder, told
from leafward.errors import Busy, Damaged, StoreError

PRAGMAS = ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON", "journal_size_limit = 16777216")
# A small file is looked over at each start, so that damage is met then and not in the middle of work.
LOOKED_OVER_SIZE = 8 * 1024 * 1024
RESTORE = "restore it from a copy, or move it away to begin anew"
_PAUSE = 0.02
_SHARED = 0o060


def make_private(path: Path) -> None:
    """The file with mode 0600 before SQLite sees it; its WAL and shared memory get the mode of the file.

    One that two users share is 0660, set by whoever shares it (`manager/hub_user.py`), and left so.
    """
    make_folder(path.parent)
    with told(f"cannot open the database {path}"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        try:
            if os.fstat(descriptor).st_mode & 0o077 not in {0, _SHARED}:
                os.fchmod(descriptor, PRIVATE)
        finally:
            os.close(descriptor)
        sync_folder(path.parent)


def make_wal(connection: sqlite3.Connection, *, patience: float) -> None:
    """Sets the journal mode, within `patience` seconds. Raises `sqlite3.OperationalError`.

    Changing it needs the file for itself and does not wait; once changed, it is kept in the file.
    """
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    last = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(_PAUSE)
        else:
            return


def sqlite_error(cause: BaseException | None, where: str) -> StoreError:
    """What SQLite raised as an error of ours that names the database; never with the values of a statement."""
    why = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    code = getattr(cause, "sqlite_errorcode", None) or 0
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Busy(f"the database {where} is in use", why=why, hint="try again when the other process is done")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return Damaged(f"the database {where} is damaged", why=why, hint=RESTORE)
        case sqlite3.SQLITE_FULL:
            return StoreError(f"cannot write the database {where}", why=why, hint="free some space on that disk")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            hint = "run as the user that owns it, or correct its permissions and those of its folder"
            return StoreError(f"cannot open or write the database {where}", why=why, hint=hint)
        case sqlite3.SQLITE_IOERR:
            hint = "free some space on that disk, and look for disk errors in the system's log"
            return StoreError(f"cannot read or write the database {where}", why=why, hint=hint)
        case _:
            return StoreError(f"the database {where} refused", why=why)
