"""The messages the hub keeps until they are where their routes lead, and the telemetry it shows to people.

A message is one row; each endpoint that still waits for it is one row of `deliveries`. Acknowledging takes that row
away. What goes upstream stays readable afterwards, until `sweep`; what was for modules only goes with its last one.
"""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from leafward.store.database import open_database, reader, told_of

UPSTREAM = "$upstream"

# SQLite's own row number, no index beside the table; elsewhere 64 bits have to be asked for.
_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata = sa.MetaData()
_messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=False),
    sa.Column("device_id", sa.Text, nullable=False),
    sa.Column("module_id", sa.Text),
    sa.Column("output", sa.Text),
    sa.Column("properties", sa.Text, nullable=False),  # JSON objects
    sa.Column("system", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("enqueued", sa.BigInteger, nullable=False, index=True),  # microseconds since 1970, UTC
    sa.Column("upstream", sa.Boolean, nullable=False),
)
_deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("message_id", sa.ForeignKey(_messages.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Index("deliveries_by_endpoint", "endpoint", "message_id"),
    sqlite_with_rowid=False,
)
# The last id given out: ids grow in the order of the commits and none is used twice, however much is swept away.
_last = sa.Table("last_message", metadata, sa.Column("id", sa.BigInteger, nullable=False))

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# How many messages one transaction of `sweep` removes: the hub's appends must not wait long for it.
_SWEEP_STEP = 1000

_ID = _messages.c.id
_AFTER, _LIMIT, _ONE = (sa.bindparam(name, type_=sa.BigInteger) for name in ("after", "limit", "message"))
_ENDPOINT = sa.bindparam("endpoint", type_=sa.Text)
_NEWEST = sa.select(sa.func.max(_ID))
_READ = sa.select(_messages).where(_messages.c.upstream, _ID > _AFTER).order_by(_ID).limit(_LIMIT)
_PENDING = (
    sa.select(_messages)
    .join(_deliveries, _deliveries.c.message_id == _ID)
    .where(_deliveries.c.endpoint == _ENDPOINT, _deliveries.c.message_id > _AFTER)
    .order_by(_deliveries.c.message_id)
    .limit(_LIMIT)
)
_ACKNOWLEDGE = sa.delete(_deliveries).where(_deliveries.c.message_id == _ONE, _deliveries.c.endpoint == _ENDPOINT)
_WAITED_FOR = sa.exists().where(_deliveries.c.message_id == _ID)
_FORGET = sa.delete(_messages).where(_ID == _ONE, ~_messages.c.upstream, ~_WAITED_FOR)


@dataclass(frozen=True, slots=True)
class Message:
    """What a device or module sent.

    `output` is the module output it came from, None for a leaf device's telemetry. `properties` are the sender's,
    `system` the protocol's own (message id, content type, …). `enqueued` is aware: when the hub took it, kept in UTC to
    the microsecond. `id` is the store's, None before `append`.
    """

    device_id: str
    module_id: str | None
    output: str | None
    properties: dict[str, str]
    system: dict[str, str]
    body: bytes = field(repr=False)
    enqueued: datetime
    id: int | None = None


class MessageStore:
    """The messages in one database.

    Promises: what `append` returned from is on the disk and survives a power cut; a batch is kept whole or not at all;
    ids grow in the order in which batches were committed. A message may be delivered twice (a power cut between
    delivery and `acknowledge`), never lost, unless `sweep` is told to drop it. Readers in other processes neither wait
    nor make the writer wait. Thread-safe.

    Every method raises `StoreError` (`Busy`, `Damaged`) when the database refuses; what it was to do is then not done.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._guard = threading.Lock()
        with told_of(engine):
            self._reader = reader(engine)

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Opens the store for the hub, and makes it when it is new. See `open_database`."""
        return cls(open_database(url_or_path, metadata, name="messages"))

    @classmethod
    def open_read_only(cls, url_or_path: str | Path) -> Self:
        """Opens the store for somebody who only looks: `read` and `pending` work, the rest raises `StoreError`.

        Raises `NotFound` when the hub never ran.
        """
        return cls(open_database(url_or_path, metadata, name="messages", read_only=True))

    def append(self, batch: Sequence[tuple[Message, Sequence[str]]]) -> list[int]:
        """Keeps each message for its endpoints ("$upstream", "modB/inputs/in1"), all in one durable transaction.

        Returns their ids in order. A message without endpoints gets an id and is not kept. Batches pay: a transaction
        costs a flush of the disk, and in batches of 200 a message costs 16 microseconds of CPU (measured; the driver's
        bare cursor saves a third of it, which is not worth leaving SQLAlchemy for).
        """
        if not batch:
            return []
        with told_of(self.engine), self.engine.begin() as connection:
            last = _count_up(connection, len(batch))
            numbered = list(enumerate(batch, start=last - len(batch) + 1))
            if rows := [_row(number, message, endpoints) for number, (message, endpoints) in numbered if endpoints]:
                connection.execute(sa.insert(_messages), rows)
                connection.execute(sa.insert(_deliveries), list(_delivery_rows(numbered)))
        return [number for number, _ in numbered]

    def pending(self, endpoint: str, after: int = 0, limit: int = 100) -> list[Message]:
        """What the endpoint has not acknowledged, with ids above `after`, oldest first, at most `limit`."""
        return self._read(_PENDING, {"endpoint": endpoint, "after": after, "limit": limit})

    def acknowledge(self, endpoint: str, ids: Iterable[int]) -> None:
        """The endpoint has these messages: they are not pending for it any more. Others of that id are no error."""
        values = [{"endpoint": endpoint, "message": number} for number in ids]
        if not values:
            return
        with told_of(self.engine), self.engine.begin() as connection:
            connection.execute(_ACKNOWLEDGE, values)
            connection.execute(_FORGET, [{"message": value["message"]} for value in values])

    def read(self, after: int = 0, limit: int = 1000) -> list[Message]:
        """What went or is to go upstream, acknowledged or not, with ids above `after`, oldest first."""
        return self._read(_READ, {"after": after, "limit": limit})

    def newest(self) -> int:
        """The highest id there is, 0 where there is no message: where one begins who wants only what comes."""
        with self._guard, told_of(self.engine):
            return int(self._reader.execute(_NEWEST).scalar_one() or 0)

    def sweep(self, now: datetime, max_age: timedelta, max_messages: int) -> int:
        """Drops what was enqueued before `now - max_age`, then what is too much. How many messages were dropped.

        Both drop undelivered messages too. Of those that are too much, first the oldest that nobody waits for go, then
        the oldest. Takes many short transactions: a kill leaves some of the work for the next time.
        """
        old = sa.select(_ID).where(_messages.c.enqueued < _microseconds(now - max_age)).order_by(_messages.c.enqueued)
        dropped = self._drop(old)
        excess = self._count() - max_messages
        if excess > 0:
            excess -= (done := self._drop(sa.select(_ID).where(~_WAITED_FOR).order_by(_ID), excess))
            dropped += done + self._drop(sa.select(_ID).order_by(_ID), excess)
        return dropped

    def close(self) -> None:
        """Closes the database; the store cannot be used any more. May be repeated."""
        with self._guard:
            self._reader.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, statement: sa.Select[Any], values: dict[str, Any]) -> list[Message]:
        with self._guard, told_of(self.engine):
            rows = self._reader.execute(statement, values).all()
        return [_message(row) for row in rows]

    def _count(self) -> int:
        with self._guard, told_of(self.engine):
            return int(self._reader.execute(sa.select(sa.func.count()).select_from(_messages)).scalar_one())

    def _drop(self, which: sa.Select[tuple[int]], at_most: int | None = None) -> int:
        """Removes the messages that `which` selects, in its order, in steps. Their deliveries go with them."""
        dropped = 0
        while at_most is None or dropped < at_most:
            step = _SWEEP_STEP if at_most is None else min(_SWEEP_STEP, at_most - dropped)
            with self._guard, told_of(self.engine):
                ids = self._reader.execute(which.limit(step)).scalars().all()
            if not ids:
                break
            with told_of(self.engine), self.engine.begin() as connection:
                connection.execute(sa.delete(_messages).where(_ID == _ONE), [{"message": number} for number in ids])
            dropped += len(ids)
        return dropped


