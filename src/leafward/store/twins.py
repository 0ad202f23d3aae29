"""The twins of devices and modules, kept by the hub in a database of their own.

A twin belongs to one registration: the same name registered anew (another generation) begins with an empty one.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from leafward.errors import Damaged
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
    sa.Column("desired_stamps", sa.Text, nullable=False),
    sa.Column("reported", sa.Text, nullable=False),
    sa.Column("reported_version", sa.BigInteger, nullable=False),
    sa.Column("reported_stamps", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("etag", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_columns = _twins.c
_NAMED = (_columns.device_id == sa.bindparam("device"), _columns.module_id == sa.bindparam("module"))
# Built once: SQLAlchemy compiles each once.
_GET = sa.select(_twins).where(*_NAMED)
_REMOVE = sa.delete(_twins).where(*_NAMED)
_FORGET = _REMOVE.where(_columns.generation_id == sa.bindparam("generation"))
_INSERT = sa.insert(_twins)
_KEYS = sa.select(_columns.device_id, _columns.module_id, _columns.generation_id)


@dataclass(frozen=True, slots=True)
class TwinKey:
    """Whose twin: one registration of a device (`module_id` None) or module."""

    device_id: str
    module_id: str | None
    generation_id: str

    @property
    def label(self) -> str:
        """`device` or `device/module`, as a client names itself."""
        return self.device_id if self.module_id is None else f"{self.device_id}/{self.module_id}"


@dataclass(frozen=True, slots=True)
class TwinRecord:
    """A twin as it is kept. A new one is empty, in version 1. Stamps say when each property was written."""

    desired: dict[str, Any] = field(default_factory=dict)
    desired_version: int = 1
    desired_stamps: dict[str, Any] = field(default_factory=dict)
    reported: dict[str, Any] = field(default_factory=dict)
    reported_version: int = 1
    reported_stamps: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    etag: int = 1
    version: int = 1


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
        with self.reading() as batch:
            return batch.get(key)

    def change(self, key: TwinKey, how: Callable[[TwinRecord], TwinRecord]) -> TwinRecord:
        """Puts `how(the twin)` in its place, in one durable transaction; what it raises leaves everything as it was."""
        with self.changing() as batch:
            changed = how(batch.get(key))
            batch.put(key, changed)
        return changed

    @contextlib.contextmanager
    def reading(self) -> Iterator["TwinBatch"]:
        """Many readings on one connection; nothing is locked."""
        with told_of(self._engine), reader(self._engine) as connection:
            yield TwinBatch(connection)

    @contextlib.contextmanager
    def changing(self) -> Iterator["TwinBatch"]:
        """Many readings and changes in one transaction: durable at its end, all of them or none."""
        with told_of(self._engine), self._engine.begin() as connection:
            yield TwinBatch(connection)

    def all_keys(self) -> list[TwinKey]:
        """Whose twins there are."""
        with told_of(self._engine), reader(self._engine) as connection:
            return [
                TwinKey(device, module or None, generation) for device, module, generation in connection.execute(_KEYS)
            ]

    def remove(self, keys: Iterable[TwinKey]) -> None:
        """Forgets the twins of these registrations; without effect for one that has none. Durable."""
        rows = [{**_named(key), "generation": key.generation_id} for key in keys]
        if rows:
            with told_of(self._engine), self._engine.begin() as connection:
                connection.execute(_FORGET, rows)

    def close(self) -> None:
        """Closes the database. May be repeated."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TwinBatch:
    """Readings and changes of twins within one connection or transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def get(self, key: TwinKey) -> TwinRecord:
        """The twin; an empty one where nothing was ever written. Raises `Damaged` for one that does not read back."""
        row = self._connection.execute(_GET, _named(key)).one_or_none()
        if row is None or row.generation_id != key.generation_id:
            return TwinRecord()
        try:
            return _record(row)
        except ValueError as error:
            raise Damaged(
                f"the twin of {key.label} does not read back", why=str(error), hint="remove the device and add it again"
            ) from error

    def put(self, key: TwinKey, record: TwinRecord) -> None:
        """Puts a twin in the place of any registration's of that name."""
        self._connection.execute(_REMOVE, _named(key))
        self._connection.execute(_INSERT, _row(key, record))


def _named(key: TwinKey) -> dict[str, str]:
    return {"device": key.device_id, "module": key.module_id or ""}


def _record(row: Any) -> TwinRecord:
    return TwinRecord(
        json.loads(row.desired),
        row.desired_version,
        json.loads(row.desired_stamps),
        json.loads(row.reported),
        row.reported_version,
        json.loads(row.reported_stamps),
        json.loads(row.tags),
        row.etag,
        row.version,
    )


def _row(key: TwinKey, record: TwinRecord) -> dict[str, Any]:
    return {
        "device_id": key.device_id,
        "module_id": key.module_id or "",
        "generation_id": key.generation_id,
        "desired": json.dumps(record.desired),
        "desired_version": record.desired_version,
        "desired_stamps": json.dumps(record.desired_stamps),
        "reported": json.dumps(record.reported),
        "reported_version": record.reported_version,
        "reported_stamps": json.dumps(record.reported_stamps),
        "tags": json.dumps(record.tags),
        "etag": record.etag,
        "version": record.version,
    }
