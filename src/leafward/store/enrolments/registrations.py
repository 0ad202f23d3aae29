"""Registrations: which device got which hub, with which credential, and how far that has come.

One row a registration id, which holds all that the device's hub has to know: a hub's own registry can be made from its
rows, and is (`provisioning/follower.py`). A row has one operation: the id of an earlier one is no operation any more.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from leafward.errors import NotFound
from leafward.store.database import lock_for_writing, reader, run, told_of
from leafward.store.enrolments import schema
from leafward.store.enrolments.schema import microseconds, moment
from leafward.store.enrolments.values import Stale
from leafward.store.identity import AuthType
from leafward.store.single_reads import SingleReads

Status: TypeAlias = Literal["assigning", "assigned", "failed"]
Substatus: TypeAlias = Literal["initialAssignment", "deviceDataMigrated", "deviceDataReset"]

_table = schema.registrations
_columns = _table.c
# In the place of an enrolment's id, which has no such letter: a device of the registry that gateways share.
SHARED_REGISTRY = "$shared"
_STEP = 500  # ids in one question; SQLite takes 32,766 values


@dataclass(frozen=True, slots=True)
class Registration:
    """A registration as it stands. Times are aware UTC.

    `registration_id` is kept in lower case. `generation_id` is the registry's for the device, `previous_generation`
    that of an earlier row; whoever has another in the registry was not put there by us. `changed` is set by the book.
    """

    registration_id: str
    device_id: str
    hub: str
    operation: str
    etag: str
    auth: AuthType
    generation_id: str
    created: datetime
    updated: datetime
    enrolment: str | None = None
    grouped: bool = False
    status: Status = "assigning"
    substatus: Substatus = "initialAssignment"
    previous_hub: str | None = None
    previous_generation: str | None = None
    primary_key: bytes | None = field(default=None, repr=False)
    secondary_key: bytes | None = field(default=None, repr=False)
    primary_thumbprint: str | None = None
    secondary_thumbprint: str | None = None
    leaf: str | None = None
    payload: str | None = None
    challenge: bytes | None = field(default=None, repr=False)
    twin: str | None = None
    error_code: int | None = None
    error_message: str | None = None
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Challenge:
    """A key, the `blob` that a TPM makes it of, and the SHA-256 of the TPM's keys that it was `asked` with."""

    key: bytes = field(repr=False)
    blob: bytes = field(repr=False)
    asked: bytes


_FIELDS = tuple(one.name for one in fields(Registration))
_SELECT = sa.select(*(_columns[name] for name in _FIELDS))
_GET = _SELECT.where(_columns.registration == sa.bindparam("registration"))
_NAMES = ("registration", *_FIELDS)
_UPSERT = (
    f"INSERT INTO registrations ({', '.join(_NAMES)}) VALUES ({', '.join('?' * len(_NAMES))})"  # noqa: S608 - our names
    " ON CONFLICT (registration) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _FIELDS)
)
_FINISH = (
    "UPDATE registrations SET status = ?, error_code = ?, error_message = ? WHERE registration = ? AND operation = ?"
)

Decide = Callable[[Mapping[str, Registration]], Sequence[Registration]]


