"""Flow control to one client: packet ids, the window of unacknowledged messages, and what waits behind it.

    offer -> queue -> PUBLISH (in flight) -> QoS 1: PUBACK                     -> free
                                          -> QoS 2: PUBREC, PUBREL, PUBCOMP   -> free

It outlives the connection with its session. Messages go out in the order in which they came. What was in flight when
the connection ended is sent again on the next, first, with DUP (MQTT 3.1.1 and 5, 4.4.0-1); where the client's window
is smaller by then, as acknowledgements free room in it.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from leafward.hub.delivery import Delivery, Terms
from leafward.hub.plain_message import PlainDelivery, PlainMessage
from leafward.hub.pressure import Brake
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import MAX_PACKET_ID, Pubrel

# Counted for each message beside its bytes: the Python objects, measured.
DELIVERY_OVERHEAD = 256
# The queue of nearly every session at nearly every time: an empty deque of its own would be 760 bytes.
_NOBODY_WAITS: "deque[Delivery]" = deque(maxlen=0)


class Receiver(Protocol):
    """The connection that a session has just now."""

    @property
    def writable(self) -> bool: ...
    @property
    def roomy(self) -> bool: ...
    def send(self, data: bytes) -> None: ...


@dataclass(slots=True)
class QueueRoom:
    """How much may wait for clients: messages of one session, and bytes of one and of all. One for the whole hub.

    Bytes are counted until the client has the message, in flight or not; the payload of a message for many only once in
    those of all. Messages of the message store are not counted: their window is small. `many` messages or `much` bytes
    of one are so many that its publishers should wait.
    """

    messages: int = 1000
    bytes_of_one: int = 8_388_608
    bytes_of_all: int = 134_217_728
    used: int = 0
    many: int = field(init=False)
    much: int = field(init=False)

    def __post_init__(self) -> None:
        self.many, self.much = self.messages // 2, self.bytes_of_one // 2


class Flow:
    """The outgoing half of a session. `receiver` is None while the client is away."""

    __slots__ = (
        "_next_id",
        "_room",
        "_terms",
        "again",
        "brakes",
        "bytes",
        "from_feeds",
        "given_up",
        "in_flight",
        "receiver",
        "replays",
        "reserve",
        "tight",
        "waiting",
        "window",
    )

    def __init__(self, room: QueueRoom, *, first_id: int = 0) -> None:
        """`first_id`: ids count on from here; a session of an earlier run begins elsewhere than at 1."""
        self._room = room
        self._next_id = first_id
        self._terms: Terms | None = None
        # Of an earlier connection and not yet sent again on this one: ids of `in_flight`, the next one last.
        self.again: list[int] = []
        self.receiver: Receiver | None = None
        self.window = 0
        # None: the client has the message and PUBREL is sent; the id is free at PUBCOMP.
        self.in_flight: dict[int, Delivery | None] = {}
        self.from_feeds = 0
        # Of the window, for messages of feeds: what else is sent to the client must not keep them out for ever.
        self.reserve = 0
        self.waiting = _NOBODY_WAITS
        self.bytes = 0
        # The bytes there were when more than half of what may be here was; 0 since it is down to a quarter. Who
        # publishes waits for a client that is here (`pressure`), unless it was `given_up`.
        self.tight = 0
        self.given_up = False
        self.brakes: set[Brake] | None = None
        # Retained messages for new subscriptions, by filter: each step sends one, when nothing else waits.
        self.replays: dict[str, Iterator[None]] = {}

    @property
    def free(self) -> int:
        """How many messages may be sent now."""
        return self.window - len(self.in_flight) + len(self.again)

    @property
    def open(self) -> bool:
        """Whether a message that is no feed's may be sent now."""
        free = self.window - len(self.in_flight) + len(self.again)
        if self.reserve:
            free -= max(0, min(self.reserve, self.window // 2) - self.from_feeds)
        return free > 0 and self.receiver is not None and self.receiver.writable

    def begin(self, receiver: Receiver, terms: Terms) -> None:
        """The client is here, on these terms: what was in flight goes out again, then what waits."""
        self.receiver, self._terms, self.window = receiver, terms, terms.window
        self.again = list(reversed(self.in_flight))
        self.pump()

    def close(self) -> None:
        """The client is away. What means nothing later is forgotten."""
        self.receiver, self._terms, self.window = None, None, 0
        self.again.clear()
        for packet_id, delivery in list(self.in_flight.items()):
            if delivery is not None and delivery.transient:
                del self.in_flight[packet_id]
                self._discharge(delivery)
        if any(delivery.transient for delivery in self.waiting):
            waiting, self.waiting = self.waiting, deque()
            for delivery in waiting:
                if delivery.transient:
                    self._discharge(delivery)
                else:
                    self.waiting.append(delivery)
        if self.tight:
            self._ease()

    def offer(self, delivery: Delivery) -> bool:
        """Sends a message, or has it wait its turn. False, and the message is not taken, when too much waits."""
        room, cost = self._room, delivery.size + DELIVERY_OVERHEAD
        waits = bool(self.waiting) or not self.open
        if self.bytes + cost > room.bytes_of_one or (waits and len(self.waiting) >= room.messages):
            return False
        used = room.used + delivery.charge() + DELIVERY_OVERHEAD
        if used > room.bytes_of_all:
            delivery.discharge()
            return False
        self.bytes += cost
        room.used = used
        if waits:
            if self.waiting is _NOBODY_WAITS:
                self.waiting = deque()
            self.waiting.append(delivery)
        else:
            self.send(delivery)
        if not self.tight and (self.bytes > room.much or len(self.waiting) > room.many):
            self.tight = self.bytes
        return True

    def send_now(self, message: PlainMessage, identifiers: tuple[int, ...]) -> bool:
        """Sends a message of QoS 1 that is not kept, as `offer` does, in one step. False where that takes more thought:
        something waits, the window is full, or this client wants its messages otherwise than others.
        """
        terms, receiver, room = self._terms, self.receiver, self._room
        cost = message.size + DELIVERY_OVERHEAD
        if (
            self.waiting
            or self.reserve
            or self.again
            or terms is None
            or receiver is None
            or not terms.alike
            or len(self.in_flight) >= self.window
            or self.bytes + cost > room.much
            or room.used + cost > room.bytes_of_all
            or not receiver.writable
        ):
            return False
        packet_id = self._next_id + 1
        if packet_id > MAX_PACKET_ID or packet_id in self.in_flight:
            packet_id = self._free_id()
        self._next_id = packet_id
        delivery = self.in_flight[packet_id] = PlainDelivery(message, 1, retain=False, identifiers=identifiers)
        self.bytes += cost
        room.used += delivery.charge() + DELIVERY_OVERHEAD
        receiver.send(message.frame(terms.level, 1, False, identifiers).with_id(packet_id))
        return True

    def _ease(self) -> None:
        """Lets those go on who wait for this client, where enough room has become free."""
        room = self._room
        if self.receiver is None or (self.bytes * 4 <= room.bytes_of_one and len(self.waiting) * 4 <= room.messages):
            self.given_up = False
            self.let_go()

    def let_go(self) -> None:
        """Nobody waits for this client any more, until too much is here again."""
        self.tight = 0
        brakes, self.brakes = self.brakes, None
        for brake in brakes or ():
            brake.eased(self)

    def send(self, delivery: Delivery) -> None:
        """Sends a message that is counted already, or need not be; the client must be here and `free` not 0."""
        assert self.receiver is not None
        assert self._terms is not None
        packet_id = self._next_id + 1
        if packet_id > MAX_PACKET_ID or packet_id in self.in_flight:
            packet_id = self._free_id()
        self._next_id = packet_id
        data = delivery.encoded(packet_id, self._terms, dup=False)
        if data is None:
            self._over(delivery)
            return
        self.in_flight[packet_id] = delivery
        if delivery.from_feed:
            self.from_feeds += 1
        self.receiver.send(data)

    def pump(self) -> None:
        """Sends what the window and the connection allow."""
        while self.open:
            if self.again:
                self._send_again(self.again.pop())
            elif self.waiting:
                self._send_waiting()
            elif self.replays:
                self._replay()
            else:
                return

    def _send_waiting(self) -> None:
        delivery = self.waiting.popleft()
        if not self.waiting:
            self.waiting = _NOBODY_WAITS
        self.send(delivery)

    def _replay(self) -> None:
        topic_filter, replay = next(iter(self.replays.items()))
        if next(replay, self) is self:
            self.replays.pop(topic_filter, None)

    def acknowledged(self, packet_id: int) -> bool:
        """PUBACK. False for an id that waits for none, which a client may send after a restart."""
        delivery = self.in_flight.get(packet_id)
        if delivery is None or delivery.qos != 1:
            return False
        del self.in_flight[packet_id]
        # As `_done`, in one place: this is for every message.
        if delivery.from_feed:
            self.from_feeds -= 1
        else:
            self.bytes -= delivery.size + DELIVERY_OVERHEAD
            self._room.used -= delivery.discharge() + DELIVERY_OVERHEAD
            if self.tight:
                self._ease()
        if self.again and packet_id in self.again:
            self.again.remove(packet_id)
        delivery.arrived()
        return True

    def received(self, packet_id: int, *, refused: bool = False) -> bool:
        """PUBREC: the client has it, or refuses it (MQTT 5, 4.3.3). False for an id that waits for none."""
        if packet_id not in self.in_flight:
            return False
        delivery = self.in_flight[packet_id]
        if delivery is not None:
            if delivery.qos != 2:
                return False
            self._done(packet_id, delivery)
            self.in_flight[packet_id] = None
        if refused:
            del self.in_flight[packet_id]
        return True

    def completed(self, packet_id: int) -> bool:
        """PUBCOMP. False for an id that waits for none."""
        if self.in_flight.get(packet_id, self) is not None:
            return False
        del self.in_flight[packet_id]
        return True

    def abandon(self) -> Iterator[Delivery]:
        """The session ends: every message that the client never got, in order. They are forgotten here."""
        held = [delivery for delivery in self.in_flight.values() if delivery is not None]
        held += self.waiting
        self.waiting = _NOBODY_WAITS
        for kept in (self.in_flight, self.again, self.replays):
            kept.clear()
        for delivery in held:
            self._discharge(delivery)
            yield delivery

    def _done(self, packet_id: int, delivery: Delivery) -> None:
        if delivery.from_feed:
            self.from_feeds -= 1
        if self.again and packet_id in self.again:
            self.again.remove(packet_id)
        self._over(delivery)

    def _over(self, delivery: Delivery) -> None:
        self._discharge(delivery)
        delivery.arrived()

    def _discharge(self, delivery: Delivery) -> None:
        if not delivery.from_feed:
            self.bytes -= delivery.size + DELIVERY_OVERHEAD
            self._room.used -= delivery.discharge() + DELIVERY_OVERHEAD
            if self.tight:
                self._ease()

    def _send_again(self, packet_id: int) -> None:
        assert self.receiver is not None
        assert self._terms is not None
        delivery = self.in_flight[packet_id]
        if delivery is None:
            self.receiver.send(encode(Pubrel(packet_id), self._terms.level))
            return
        data = delivery.encoded(packet_id, self._terms, dup=True)
        if data is None:
            self._done(packet_id, delivery)
            del self.in_flight[packet_id]
        else:
            self.receiver.send(data)

    def _free_id(self) -> int:
        # The window is far smaller than the number of ids, so there is always a free one.
        while True:
            self._next_id = self._next_id % MAX_PACKET_ID + 1
            if self._next_id not in self.in_flight:
                return self._next_id
