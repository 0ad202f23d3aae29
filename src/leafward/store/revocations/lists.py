"""The revocation lists of each CA: which certificates each speaks for, what was signed last, what it does not tell yet.

A part of a list speaks for so many certificates at most, in the order of their issuing: revoking one of them signs that
part anew and no other, however many certificates there are. A certificate names its part, so a part is chosen first.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import sqlalchemy as sa

from leafward.errors import AlreadyExists, Busy, RuleViolation
from leafward.store.database import lock_for_writing, reader, told_of
from leafward.store.maker_schema import moment, seconds
from leafward.store.revocations.schema import list_bodies, lists

# The partition of the list that speaks for all certificates of a CA.
COMPLETE = 0
_list = lists.c


@dataclass(frozen=True, slots=True)
class ListState:
    """A list as it stands. `address` is None for the complete one, the times are aware UTC, None before the first.

    `given` certificates have this address; `changes` of them were revoked or released, of which `told` are published.
    """

    issuer_key_id: str
    partition: int
    address: str | None = None
    given: int = 0
    changes: int = 0
    told: int = 0
    number: int = 0
    this_update: datetime | None = None
    next_update: datetime | None = None
    lines: int = 0
    sha256: str | None = None
    last_not_after: datetime | None = None

    @classmethod
    def of(cls, row: sa.RowMapping) -> Self:
        """From a row of the table."""
        values: dict[str, Any] = {str(name): value for name, value in row.items()}
        for name in ("this_update", "next_update"):
            values[name] = None if values[name] is None else moment(values[name])
        values["last_not_after"] = moment(values["last_not_after"]) if values["given"] else None
        return cls(**values)

    @property
    def has_news(self) -> bool:
        """Something was revoked or released that the list does not tell."""
        return self.changes != self.told

    @property
    def is_finished(self) -> bool:
        """All its certificates have ended, and it told so once: nobody asks for it any more (RFC 5280 3.3)."""
        ended = self.last_not_after is not None and self.this_update is not None
        return ended and self.last_not_after < self.this_update and not self.has_news  # type: ignore[operator]

    def is_due(self, now: datetime) -> bool:
        """Whether it should be signed anew: it has news, there is none yet, or half of its time is over."""
        if self.this_update is None or self.next_update is None or self.has_news:
            return True
        return not self.is_finished and now >= self.this_update + (self.next_update - self.this_update) / 2


class RevocationLists:
    """The lists in the maker's database. Thread-safe; shared by every process and station on it.

    Every method raises `StoreError` when the database refuses.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def take(
        self,
        issuer_key_id: str,
        *,
        count: int,
        until: datetime,
        capacity: int,
        address: Callable[[int], str],
    ) -> str:
        """The address for the next `count` certificates of a CA, none of which ends after `until`. Durable.

        A part is filled up to `capacity` certificates, and by whole batches beyond; then, or where `address` of its
        number is another now, the next is begun.
        """
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            mine = _list.issuer_key_id == issuer_key_id
            query = sa.select(_list.partition, _list.address, _list.given).where(mine, _list.partition != COMPLETE)
            last = connection.execute(query.order_by(_list.partition.desc()).limit(1)).one_or_none()
            if last is not None and last.given < capacity and last.address == address(last.partition):
                number = last.partition
            else:
                number = 1 if last is None else last.partition + 1
                _add(connection, issuer_key_id, number, address(number))
            end = seconds(until)
            later = sa.case((_list.last_not_after < end, end), else_=_list.last_not_after)
            change = sa.update(lists).where(mine, _list.partition == number)
            connection.execute(change.values(given=_list.given + count, last_not_after=later))
        return address(number)

    def begin_complete(self, issuer_key_id: str) -> None:
        """From now on the CA has a complete list."""
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            if _state(connection, issuer_key_id, COMPLETE) is None:
                _add(connection, issuer_key_id, COMPLETE, None)

    def keep(
        self,
        issuer_key_id: str,
        partition: int,
        *,
        address: str | None,
        number: int,
        this_update: datetime,
        next_update: datetime,
        lines: int,
        der: bytes,
    ) -> bool:
        """Keeps a list that was signed on another machine, to hand it out here. False where this very one is here.

        The caller has verified it. Raises `AlreadyExists` where one with this number, or a newer one, is here.
        """
        sha256 = hashlib.sha256(der).hexdigest()
        with told_of(self._engine), self._engine.begin() as connection:
            lock_for_writing(connection)
            before = _state(connection, issuer_key_id, partition)
            if before is not None and before.sha256 == sha256:
                return False
            if before is not None and before.number >= number:
                why = f"its number is {number}, and the one here has {before.number}"
                raise AlreadyExists(
                    "a newer revocation list is here", why=why, hint="take the last one that was signed"
                )
            if before is None:
                _add(connection, issuer_key_id, partition, address)
            mine = (_list.issuer_key_id == issuer_key_id, _list.partition == partition)
            values = {
                "number": number,
                "this_update": seconds(this_update),
                "next_update": seconds(next_update),
                "lines": lines,
                "sha256": sha256,
            }
            connection.execute(sa.update(lists).where(*mine).values(**values))
            _write_body(connection, issuer_key_id, partition, der)
        return True

    def partition_of(self, issuer_key_id: str, addresses: tuple[str, ...]) -> int:
        """Which list speaks for a certificate with these addresses of lists: the complete one where none is ours."""
        if not addresses:
            return COMPLETE
        query = sa.select(_list.partition).where(_list.address.in_(addresses), _list.issuer_key_id == issuer_key_id)
        with told_of(self._engine), reader(self._engine) as connection:
            return connection.execute(query.limit(1)).scalar_one_or_none() or COMPLETE

    def get(self, issuer_key_id: str, partition: int) -> ListState | None:
        """A list's state; None where there is no such list."""
        with told_of(self._engine), reader(self._engine) as connection:
            return _state(connection, issuer_key_id, partition)

    def all(self, issuer_key_id: str) -> list[ListState]:
        """The states of a CA's lists, the complete one first."""
        query = sa.select(lists).where(_list.issuer_key_id == issuer_key_id).order_by(_list.partition)
        with told_of(self._engine), reader(self._engine) as connection:
            return [ListState.of(row) for row in connection.execute(query).mappings()]

    def der(self, issuer_key_id: str, partition: int) -> bytes | None:
        """The list that was signed last; None where there is none."""
        body = list_bodies.c
        query = sa.select(body.der).where(body.issuer_key_id == issuer_key_id, body.partition == partition)
        with told_of(self._engine), reader(self._engine) as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else bytes(found)


