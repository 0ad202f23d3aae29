"""The messages the hub keeps until they are where their routes lead, and the telemetry it shows to people.

A message is one row; each queue that still waits for it is one row of `deliveries`. Acknowledging takes that row away.
What goes upstream stays readable afterwards, until it is too old or room is needed; what was for modules or devices
only goes with its last one. What may be dropped, and in which order, is `message_room`'s.

Statements go to the driver directly: SQLAlchemy's own way costs three times what SQLite does with a message.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from leafward.store.database import open_database, reader, run, told_of
from leafward.store.message_limits import StoreLimits
from leafward.store.message_room import MessageRoom
from leafward.store.message_rows import COLUMNS, Message, RowWriter, message_of, microseconds, time_of
from leafward.store.message_schema import MIGRATIONS, REFUSED, UPSTREAM, goes_upstream, metadata
from leafward.store.writer import Writer

__all__ = ["REFUSED", "UPSTREAM", "Message", "MessageStore", "Queue", "StoreLimits", "metadata"]

_NAMES = ", ".join(COLUMNS)
_MARKS = ", ".join("?" * len(COLUMNS))
_INSERT = f"INSERT INTO messages ({_NAMES}) VALUES ({_MARKS})"  # noqa: S608 - names of our own
_DELIVER = "INSERT INTO deliveries (message_id, endpoint, expires) VALUES (?, ?, ?)"
_READ = f"SELECT {_NAMES} FROM messages WHERE upstream AND id > ? ORDER BY id LIMIT ?"  # noqa: S608 - names of our own
_WAITS = "deliveries JOIN messages ON messages.id = message_id WHERE endpoint = ? AND message_id > ?"
_IN_ORDER = "ORDER BY message_id LIMIT ?"
_PENDING_ALL = f"SELECT {_NAMES} FROM {_WAITS} {_IN_ORDER}"  # noqa: S608 - names of our own
_PENDING_NOW = f"SELECT {_NAMES} FROM {_WAITS} AND (expires IS NULL OR expires > ?) {_IN_ORDER}"  # noqa: S608 - names of our own
_ACKNOWLEDGE = "DELETE FROM deliveries WHERE message_id = ? AND endpoint = ?"
_MOVE = "UPDATE deliveries SET endpoint = ?, expires = NULL WHERE message_id = ? AND endpoint = ?"
_COUNT_UP = "UPDATE last_message SET id = id + ? RETURNING id"
_WAITING = "SELECT count(*) FROM deliveries WHERE endpoint = ?"
_QUEUES = (
    "SELECT endpoint, waiting, first, (SELECT enqueued FROM messages WHERE id = first) FROM"
    " (SELECT endpoint, count(*) AS waiting, min(message_id) AS first FROM deliveries"
    " WHERE substr(endpoint, 1, ?) = ? GROUP BY endpoint) AS queues ORDER BY endpoint"
)


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits in one queue: how many, the lowest id, and when that was enqueued (UTC)."""

    endpoint: str
    count: int
    first: int
    oldest: datetime


