"""The twins of devices and modules, kept by the hub in a database of their own.

A twin belongs to one registration: the same name registered anew (another generation) begins with an empty one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from leafward.store.database import open_database, reader, told_of

metadata = sa.MetaData()
_twins = sa.Table(
    "twins",
    metadata,
    sa.Column("device_id", sa.Text, primary_key=True),
    sa.Column("module_id", sa.Text, primary_key=True),  # "" for the device itself
    sa.Column("generation_id", sa.Text, nullable=False),
    sa.Column("desired", sa.Text, nullable=False),  # JSON objects
    sa.Column("desired_version", sa.BigInteger, nullable=False),
    sa.Column("reported", sa.Text, nullable=False),
    sa.Column("reported_version", sa.BigInteger, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("etag", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class TwinKey:
    """Whose twin: one registration of a device (`module_id` None) or module."""

    device_id: str
    module_id: str | None
    generation_id: str


@dataclass(frozen=True, slots=True)
class TwinRecord:
    """A twin as it is kept. A new one is empty, in version 1."""

    desired: dict[str, Any] = field(default_factory=dict)
    desired_version: int = 1
    reported: dict[str, Any] = field(default_factory=dict)
    reported_version: int = 1
    tags: dict[str, Any] = field(default_factory=dict)
    etag: int = 1


class TwinStore:
    """Twins in one database. What `change` returned from is on the disk. Thread-safe.

    Every method raises `StoreError` (`Busy`, `Damaged`) when the database refuses; what it was to do is then not done.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Opens the store, and makes it when it is new. See `open_database`."""
        return cls(open_database(url_or_path, metadata, name="twins"))

    def get(self, key: TwinKey) -> TwinRecord:
        """The twin; an empty one where nothing was ever written to this registration's."""
        with told_of(self._engine), reader(self._engine) as connection:
            return self._read(connection, key)

    def change(self, key: TwinKey, how: Callable[[TwinRecord], TwinRecord]) -> TwinRecord:
        """Puts `how(the twin)` in its place, in one durable transaction; what it raises leaves everything as it was."""
        with told_of(self._engine), self._engine.begin() as connection:
            changed = how(self._read(connection, key))
            connection.execute(sa.delete(_twins).where(*_is(key)))
            connection.execute(sa.insert(_twins), [_row(key, changed)])
        return changed

    def remove(self, key: TwinKey) -> None:
        """Forgets the twin, of whatever registration of the name; without effect where there is none."""
        with told_of(self._engine), self._engine.begin() as connection:
            connection.execute(sa.delete(_twins).where(*_is(key)))

    def close(self) -> None:
        """Closes the database. May be repeated."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, connection: sa.Connection, key: TwinKey) -> TwinRecord:
        row = connection.execute(sa.select(_twins).where(*_is(key))).one_or_none()
        if row is None or row.generation_id != key.generation_id:
            return TwinRecord()
        return TwinRecord(
            json.loads(row.desired),
            row.desired_version,
            json.loads(row.reported),
            row.reported_version,
            json.loads(row.tags),
            row.etag,
        )


def _is(key: TwinKey) -> tuple[sa.ColumnElement[bool], ...]:
    return (_twins.c.device_id == key.device_id, _twins.c.module_id == (key.module_id or ""))


def _row(key: TwinKey, record: TwinRecord) -> dict[str, Any]:
    return {
        "device_id": key.device_id,
        "module_id": key.module_id or "",
        "generation_id": key.generation_id,
        "desired": json.dumps(record.desired),
        "desired_version": record.desired_version,
        "reported": json.dumps(record.reported),
        "reported_version": record.reported_version,
        "tags": json.dumps(record.tags),
        "etag": record.etag,
    }