def _count_up(connection: sa.Connection, by: int) -> int:
    """The last of `by` new ids. The row is locked until the commit, so ids are committed in their order."""
    last = connection.execute(sa.update(_last).values(id=_last.c.id + by).returning(_last.c.id)).scalar_one_or_none()
    if last is None:
        connection.execute(sa.insert(_last).values(id=by))
        return by
    return int(last)


def _row(number: int, message: Message, endpoints: Sequence[str]) -> dict[str, Any]:
    return {
        "id": number,
        "device_id": message.device_id,
        "module_id": message.module_id,
        "output": message.output,
        "properties": json.dumps(message.properties) if message.properties else "{}",
        "system": json.dumps(message.system) if message.system else "{}",
        "body": message.body,
        "enqueued": _microseconds(message.enqueued),
        "upstream": UPSTREAM in endpoints,
    }


def _delivery_rows(numbered: Iterable[tuple[int, tuple[Message, Sequence[str]]]]) -> Iterable[dict[str, Any]]:
    for number, (_, endpoints) in numbered:
        for endpoint in dict.fromkeys(endpoints):
            yield {"message_id": number, "endpoint": endpoint}


def _message(row: sa.Row[Any]) -> Message:
    return Message(
        device_id=row.device_id,
        module_id=row.module_id,
        output=row.output,
        properties=json.loads(row.properties),
        system=json.loads(row.system),
        body=bytes(row.body),
        enqueued=_EPOCH + timedelta(microseconds=row.enqueued),
        id=row.id,
    )


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // _MICROSECOND
