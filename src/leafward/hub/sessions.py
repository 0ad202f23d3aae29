"""Sessions: what outlives a connection (MQTT 3.1.1, 3.1.2.4): subscriptions, messages in flight, QoS 2 packet ids.

A session with CleanSession 0 waits for its client. Its subscriptions are also on disk (`session_file`), because the
Azure SDKs do not subscribe again when they reconnect. Messages in flight are not: after a restart of the hub they are
still pending in the message store and are sent again.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from leafward.errors import LeafwardError
from leafward.hub.module_inputs import InputFeed
from leafward.hub.peer import Peer
from leafward.store.messages import Message
from leafward.wire.hub_topics import input_topic
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import MAX_PACKET_ID, Publish

logger = logging.getLogger(__name__)


class Receiver(Protocol):
    """The connection that a session has just now."""

    @property
    def writable(self) -> bool: ...
    def send(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class InFlight:
    """A message that was sent with QoS 1 and is not acknowledged. `topic` is as it was sent."""

    feed: InputFeed
    message: Message
    topic: str


class Session:
    """One client's state. `receiver` is None while the client is away."""

    __slots__ = (
        "_next_id",
        "clean",
        "client_id",
        "feeds",
        "in_flight",
        "kept",
        "peer",
        "received",
        "receiver",
        "subscriptions",
    )

    def __init__(self, peer: Peer, *, clean: bool) -> None:
        self.peer = peer
        self.client_id = peer.client_id
        self.clean = clean
        self.receiver: Receiver | None = None
        self.subscriptions: dict[str, int] = {}
        self.feeds: dict[str, InputFeed] = {}
        self.in_flight: dict[int, InFlight] = {}
        # QoS 2 packet ids that came in and are not released; True once the message is durable.
        self.received: dict[int, bool] = {}
        # Its entry in the file of sessions; None when there is none or it has changed.
        self.kept: bytes | None = None
        self._next_id = 0

    def belongs_to(self, peer: Peer) -> bool:
        """Whether `peer` is the same registration, not one that took its name later."""
        return self.peer.generation_id == peer.generation_id

    def attach(self, receiver: Receiver, peer: Peer) -> None:
        """The client is here: what was in flight is sent again with DUP (4.4.0-1), then what has come meanwhile."""
        self.receiver, self.peer = receiver, peer
        for packet_id, sent in self.in_flight.items():
            receiver.send(encode(Publish(sent.topic, sent.message.body, 1, False, True, packet_id)))
        self.pump()

    def detach(self) -> None:
        """The client is away."""
        self.receiver = None

    def pump(self, feeds: Iterable[InputFeed] | None = None) -> None:
        """Lets the feeds send what the window allows."""
        for feed in list(self.feeds.values() if feeds is None else feeds):
            feed.pump()

    def deliver(self, feed: InputFeed, message: Message) -> None:
        """Sends a message to an input of this module; the client must be here.

        A message that cannot be put in a packet would stand in the way of all that follow, at each attempt: it is
        told, acknowledged and dropped. `Intake` takes none such; an earlier version did.
        """
        assert self.receiver is not None
        assert self.peer.module_id is not None
        packet_id = None if feed.qos == 0 else self._free_id()
        try:
            topic = input_topic(self.peer.device_id, self.peer.module_id, feed.input_name, message)
            data = encode(Publish(topic, message.body, min(feed.qos, 1), False, False, packet_id))
        except (LeafwardError, ValueError) as error:
            logger.error("message %s of %r fits in no packet to a module: %s", message.id, message.device_id, error)
            feed.acknowledge(message)
            return
        if packet_id is None:
            self.receiver.send(data)
            feed.acknowledge(message)
            return
        self.in_flight[packet_id] = InFlight(feed, message, topic)
        self.receiver.send(data)

    def acknowledged(self, packet_id: int) -> bool:
        """PUBACK has come. Returns False for an id that is not in flight, which a client may send after a restart."""
        sent = self.in_flight.pop(packet_id, None)
        if sent is None:
            return False
        sent.feed.acknowledge(sent.message)
        if len(self.in_flight) <= sent.feed.window // 2:
            self.pump()
        return True

    def _free_id(self) -> int:
        # The window is far smaller than the number of ids, so there is always a free one.
        while True:
            self._next_id = self._next_id % MAX_PACKET_ID + 1
            if self._next_id not in self.in_flight:
                return self._next_id