class MessageStore:
    """The messages in one database.

    Promises: what `append` returned from is on the disk and survives a power cut; a batch is kept whole or not at all;
    ids grow in the order in which batches were committed. A message may be delivered twice (a power cut between
    delivery and `acknowledge`), never lost, unless its time is over or there is no room for it. Readers in other
    processes neither wait nor make the writer wait. Thread-safe.

    Every method raises `StoreError` (`Busy`, `Damaged`) when the database refuses; what it was to do is then not done.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._guard = threading.Lock()
        self._writer = Writer(engine)
        self._rows = RowWriter()
        with told_of(engine):
            self._reader = reader(engine)
        self.room = MessageRoom(engine, self._writer, self._ask)

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Opens the store for the hub, and makes it when it is new. See `open_database`."""
        return cls(open_database(url_or_path, metadata, migrations=MIGRATIONS, name="messages"))

    @classmethod
    def open_read_only(cls, url_or_path: str | Path) -> Self:
        """Opens the store for somebody who only looks: `read` and `pending` work, the rest raises `StoreError`.

        Raises `NotFound` when the hub never ran.
        """
        return cls(open_database(url_or_path, metadata, migrations=MIGRATIONS, name="messages", read_only=True))

    @property
    def dropped(self) -> Counter[str]:
        """How many messages were dropped that somebody still waited for, by why."""
        return self.room.dropped

    def append(self, batch: Sequence[tuple[Message, Collection[str]]]) -> list[int]:
        """Keeps each message for its queues ("$upstream", "modB/inputs/in1#3"), all in one durable transaction.

        The queues may be a mapping from their names to the seconds after `enqueued` until which the message is to wait
        there, None for ever. Returns the ids in order. A message without queues gets an id and is not kept. Batches
        pay: a transaction costs a flush of the disk, and in batches of 200 a message costs 7 microseconds of CPU.
        """
        if not batch:
            return []
        with told_of(self.engine), self._writer.begin() as connection:
            last = _count_up(connection, len(batch))
            first = last - len(batch) + 1
            messages, deliveries = self._rows.rows(first, batch)
            if messages:
                run(connection, _INSERT, *messages)
                run(connection, _DELIVER, *deliveries)
        self.room.added(len(messages))
        return list(range(first, last + 1))

    def pending(self, endpoint: str, after: int = 0, limit: int = 100, now: datetime | None = None) -> list[Message]:
        """What the queue has not acknowledged, with ids above `after`, oldest first, at most `limit`.

        With `now`, without what is over by then.
        """
        if now is None:
            return self._read(_PENDING_ALL, endpoint, after, limit)
        return self._read(_PENDING_NOW, endpoint, after, microseconds(now), limit)

    def acknowledge(self, endpoint: str, ids: Iterable[int]) -> None:
        """The endpoint has these messages: they are not pending for it any more. Others of that id are no error."""
        values = [(number, endpoint) for number in ids]
        if not values:
            return
        with told_of(self.engine), self._writer.begin() as connection:
            run(connection, _ACKNOWLEDGE, *values)
            self.room.settle(connection, [number for number, _ in values], upstream_only=goes_upstream(endpoint))

    def move(self, endpoint: str, other: str, ids: Iterable[int]) -> int:
        """Messages that wait in one queue wait in `other` from now on, without an end. How many did."""
        values = [(other, number, endpoint) for number in ids]
        if not values:
            return 0
        with told_of(self.engine), self._writer.begin() as connection:
            return max(0, int(run(connection, _MOVE, *values).rowcount))

    def waiting(self, endpoint: str) -> int:
        """How many messages are pending for the endpoint."""
        return int(self._ask(_WAITING, endpoint)[0][0])

    def queues(self, prefix: str = "") -> list[Queue]:
        """The queues in which something waits and whose names begin with `prefix`, by name."""
        found = self._ask(_QUEUES, len(prefix), prefix)
        return [Queue(endpoint, count, first, time_of(enqueued)) for endpoint, count, first, enqueued in found]

    def read(self, after: int = 0, limit: int = 1000) -> list[Message]:
        """What went or is to go upstream, acknowledged or not, with ids above `after`, oldest first."""
        return self._read(_READ, after, limit)

    def newest(self) -> int:
        """The highest id there is, 0 where there is no message: where one begins who wants only what comes."""
        return int(self._ask("SELECT max(id) FROM messages")[0][0] or 0)

    def count(self) -> int:
        """How many messages are kept."""
        return int(self._ask("SELECT count(*) FROM messages")[0][0])

    def sweep(self, now: datetime, max_age: timedelta, max_messages: int) -> int:
        """Drops what is over or too old at `now`, then what is too much. How many messages went; see `message_room`.

        In many short transactions: a kill leaves some of the work for the next time.
        """
        limits, gone = StoreLimits(max_age, max_messages), 0
        while done := self.room.step(now, limits):
            gone += done
        return gone

    def close(self) -> None:
        """Closes the database; the store cannot be used any more. May be repeated."""
        self._writer.close()
        with self._guard:
            self._reader.close()
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, statement: str, *values: object) -> list[Message]:
        return [message_of(row) for row in self._ask(statement, *values)]

    def _ask(self, statement: str, *values: object) -> list[Sequence[Any]]:
        """All rows of a question, on the connection that sees what was last committed."""
        with self._guard, told_of(self.engine):
            rows: list[Sequence[Any]] = run(self._reader, statement, values).fetchall()
        return rows


def _count_up(connection: sa.Connection, by: int) -> int:
    """The last of `by` new ids. The row is locked until the commit, so ids are committed in their order."""
    found = run(connection, _COUNT_UP, (by,)).fetchone()
    if found is None:
        run(connection, "INSERT INTO last_message (id) VALUES (?)", (by,))
        return by
    return int(found[0])
