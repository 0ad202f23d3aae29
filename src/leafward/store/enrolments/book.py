"""The enrolments in the provisioning database: individual ones, which may be a million, and groups, which are few."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leafward.errors import AlreadyExists, NotFound
from leafward.store.database import lock_for_writing, reader, told_of
from leafward.store.enrolments import schema
from leafward.store.enrolments.rows import enrolment_of, row_of
from leafward.store.enrolments.values import CaReferences, Enrolment, Stale
from leafward.store.single_reads import SingleReads

_table = schema.enrolments
_columns = _table.c
_GET = sa.select(_table).where(_columns.folded == sa.bindparam("folded"), _columns.grouped == sa.bindparam("grouped"))

_NAMES = tuple(column.name for column in _columns)
_REVISION = sa.select(schema.revision.c.number)


class EnrolmentBook:
    """The table of enrolments. Thread-safe; any number of processes may use one database.

    Ids are compared without case. Each change is one transaction, durable when the method returns; a change that is
    refused changes nothing. Every method raises `StoreError` when the database refuses.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reads = SingleReads(engine)

    def add(self, enrolment: Enrolment) -> None:
        """Keeps a new one. Raises `AlreadyExists` for an id in use, `NotFound` for a CA that is not registered."""
        with told_of(self._engine):
            try:
                with self._engine.begin() as connection:
                    lock_for_writing(connection)
                    _require_cas(connection, enrolment)
                    connection.execute(sa.insert(_table).values(**row_of(enrolment)))
                    _count_change(connection, enrolment.group)
            except IntegrityError as error:
                hint = "leafward enrolment update, or another id"
                raise AlreadyExists(f"{enrolment.label} exists", hint=hint) from error

    def find(self, enrolment_id: str, *, group: bool) -> Enrolment | None:
        """The enrolment of this id, or None."""
        with told_of(self._engine):
            row = self._reads.one(_GET, {"folded": enrolment_id.lower(), "grouped": group})
        return None if row is None else enrolment_of(dict(zip(_NAMES, row, strict=True)))

    def get(self, enrolment_id: str, *, group: bool) -> Enrolment:
        """The enrolment of this id. Raises `NotFound`."""
        found = self.find(enrolment_id, group=group)
        if found is None:
            raise _unknown(enrolment_id, group=group)
        return found

    def page(self, *, group: bool, after: str = "", limit: int = 100) -> list[Enrolment]:
        """Up to `limit` of them by id, those behind the id `after`."""
        statement = (
            sa.select(_table)
            .where(_columns.grouped == group, _columns.folded > after.lower())
            .order_by(_columns.folded)
            .limit(limit)
        )
        with told_of(self._engine), reader(self._engine) as connection:
            return [enrolment_of(dict(row)) for row in connection.execute(statement).mappings()]

    def all(self, *, group: bool) -> Iterator[Enrolment]:
        """Every one by id, read in pages."""
        after = ""
        while page := self.page(group=group, after=after, limit=1000):
            yield from page
            after = page[-1].id

    def replace(self, enrolment: Enrolment, *, etag: str | None) -> None:
        """Puts `enrolment` in the place of the one of its id.

        Raises `NotFound`, and `Stale` where that one has another ETag than `etag` (None for any).
        """
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            _check_etag(connection, enrolment.id, enrolment.group, etag)
            _require_cas(connection, enrolment)
            values = row_of(enrolment)
            connection.execute(sa.update(_table).where(*_exactly(enrolment.id, enrolment.group)).values(**values))
            _count_change(connection, enrolment.group)

    def set_enabled(self, enrolment_id: str, *, group: bool, enabled: bool, etag: str, now: datetime) -> Enrolment:
        """Admits devices, or none any more; `etag` is the new one. Raises `NotFound`."""
        found = self.get(enrolment_id, group=group)
        changed = replace(found, enabled=enabled, etag=etag, updated=now)
        self.replace(changed, etag=found.etag)
        return changed

    def remove(self, enrolment_id: str, *, group: bool, etag: str | None = None) -> None:
        """Forgets one. What it admitted stays registered. Raises `NotFound`, `Stale`."""
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            _check_etag(connection, enrolment_id, group, etag)
            connection.execute(sa.delete(_table).where(*_exactly(enrolment_id, group)))
            _count_change(connection, group)

    def count(self) -> tuple[int, int]:
        """How many individual enrolments, and how many groups."""
        statement = sa.select(sa.func.count().filter(_columns.grouped), sa.func.count()).select_from(_table)
        with told_of(self._engine), reader(self._engine) as connection:
            groups, every = connection.execute(statement).one()
        return int(every - groups), int(groups)

    def revision(self) -> int:
        """A number that is another after each change of a group or a CA."""
        with told_of(self._engine):
            row = self._reads.one(_REVISION, {})
        return 0 if row is None else int(row[0])


def _exactly(enrolment_id: str, group: bool) -> tuple[sa.ColumnElement[bool], ...]:
    return _columns.folded == enrolment_id.lower(), _columns.grouped == group


def _check_etag(connection: sa.Connection, enrolment_id: str, group: bool, etag: str | None) -> None:
    found = connection.execute(sa.select(_columns.etag).where(*_exactly(enrolment_id, group))).scalar()
    if found is None:
        raise _unknown(enrolment_id, group=group)
    if etag not in (None, found):
        why = f"its etag is {found!r}, got {str(etag)[:64]!r}"
        raise Stale(f"{enrolment_id!r} was changed meanwhile", why=why, hint="read it again, then change that")


def _require_cas(connection: sa.Connection, enrolment: Enrolment) -> None:
    if not isinstance(enrolment.attestation, CaReferences):
        return
    for name in enrolment.attestation.all:
        statement = sa.select(schema.cas.c.name).where(schema.cas.c.folded == name.lower())
        if connection.execute(statement).scalar() is None:
            raise NotFound(f"no CA {name!r} is registered", hint="leafward provisioning ca list")


def _count_change(connection: sa.Connection, group: bool) -> None:
    if group:
        count_change(connection)


def count_change(connection: sa.Connection) -> None:
    """Inside a transaction that changes a group or a CA: whoever keeps them in memory has to read them again."""
    table: Any = schema.revision
    if not connection.execute(sa.update(table).values(number=table.c.number + 1)).rowcount:
        connection.execute(sa.insert(table).values(one=1, number=1))


def _unknown(enrolment_id: str, *, group: bool) -> NotFound:
    what = f"no group {enrolment_id[:128]!r}" if group else f"no enrolment {enrolment_id[:128]!r}"
    return NotFound(what, hint="leafward enrolment list" + (" --group" if group else ""))
