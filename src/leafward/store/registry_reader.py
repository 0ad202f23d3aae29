"""The registry as a hub reads it at each login: what was read before, as long as nobody has written since.

A thousand leaf devices come back after a power cut, and each login asks for an identity or two. SQLite says in a few
microseconds whether anybody has committed since the last look; only then it is read again. So an identity that was
disabled, removed or given another key counts as such from the next login on, as if nothing were kept.

For SQLite alone, and one thread, where `store/registry.py` serves any number of threads and any database.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from leafward.store.identity import Identity
from leafward.store.identity_rows import FIELDS, identity_of
from leafward.store.sqlite_file import sqlite_error

BUSY_SECONDS = 10.0
# Identities that are kept, about 1 KiB each; beyond it all are forgotten and read anew.
MOST_KEPT = 16_384
_GET = f"SELECT {', '.join(FIELDS)} FROM identities WHERE device_id = ? AND module_id = ?"  # noqa: S608 - our own names


class RegistryReader:
    """One connection, which never writes. Every method raises `StoreError` (`Busy`, `Damaged`) when it is refused."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._execute = connection.execute
        self._version = -1
        self._kept: dict[tuple[str, str | None], Identity] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens the registry of a file that `Registry` has made, or brought up to date, before. Raises `StoreError`."""
        try:
            connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode=rw",
                uri=True,
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.Error as error:
            raise sqlite_error(error, str(path)) from error
        try:
            connection.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            connection.close()
            raise sqlite_error(error, str(path)) from error
        return cls(path, connection)

    def get(self, device_id: str, module_id: str | None = None) -> Identity | None:
        """The identity of exactly this id, or None."""
        with self._told():
            version = self._execute("PRAGMA data_version").fetchone()[0]
            if version != self._version:
                self._kept.clear()
                self._version = version
            known = self._kept.get((device_id, module_id))
            if known is not None:
                return known
            # Read after the look: what has changed since is seen now, and is forgotten at the next look.
            row = self._execute(_GET, (device_id, module_id or "")).fetchone()
        if row is None:
            return None
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        found = self._kept[device_id, module_id] = identity_of(row)
        return found

    def close(self) -> None:
        """Closes the file. May be repeated."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise sqlite_error(error, str(self._path)) from error
