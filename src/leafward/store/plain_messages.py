"""What plain topics keep on disk: retained messages, messages of QoS 1 and 2 that wait for clients, and which of QoS 2
have come.

Numbers are the caller's. Properties are bytes that the caller can read. All of one call to `write` is one durable
transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from leafward.store.database import open_database, reader, told_of
from leafward.store.migrations import Migration

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata = sa.MetaData()
_retained = sa.Table(
    "retained",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("qos", sa.Integer, nullable=False),
    sa.Column("properties", sa.LargeBinary, nullable=False),
    sa.Column("expires", sa.Float),  # seconds since 1970, UTC; none for never
)
_messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("qos", sa.Integer, nullable=False),
    sa.Column("properties", sa.LargeBinary, nullable=False),
    sa.Column("expires", sa.Float),
)
_waiting = sa.Table(
    "waiting",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=False),
    sa.Column("message_id", sa.BigInteger, nullable=False),
    sa.Column("client_id", sa.Text, nullable=False),
    sa.Column("qos", sa.Integer, nullable=False),
    sa.Column("retain", sa.Boolean, nullable=False),
    sa.Column("identifiers", sa.Text, nullable=False),  # numbers, parted by blanks
)
# Packet ids of QoS 2 messages that have come from a client and are not released.
_received = sa.Table(
    "received",
    metadata,
    sa.Column("client_id", sa.Text, primary_key=True),
    sa.Column("packet_id", sa.Integer, primary_key=True, autoincrement=False),
)
MIGRATIONS = (Migration(2, "packet ids of QoS 2 that have come", _received.create),)

_ONE = sa.bindparam("one", type_=sa.BigInteger)
_TOPIC = sa.bindparam("name", type_=sa.Text)
_UNRETAIN = sa.delete(_retained).where(_retained.c.topic == _TOPIC)
_FORGET_MESSAGE = sa.delete(_messages).where(_messages.c.id == _ONE)
_FORGET_WAITING = sa.delete(_waiting).where(_waiting.c.id == _ONE)
_RELEASE = sa.delete(_received).where(
    _received.c.client_id == sa.bindparam("client", type_=sa.Text),
    _received.c.packet_id == sa.bindparam("packet", type_=sa.Integer),
)


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message of a plain topic. `id` is 0 for a retained one, which is known by its topic."""

    id: int
    topic: str
    payload: bytes = field(repr=False)
    qos: int
    properties: bytes = field(repr=False)
    expires: float | None


@dataclass(frozen=True, slots=True)
class KeptDelivery:
    """A message that waits for a client. Ids grow in the order in which they are to go out."""

    id: int
    message_id: int
    client_id: str
    qos: int
    retain: bool
    identifiers: tuple[int, ...]


@dataclass(slots=True)
class Changes:
    """What one transaction is to do. `retained`: None takes away what a topic has. `received`: whether a message of QoS
    2 has come from a client with this packet id, and is not released.
    """

    messages: list[KeptMessage] = field(default_factory=list)
    waiting: list[KeptDelivery] = field(default_factory=list)
    done_messages: list[int] = field(default_factory=list)
    done_waiting: list[int] = field(default_factory=list)
    retained: dict[str, KeptMessage | None] = field(default_factory=dict)
    received: dict[tuple[str, int], bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        done = self.done_messages or self.done_waiting
        return bool(self.messages or self.waiting or done or self.retained or self.received)


class PlainMessageStore:
    """One database. What `write` returned from is on the disk and survives a power cut, whole or not at all.

    For one thread. Every method raises `StoreError` (`Busy`, `Damaged`) when the database refuses; what it was to do is
    then not done.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url_or_path: str | Path) -> Self:
        """Opens the store, and makes it when it is new. See `open_database`."""
        return cls(open_database(url_or_path, metadata, name="plain", migrations=MIGRATIONS))

    def write(self, changes: Changes) -> None:
        """Does all of `changes`: what is new first, then what is done."""
        with told_of(self._engine), self._engine.begin() as connection:
            _insert(connection, _messages, [_message_row(one) for one in changes.messages])
            _insert(connection, _waiting, [_waiting_row(one) for one in changes.waiting])
            _each(connection, _FORGET_WAITING, "one", changes.done_waiting)
            _each(connection, _FORGET_MESSAGE, "one", changes.done_messages)
            _each(connection, _UNRETAIN, "name", list(changes.retained))
            rows = [_retained_row(one) for one in changes.retained.values() if one is not None]
            _insert(connection, _retained, rows)
            _write_received(connection, changes.received)

    def retained(self) -> list[KeptMessage]:
        """Every retained message."""
        with told_of(self._engine), reader(self._engine) as connection:
            rows = connection.execute(sa.select(_retained)).all()
        return [
            KeptMessage(0, row.topic, bytes(row.payload), row.qos, bytes(row.properties), row.expires) for row in rows
        ]

    def messages(self) -> dict[int, KeptMessage]:
        """The messages that wait for clients, by id."""
        with told_of(self._engine), reader(self._engine) as connection:
            rows = connection.execute(sa.select(_messages)).all()
        found = (
            KeptMessage(row.id, row.topic, bytes(row.payload), row.qos, bytes(row.properties), row.expires)
            for row in rows
        )
        return {one.id: one for one in found}

    def waiting(self) -> list[KeptDelivery]:
        """For whom they wait, in the order of their ids."""
        with told_of(self._engine), reader(self._engine) as connection:
            rows = connection.execute(sa.select(_waiting).order_by(_waiting.c.id)).all()
        return [
            KeptDelivery(
                row.id, row.message_id, row.client_id, row.qos, row.retain, tuple(map(int, row.identifiers.split()))
            )
            for row in rows
        ]

    def received(self) -> list[tuple[str, int]]:
        """The QoS 2 messages that have come and are not released: client ids and packet ids."""
        with told_of(self._engine), reader(self._engine) as connection:
            return [(row.client_id, row.packet_id) for row in connection.execute(sa.select(_received)).all()]

    def close(self) -> None:
        """Closes the database. May be repeated."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)


def _each(connection: sa.Connection, statement: sa.Delete, name: str, values: Sequence[int | str]) -> None:
    if values:
        connection.execute(statement, [{name: value} for value in values])


def _write_received(connection: sa.Connection, received: dict[tuple[str, int], bool]) -> None:
    if received:
        connection.execute(_RELEASE, [{"client": client, "packet": packet} for client, packet in received])
        rows = [{"client_id": client, "packet_id": packet} for (client, packet), here in received.items() if here]
        _insert(connection, _received, rows)


def _message_row(message: KeptMessage) -> dict[str, Any]:
    return {"id": message.id, **_retained_row(message)}


def _retained_row(message: KeptMessage) -> dict[str, Any]:
    return {
        "topic": message.topic,
        "payload": message.payload,
        "qos": message.qos,
        "properties": message.properties,
        "expires": message.expires,
    }


def _waiting_row(delivery: KeptDelivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "message_id": delivery.message_id,
        "client_id": delivery.client_id,
        "qos": delivery.qos,
        "retain": delivery.retain,
        "identifiers": " ".join(map(str, delivery.identifiers)),
    }