class RegistrationBook:
    """The table of registrations. Thread-safe; any number of services may use one database.

    Each change is one transaction, durable when the method returns. Every method raises `StoreError`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reads = SingleReads(engine)

    def find(self, registration_id: str) -> Registration | None:
        """The registration of this id, in any case; None where there is none."""
        with told_of(self._engine):
            row = self._reads.one(_GET, {"registration": registration_id.lower()})
        return None if row is None else _registration(row)

    def write(self, registration_ids: Collection[str], decide: Decide) -> list[Registration]:
        """Writes what `decide` makes of the present rows of these ids (lower case), in one transaction; the new rows.

        No other service writes between its look and this change.
        """
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            last = connection.execute(sa.select(sa.func.max(_columns.changed))).scalar() or 0
            rows = [
                _numbered(row, last + 1 + step)
                for step, row in enumerate(decide(_present(connection, list(registration_ids))))
            ]
            if rows:
                run(connection, _UPSERT, *map(_values, rows))
        return rows

    def finish(self, rows: Iterable[Registration]) -> None:
        """Says how these ended: their status and error, unless another operation has begun meanwhile."""
        told = [(row.status, row.error_code, row.error_message, row.registration_id, row.operation) for row in rows]
        if told:
            with told_of(self._engine), self._engine.begin() as connection:
                lock_for_writing(connection)
                run(connection, _FINISH, *told)

    def changed_for(self, hub: str, after: int, limit: int = 1000) -> list[Registration]:
        """Up to `limit` rows that concern a hub, now or before, and changed after that number; oldest first."""
        concerned = sa.or_(_columns.hub == hub, _columns.previous_hub == hub)
        statement = _SELECT.where(_columns.changed > after, concerned).order_by(_columns.changed).limit(limit)
        return self._read(statement)

    def unfinished(self, hub: str, limit: int = 1000) -> list[Registration]:
        """Rows of a hub that are being assigned: a service ended in the middle, or they are another's just now."""
        statement = _SELECT.where(_columns.hub == hub, _columns.status == "assigning").limit(limit)
        return self._read(statement)

    def twins_due(self, hub: str, limit: int = 100) -> list[Registration]:
        """Rows of a hub that has not got the initial twin yet."""
        return self._read(_SELECT.where(_columns.hub == hub, _columns.twin.is_not(None)).limit(limit))

    def twin_given(self, row: Registration) -> None:
        """The hub has it."""
        done = sa.update(_table).where(
            _columns.registration == row.registration_id, _columns.generation_id == row.generation_id
        )
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            connection.execute(done.values(twin=None))

    def of_enrolment(self, enrolment_id: str, *, group: bool, after: str = "", limit: int = 100) -> list[Registration]:
        """What an enrolment has admitted, by registration id, behind `after`."""
        whose = (_columns.enrolment == enrolment_id.lower(), _columns.grouped == group)
        return self._read(
            _SELECT.where(*whose, _columns.registration > after.lower()).order_by(_columns.registration).limit(limit)
        )

    def remove(self, registration_id: str, *, etag: str | None = None) -> None:
        """Forgets a registration; its device stays in its hub's registry. Raises `NotFound`, `Stale`."""
        exactly = _columns.registration == registration_id.lower()
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            found = connection.execute(sa.select(_columns.etag).where(exactly)).scalar()
            if found is None:
                raise NotFound(f"no registration {registration_id[:128]!r}")
            if etag not in (None, found):
                raise Stale(f"the registration {registration_id!r} was changed meanwhile", why=f"its etag is {found!r}")
            connection.execute(sa.delete(_table).where(exactly))

    def count(self) -> int:
        """How many there are."""
        with told_of(self._engine), reader(self._engine) as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(_table)).scalar_one())

    def put_challenge(self, registration_id: str, challenge: Challenge, until: datetime) -> None:
        """Keeps what a TPM is challenged with, in the place of an earlier one."""
        whose = schema.challenges.c.registration == registration_id.lower()
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            connection.execute(sa.delete(schema.challenges).where(whose))
            row = {name: getattr(challenge, name) for name in ("key", "blob", "asked")}
            connection.execute(
                sa.insert(schema.challenges).values(
                    registration=registration_id.lower(), until=microseconds(until), **row
                )
            )

    def challenge(self, registration_id: str, now: datetime) -> Challenge | None:
        """The challenge, where one still holds."""
        row = schema.challenges.c
        statement = sa.select(row.key, row.blob, row.asked).where(
            row.registration == registration_id.lower(), row.until > microseconds(now)
        )
        with told_of(self._engine), reader(self._engine) as connection:
            found = connection.execute(statement).one_or_none()
        return None if found is None else Challenge(*map(bytes, found))

    def _read(self, statement: sa.Select[Any]) -> list[Registration]:
        with told_of(self._engine), reader(self._engine) as connection:
            return [_registration(row) for row in connection.execute(statement)]


def _present(connection: sa.Connection, ids: list[str]) -> dict[str, Registration]:
    found: dict[str, Registration] = {}
    for start in range(0, len(ids), _STEP):
        statement = _SELECT.where(_columns.registration.in_(ids[start : start + _STEP]))
        found |= {row.registration_id: row for row in map(_registration, connection.execute(statement))}
    return found


def _numbered(row: Registration, changed: int) -> Registration:
    values = {name: getattr(row, name) for name in _FIELDS}
    return Registration(**{**values, "registration_id": row.registration_id.lower(), "changed": changed})


def _values(row: Registration) -> tuple[Any, ...]:
    values = {name: getattr(row, name) for name in _FIELDS}
    values["created"], values["updated"] = microseconds(row.created), microseconds(row.updated)
    if row.enrolment is not None:
        values["enrolment"] = row.enrolment.lower()
    return (row.registration_id, *values.values())


def _registration(row: Sequence[Any]) -> Registration:
    values = dict(zip(_FIELDS, row, strict=True))
    for name in ("primary_key", "secondary_key", "challenge"):
        values[name] = None if values[name] is None else bytes(values[name])
    values["created"], values["updated"] = moment(values["created"]), moment(values["updated"])
    values["grouped"] = bool(values["grouped"])
    return Registration(**values)
