"""The identities that may connect: leaf devices, and the modules of the edge.

Ids are compared exactly, as IoT Hub keeps them; but two ids that differ in case only are refused, because the audience
of a SAS token is compared without case: one's token would open the other's door.
"""

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from leafward.errors import AlreadyExists
from leafward.pki.names import parse_device_id, parse_module_id
from leafward.store import postgresql
from leafward.store.database import open_database, reader, told_of
from leafward.store.identity import AuthType, Identity
from leafward.store.identity_rows import FIELDS, identity_of, refuse_taken, row_of, unknown
from leafward.store.migrations import Migration
from leafward.store.single_reads import SingleReads

__all__ = ["AuthType", "Identity", "Registry", "metadata"]

metadata = sa.MetaData()
_identities = sa.Table(
    "identities",
    metadata,
    sa.Column("device_id", sa.Text, primary_key=True),
    sa.Column("module_id", sa.Text, primary_key=True),  # '' for the device itself: NULL is no part of a key
    sa.Column("device_folded", sa.Text, nullable=False),
    sa.Column("module_folded", sa.Text, nullable=False),
    sa.Column("auth", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("generation_id", sa.Text, nullable=False),
    sa.Column("primary_key", sa.LargeBinary),
    sa.Column("secondary_key", sa.LargeBinary),
    sa.Column("primary_thumbprint", sa.Text),
    sa.Column("secondary_thumbprint", sa.Text),
    sa.Column("created", sa.BigInteger, nullable=False),  # microseconds since 1970, UTC
    sa.Column("parent", sa.Text),  # since version 2: the gateway below this one that a device is behind
    sa.UniqueConstraint("device_folded", "module_folded"),
    sqlite_with_rowid=False,
)
_columns = _identities.c
_SELECT = sa.select(*(_columns[name] for name in FIELDS))
# Built once: SQLAlchemy compiles it once, and the driver keeps it prepared.
_GET = _SELECT.where(_columns.device_id == sa.bindparam("device"), _columns.module_id == sa.bindparam("module"))


def _add_parent(connection: sa.Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE identities ADD COLUMN parent TEXT")


# As `store/registry_file.py` has them for SQLite alone.
MIGRATIONS = (Migration(2, "devices behind a child gateway", _add_parent),)


class Registry:
    """The table of identities in one database.

    Promises: each change is one transaction, durable when the method returns, seen by the next call in any process;
    a change that is refused changes nothing. `get` takes some 30 microseconds and never waits for a writer. Any number
    of threads and processes may use one database; a thread waits for another's `get` only while that reads.

    Every method raises `StoreError` (`Busy`, `Damaged`) when the database refuses. Watch for changes made by others
    with `ChangeWatch(registry.engine)`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._guard = threading.Lock()
        self._server = SingleReads(engine) if engine.dialect.name == postgresql.NAME else None
        with told_of(engine):
            self._reader = reader(engine)

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Opens the registry in a SQLite file, made when it is missing, or at a database URL. See `open_database`."""
        return cls(open_database(url_or_path, metadata, name="registry", migrations=MIGRATIONS))

    def add(self, identity: Identity) -> None:
        """Registers an identity.

        Raises `AlreadyExists` when its id is taken, exactly or but for case; `NameFormatError` for an id that is none.
        The device of a module need not be registered: the edge's own device never connects.
        """
        parse_device_id(identity.device_id)
        if identity.module_id is not None:
            parse_module_id(identity.module_id)
        with told_of(self.engine), self.engine.begin() as connection:
            self._refuse_taken(connection, identity)
            try:
                connection.execute(sa.insert(_identities), row_of(identity))
            except IntegrityError as error:  # another writer was faster, on a database that does not serialise them
                raise AlreadyExists(f"{identity.label} is registered") from error

    def get(self, device_id: str, module_id: str | None = None) -> Identity | None:
        """The identity of exactly this id, or None."""
        if self._server is not None:
            return self._get_from(self._server, device_id, module_id)
        try:
            with self._guard:
                found = self._reader.execute(_GET, {"device": device_id, "module": module_id or ""}).one_or_none()
        except DBAPIError:
            with told_of(self.engine):
                raise
        return None if found is None else identity_of(found)

    def _get_from(self, server: SingleReads, device_id: str, module_id: str | None) -> Identity | None:
        with told_of(self.engine):
            found = server.one(_GET, {"device": device_id, "module": module_id or ""})
        return None if found is None else identity_of(found)

    def devices(self) -> list[Identity]:
        """All devices, by id."""
        return self._select(_columns.module_id == "")

    def modules(self, device_id: str) -> list[Identity]:
        """The modules of exactly this device, by id; none when the device is unknown."""
        return self._select(_columns.device_id == device_id, _columns.module_id != "")

    def count(self) -> tuple[int, int]:
        """How many devices, and how many modules of all devices."""
        devices = sa.func.count().filter(_columns.module_id == "")
        with told_of(self.engine), reader(self.engine) as connection:
            found = connection.execute(sa.select(devices, sa.func.count()).select_from(_identities)).one()
        return int(found[0]), int(found[1] - found[0])

    def set_enabled(self, device_id: str, module_id: str | None, enabled: bool) -> None:
        """Lets an identity connect, or not any more. Raises `NotFound`."""
        change = sa.update(_identities).where(*_exactly(device_id, module_id)).values(enabled=enabled)
        with told_of(self.engine), self.engine.begin() as connection:
            if connection.execute(change).rowcount == 0:
                raise unknown(device_id, module_id)

    def set_parent(self, device_id: str, parent: str | None) -> None:
        """Puts a device behind a child gateway, or with None before this one. Raises `NotFound`, and what `Identity`
        raises for a parent that cannot be."""
        identity = self.get(device_id)
        if identity is None:
            raise unknown(device_id, None)
        replace(identity, parent=parent)
        change = sa.update(_identities).where(*_exactly(device_id, None)).values(parent=parent)
        with told_of(self.engine), self.engine.begin() as connection:
            if connection.execute(change).rowcount == 0:
                raise unknown(device_id, None)

    def remove(self, device_id: str, module_id: str | None = None) -> None:
        """Forgets an identity, a device with all its modules. Raises `NotFound`."""
        with told_of(self.engine), self.engine.begin() as connection:
            if connection.execute(sa.delete(_identities).where(*_exactly(device_id, module_id))).rowcount == 0:
                raise unknown(device_id, module_id)
            if module_id is None:
                connection.execute(sa.delete(_identities).where(_columns.device_id == device_id))

    def close(self) -> None:
        """Closes the database; the registry cannot be used any more. May be repeated."""
        with self._guard:
            self._reader.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _select(self, *conditions: sa.ColumnElement[bool]) -> list[Identity]:
        statement = _SELECT.where(*conditions).order_by(_columns.device_id, _columns.module_id)
        with told_of(self.engine), reader(self.engine) as connection:
            return [identity_of(row) for row in connection.execute(statement)]

    def _refuse_taken(self, connection: sa.Connection, identity: Identity) -> None:
        refuse_taken(
            identity,
            [
                (device_id, module_id)
                for device_id, module_id in connection.execute(
                    sa.select(_columns.device_id, _columns.module_id).where(
                        _columns.device_folded == identity.device_id.lower()
                    )
                )
            ],
        )


def _exactly(device_id: str, module_id: str | None) -> Iterable[sa.ColumnElement[bool]]:
    return _columns.device_id == device_id, _columns.module_id == (module_id or "")
