"""A message on its way to one client at QoS 1 or 2, whatever it came from: a feed of the message store, or the hub.

What a delivery knows is how it is written and what is to be done when the client has it. Packet ids, the window and
the queue are `flow`'s.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from leafward.errors import LeafwardError
from leafward.store.messages import Message
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL, Publish
from leafward.wire.mqtt.properties import Properties

if TYPE_CHECKING:
    from leafward.hub.aliases import OutgoingAliases
    from leafward.hub.feeds import Feed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a connection asks of those who write to it.

    `level` is 4 for MQTT 3.1.1, and 5. `window`: messages of QoS 1 and 2 that may be unacknowledged. `packet_size`:
    bytes of the largest packet it takes, None for any (3.1.2.11.4). `clock` gives the time in UTC. `alike`: it takes
    every packet just as others of its level do, so that one writing does for all.
    """

    clock: Callable[[], datetime]
    level: int = PROTOCOL_LEVEL
    window: int = 0xFFFF
    packet_size: int | None = None
    aliases: "OutgoingAliases | None" = None
    alike: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "alike", self.packet_size is None and self.aliases is None)


class Delivery(Protocol):
    """A message for one client. `size` is what it costs in a queue, in bytes; `qos` 1 or 2.

    `transient`: it means nothing on a later connection. `from_feed`: the message store has it.
    """

    @property
    def qos(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def transient(self) -> bool: ...
    @property
    def from_feed(self) -> bool: ...

    def charge(self) -> int:
        """It is taken into a queue: the bytes that this needs, of which others may have taken the same before."""

    def discharge(self) -> int:
        """It is out of the queue: the bytes that this frees."""

    def encoded(self, packet_id: int, terms: Terms, *, dup: bool) -> bytes | None:
        """The PUBLISH, or None when it is not to be sent any more: expired, or too large for this client."""

    def arrived(self) -> None:
        """The client has it, or never will."""

    def abandoned(self) -> None:
        """The session ends before the client has it."""


@dataclass(slots=True)
class TransientDelivery:
    """A message of the hub's own that means something only now: a direct method, a change of a twin."""

    topic: str
    payload: bytes = field(repr=False)
    qos: int
    properties: Properties | None = None
    transient: bool = True
    from_feed: bool = False

    @property
    def size(self) -> int:
        """Bytes in a queue."""
        return len(self.payload) + len(self.topic)

    def charge(self) -> int:
        """See `Delivery`."""
        return self.size

    def discharge(self) -> int:
        """See `Delivery`."""
        return self.size

    def encoded(self, packet_id: int, terms: Terms, *, dup: bool) -> bytes | None:
        """See `Delivery`."""
        try:
            packet = Publish(self.topic, self.payload, self.qos, False, dup, packet_id, self.properties)
            return fitting(encode(packet, terms.level), terms)
        except LeafwardError as error:
            logger.error("a message of the hub's own fits in no packet: %s", error)
            return None

    def arrived(self) -> None:
        """Nobody waits for it here."""

    def abandoned(self) -> None:
        """It went with its connection."""


@dataclass(slots=True)
class FeedDelivery:
    """A message of the message store, sent and not acknowledged. `topic` is as it was sent."""

    feed: "Feed"
    message: Message
    topic: str
    qos: int
    properties: Properties | None = None
    transient: bool = False
    from_feed: bool = True

    @property
    def size(self) -> int:
        """Bytes; the store has it, so it never waits in a queue."""
        return len(self.message.body) + len(self.topic)

    def charge(self) -> int:
        """It is in no queue."""
        return 0

    def discharge(self) -> int:
        """It is in no queue."""
        return 0

    def encoded(self, packet_id: int, terms: Terms, *, dup: bool) -> bytes | None:
        """See `Delivery`.

        A message that cannot be put in a packet would stand in the way of all that follow, at each attempt: it is told,
        acknowledged and dropped. `Intake` takes none such; an earlier version did.
        """
        if dup and self.feed.spec.topic_of(self.message) is None:  # its time has ended since it was first sent
            return None
        try:
            packet = Publish(self.topic, self.message.body, self.qos, False, dup, packet_id, self.properties)
            return fitting(encode(packet, terms.level), terms)
        except (LeafwardError, ValueError) as error:
            tell_unsendable(self.message, error)
            return None

    def arrived(self) -> None:
        """The store need not keep it for this endpoint."""
        self.feed.acknowledge(self.message)

    def abandoned(self) -> None:
        """The store has it still."""


def fitting(data: bytes, terms: Terms) -> bytes | None:
    """`data`, or None where the client takes no packet so large: then it is as if it had been sent (3.1.2-25)."""
    return data if terms.packet_size is None or len(data) <= terms.packet_size else None


def tell_unsendable(message: Message, error: Exception) -> None:
    """Logs a message of the store that fits in no packet."""
    logger.error("message %s of %r fits in no packet to its receiver: %s", message.id, message.device_id, error)
