"""The disk's side of plain topics: retained messages, and what waits at QoS 1 and 2 for sessions that last.

Everything is in memory as well and is served from there; the disk is for the next run of the hub. Changes collect in
the loop's thread and are written in the store's, a round at a time, in one transaction. What its client has before the
round begins is never written.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from leafward.errors import LeafwardError
from leafward.hub.plain_message import PlainDelivery, PlainMessage
from leafward.hub.store_thread import MESSAGE_OVERHEAD, Sender, StoreThread
from leafward.store.plain_messages import Changes, KeptDelivery, KeptMessage, PlainMessageStore
from leafward.wire.mqtt.cursor import Body
from leafward.wire.mqtt.properties import read, write
from leafward.wire.mqtt.topics import check_name

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Batch:
    """What the next round writes, and who waits for that."""

    messages: dict[int, PlainMessage] = field(default_factory=dict)
    waiting: dict[int, tuple[PlainDelivery, int, str]] = field(default_factory=dict)
    done_messages: list[int] = field(default_factory=list)
    done_waiting: list[int] = field(default_factory=list)
    retained: dict[str, PlainMessage | None] = field(default_factory=dict)
    received: dict[tuple[str, int], bool] = field(default_factory=dict)
    senders: list[tuple[Sender, int]] = field(default_factory=list)
    size: int = 0


class PlainJournal:
    """Keeps what plain topics need on disk. For the loop's thread.

    `queue_bytes`: of messages that wait to be written; beyond it senders are to be held.
    """

    def __init__(self, store: PlainMessageStore, thread: StoreThread, *, queue_bytes: int) -> None:
        self._store = store
        self._thread = thread
        self._queue_bytes = queue_bytes
        self._next = _Batch()
        self._writing: _Batch | None = None
        self._scheduled = False
        self._last_row = 0
        self._bytes = 0
        self._held: set[Sender] = set()

    @property
    def full(self) -> bool:
        """More waits for the disk than may."""
        return self._bytes >= self._queue_bytes

    def keep(self, delivery: PlainDelivery, client_id: str) -> None:
        """Keeps a message for a client until it is `done`."""
        message = delivery.message
        if not message.row:
            message.row = self._number()
            self._next.messages[message.row] = message
            self._count(message.size)
        message.kept += 1
        delivery.row = self._number()
        self._next.waiting[delivery.row] = (delivery, message.row, client_id)
        self._schedule()

    def done(self, delivery: PlainDelivery) -> None:
        """The client has the message, or never will."""
        row, delivery.row = delivery.row, 0
        if not row:
            return
        if self._next.waiting.pop(row, None) is None:
            self._next.done_waiting.append(row)
        message = delivery.message
        message.kept -= 1
        if not message.kept:
            if self._next.messages.pop(message.row, None) is None:
                self._next.done_messages.append(message.row)
            message.row = 0
        self._schedule()

    def retain(self, topic: str, message: PlainMessage | None) -> None:
        """A topic's retained message is now this, or none."""
        self._next.retained[topic] = message
        self._count(len(topic) if message is None else message.size)
        self._schedule()

    def received(self, client_id: str, packet_id: int, here: bool) -> None:
        """A message of QoS 2 has come with this packet id, or (not `here`) is released."""
        self._next.received[client_id, packet_id] = here
        self._schedule()

    def when_written(self, sender: Sender, token: int) -> bool:
        """`sender.stored(token)` follows when all until now is on disk, or `not_stored`.

        False when the sender must take no more until `sender.room_again()`.
        """
        self._next.senders.append((sender, token))
        self._schedule()
        if not self.full:
            return True
        self._held.add(sender)
        return False

    def forget(self, sender: Sender) -> None:
        """The sender is gone: it wants no `room_again`."""
        self._held.discard(sender)

    def load_retained(self) -> Iterator[PlainMessage]:
        """What an earlier run kept. Raises `StoreError`."""
        for kept in self._store.retained():
            if (message := _message(kept, retain=True)) is not None:
                yield message

    def load_received(self) -> Iterator[tuple[str, int]]:
        """Client ids and packet ids of QoS 2 messages that came in an earlier run and were not released. Raises
        `StoreError`."""
        yield from self._store.received()

    def load_waiting(self) -> Iterator[tuple[str, PlainDelivery]]:
        """What waits for which client, in order. What is of no use, the caller tells `done`. Raises `StoreError`."""
        kept = self._store.messages()
        messages: dict[int, PlainMessage | None] = {}
        self._last_row = max(kept, default=0)
        for one in self._store.waiting():
            self._last_row = max(self._last_row, one.id)
            if one.message_id not in messages and one.message_id in kept:
                messages[one.message_id] = _message(kept[one.message_id], retain=False)
            message = messages.get(one.message_id)
            if message is None:
                self._next.done_waiting.append(one.id)
                continue
            message.row, message.kept = one.message_id, message.kept + 1
            delivery = PlainDelivery(message, one.qos, retain=one.retain, identifiers=one.identifiers, journal=self)
            delivery.row = one.id
            yield one.client_id, delivery
        self._next.done_messages += [row for row in kept if messages.get(row) is None]

    def _number(self) -> int:
        self._last_row += 1
        return self._last_row

    def _count(self, size: int) -> None:
        self._next.size += size + MESSAGE_OVERHEAD
        self._bytes += size + MESSAGE_OVERHEAD

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._thread.run(self._take, self._write, self._written)

    def _take(self) -> _Batch:
        """In the loop's thread, as late as can be."""
        self._scheduled = False
        batch, self._next = self._next, _Batch()
        self._writing = batch
        return batch

    def _write(self, batch: _Batch) -> None:
        changes = Changes(
            messages=[_kept(row, message) for row, message in batch.messages.items()],
            waiting=[_kept_delivery(row, *what) for row, what in batch.waiting.items()],
            done_messages=batch.done_messages,
            done_waiting=batch.done_waiting,
            retained={
                topic: None if message is None else _kept(0, message) for topic, message in batch.retained.items()
            },
            received=batch.received,
        )
        if changes:
            self._store.write(changes)

    def _written(self, error: Exception | None) -> None:
        """In the loop's thread. What is not written is tried again with the next change."""
        batch, self._writing = self._writing, None
        assert batch is not None
        if error is not None:
            self._take_back(batch)
        else:
            self._bytes -= batch.size
        for sender, token in batch.senders:
            _tell(sender, token, error)
        if self._held and self._bytes <= self._queue_bytes // 2:
            held, self._held = self._held, set()
            for sender in held:
                sender.room_again()

    def _take_back(self, batch: _Batch) -> None:
        following = self._next
        following.messages = batch.messages | following.messages
        following.waiting = batch.waiting | following.waiting
        following.retained = batch.retained | following.retained
        following.received = batch.received | following.received
        following.done_messages[:0] = batch.done_messages
        following.done_waiting[:0] = batch.done_waiting
        following.size += batch.size