def note_change(connection: sa.Connection, issuer_key_id: str, partition: int) -> None:
    """A certificate of this list was revoked or released, in the caller's transaction: the list has news.

    So has the complete list where the CA has one.
    """
    if _state(connection, issuer_key_id, partition) is None:
        _add(connection, issuer_key_id, partition, None)
    spoken = sa.and_(_list.issuer_key_id == issuer_key_id, _list.partition.in_({partition, COMPLETE}))
    connection.execute(sa.update(lists).where(spoken).values(changes=_list.changes + 1))


def publish(
    connection: sa.Connection,
    before: ListState,
    *,
    this_update: datetime,
    next_update: datetime,
    lines: int,
    sha256: str,
    der: bytes,
) -> None:
    """Puts the list that follows `before` in its place, in the caller's transaction.

    Raises `Busy` where another station was faster: its list has the number that this one was signed with. Raises
    `RuleViolation` ("clock-wrong") where the list before begins later.
    """
    if before.this_update is not None and this_update < before.this_update:
        raise clock_behind(before.this_update, this_update)
    mine = (_list.issuer_key_id == before.issuer_key_id, _list.partition == before.partition)
    values = {
        "number": before.number + 1,
        "told": before.changes,
        "this_update": seconds(this_update),
        "next_update": seconds(next_update),
        "lines": lines,
        "sha256": sha256,
    }
    if connection.execute(sa.update(lists).where(*mine, _list.number == before.number).values(**values)).rowcount != 1:
        raise Busy("another process signed this list meanwhile", hint="try again")
    _write_body(connection, before.issuer_key_id, before.partition, der)


def clock_behind(last: datetime, now: datetime) -> RuleViolation:
    """The refusal to sign what would begin before what was signed last: verifiers would go on using that."""
    why = f"it is {now:%Y-%m-%dT%H:%M:%SZ} here, and what was signed last begins at {last:%Y-%m-%dT%H:%M:%SZ}"
    hint = "set this machine's clock; what was revoked is recorded, and is published then"
    return RuleViolation("clock-wrong", "the clock is behind what was published", why=why, hint=hint)


def _state(connection: sa.Connection, issuer_key_id: str, partition: int) -> ListState | None:
    query = sa.select(lists).where(_list.issuer_key_id == issuer_key_id, _list.partition == partition)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else ListState.of(row)


def _write_body(connection: sa.Connection, issuer_key_id: str, partition: int, der: bytes) -> None:
    body = list_bodies.c
    held = (body.issuer_key_id == issuer_key_id, body.partition == partition)
    if connection.execute(sa.update(list_bodies).where(*held).values(der=der)).rowcount == 0:
        connection.execute(sa.insert(list_bodies).values(issuer_key_id=issuer_key_id, partition=partition, der=der))


def _add(connection: sa.Connection, issuer_key_id: str, partition: int, address: str | None) -> None:
    start = {"given": 0, "last_not_after": 0, "changes": 0, "told": 0, "number": 0, "lines": 0}
    row = {"issuer_key_id": issuer_key_id, "partition": partition, "address": address, **start}
    connection.execute(sa.insert(lists).values(**row))
