"""The registry of one SQLite file without SQLAlchemy: for the manager, which knows its own modules and little else.

The same file, tables and promises as `store/registry.py`, which the hub and the commands open beside it; a test holds
both to one contract. SQLAlchemy is a fifth of the memory that a manager may have, and its `get` costs five times as
much.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from leafward.errors import Damaged, StoreError
from leafward.pki.names import parse_device_id, parse_module_id
from leafward.store.identity import Identity
from leafward.store.identity_rows import FIELDS, identity_of, refuse_taken, row_of, unknown
from leafward.store.sqlite_file import LOOKED_OVER_SIZE, PRAGMAS, RESTORE, make_private, make_wal, sqlite_error

BUSY_SECONDS = 10.0
_NAME = "registry"
_VERSION = 2
_TABLES = (
    "CREATE TABLE schema_version (name TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (name))",
    """CREATE TABLE identities (
        device_id TEXT NOT NULL, module_id TEXT NOT NULL,
        device_folded TEXT NOT NULL, module_folded TEXT NOT NULL,
        auth TEXT NOT NULL, enabled BOOLEAN NOT NULL, generation_id TEXT NOT NULL,
        primary_key BLOB, secondary_key BLOB, primary_thumbprint TEXT, secondary_thumbprint TEXT,
        created BIGINT NOT NULL, parent TEXT,
        PRIMARY KEY (device_id, module_id), UNIQUE (device_folded, module_folded)
    ) WITHOUT ROWID""",
)
# From version 1 to 2, and so on: `MIGRATIONS` of `store/registry.py`.
_STEPS = ("ALTER TABLE identities ADD COLUMN parent TEXT",)
_SELECT = f"SELECT {', '.join(FIELDS)} FROM identities"  # noqa: S608 - names of our own
_GET = f"{_SELECT} WHERE device_id = ? AND module_id = ?"
_MODULES = f"{_SELECT} WHERE device_id = ? AND module_id != '' ORDER BY module_id"


class RegistryFile:
    """One connection, for one thread. Every method raises `StoreError` (`Busy`, `Damaged`) when it is refused."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens it, made when it is missing. Raises `Damaged`, `Busy`, and `StoreError` for a newer version."""
        make_private(path)
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
        registry = cls(path, connection)
        try:
            registry._prepare()
        except BaseException:
            connection.close()
            raise
        return registry

    def add(self, identity: Identity) -> None:
        """Registers an identity, durably.

        Raises `AlreadyExists` when its id is taken, exactly or but for case; `NameFormatError` for an id that is none.
        """
        parse_device_id(identity.device_id)
        if identity.module_id is not None:
            parse_module_id(identity.module_id)
        row = row_of(identity)
        with self._writing() as connection:
            same = "SELECT device_id, module_id FROM identities WHERE device_folded = ?"
            refuse_taken(identity, connection.execute(same, (row["device_folded"],)).fetchall())
            columns, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(
                f"INSERT INTO identities ({columns}) VALUES ({marks})",  # noqa: S608 - names of our own
                tuple(row.values()),
            )

    def get(self, device_id: str, module_id: str | None = None) -> Identity | None:
        """The identity of exactly this id, or None."""
        with self._told():
            row = self._connection.execute(_GET, (device_id, module_id or "")).fetchone()
        return None if row is None else identity_of(row)

    def modules(self, device_id: str) -> list[Identity]:
        """The modules of exactly this device, by id; none when the device is unknown."""
        with self._told():
            rows = self._connection.execute(_MODULES, (device_id,)).fetchall()
        return [identity_of(row) for row in rows]

    def remove(self, device_id: str, module_id: str) -> None:
        """Forgets a module. Raises `NotFound`."""
        with self._writing() as connection:
            found = connection.execute(
                "DELETE FROM identities WHERE device_id = ? AND module_id = ?", (device_id, module_id)
            )
            if found.rowcount == 0:
                raise unknown(device_id, module_id)

    def close(self) -> None:
        """Closes the file. May be repeated."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        with self._told():
            make_wal(self._connection, patience=BUSY_SECONDS)
            for pragma in PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")
            if self._path.stat().st_size <= LOOKED_OVER_SIZE:
                found = str(self._connection.execute("PRAGMA quick_check(1)").fetchone()[0])
                if found != "ok":
                    why = found.splitlines()[0]
                    raise Damaged(f"the database {self._path} is damaged", why=why, hint=RESTORE)
        if self._version() != _VERSION:
            self._make()

    def _make(self) -> None:
        """The tables, in one transaction; another process may have been faster."""
        with self._writing() as connection:
            found = self._version()
            if found == _VERSION:
                return
            if found is not None:
                for statement in _STEPS[found - 1 :]:
                    connection.execute(statement)
                connection.execute("UPDATE schema_version SET version = ? WHERE name = ?", (_VERSION, _NAME))
                return
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "identities" in tables:
                why = "it has the table 'identities' and no version"
                hint = "choose another database"
                raise Damaged(f"the database {self._path} was not made by leafward", why=why, hint=hint)
            for statement in _TABLES[1 if "schema_version" in tables else 0 :]:
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version (name, version) VALUES (?, ?)", (_NAME, _VERSION))

    def _version(self) -> int | None:
        """The version that is there, None for a new database. Raises `StoreError` for a newer one."""
        with self._told():
            there = self._connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").fetchone()
            if there is None:
                return None
            row = self._connection.execute("SELECT version FROM schema_version WHERE name = ?", (_NAME,)).fetchone()
        found: int | None = None if row is None else row[0]
        if found is not None and found > _VERSION:
            raise StoreError(
                f"the database {self._path} is of a newer leafward",
                why=f"got version {found}, expected {_VERSION} or less",
                hint="install the leafward that wrote it, or restore a copy from before",
            )
        return found

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which holds the database from its start; durable at the end of the block."""
        with self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise sqlite_error(error, str(self._path)) from error