def _tell(sender: Sender, token: int, error: Exception | None) -> None:
    try:
        if error is None:
            sender.stored(token)
        else:
            sender.not_stored(token, error)
    except Exception:
        logger.exception("a fault of ours: somebody did not take the news of a kept message")


def _kept(row: int, message: PlainMessage) -> KeptMessage:
    properties = write(message.properties, "PUBLISH")
    return KeptMessage(row, message.topic, message.payload, message.qos, properties, message.expires)


def _kept_delivery(row: int, delivery: PlainDelivery, message_row: int, client_id: str) -> KeptDelivery:
    return KeptDelivery(row, message_row, client_id, delivery.qos, delivery.retain, delivery.identifiers)


def _message(kept: KeptMessage, *, retain: bool) -> PlainMessage | None:
    """A message as it was kept; None, and a line in the log, for one that does not read."""
    try:
        properties = read(Body("PUBLISH", kept.properties), "PUBLISH")
        if kept.qos not in (0, 1, 2):
            raise ValueError(f"it has QoS {kept.qos}")
        return PlainMessage(
            check_name(kept.topic), kept.payload, kept.qos, retain=retain, properties=properties, expires=kept.expires
        )
    except (LeafwardError, ValueError) as error:
        logger.warning("a kept message on %r is not read: %s", kept.topic[:200], error)
        return None
