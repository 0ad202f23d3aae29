"""Sessions: what outlives a connection (MQTT 3.1.1, 3.1.2.4; MQTT 5, 4.1): subscriptions, messages, packet ids.

A session that lasts waits for its client. Its subscriptions are also on disk (`session_file`), because the Azure SDKs
do not subscribe again when they reconnect. Messages of the message store that are in flight are not: after a restart of
the hub they are still pending there and are sent again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from leafward.errors import LeafwardError
from leafward.hub.delivery import FeedDelivery, Terms, TransientDelivery, fitting, tell_unsendable
from leafward.hub.feeds import Feed
from leafward.hub.flow import Flow, QueueRoom, Receiver
from leafward.hub.peer import Peer
from leafward.hub.pressure import Publisher
from leafward.hub.subscription import Subscription
from leafward.store.messages import Message
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL_5, Publish
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.topics import filter_takes

# What a PUBLISH of the hub's own has beside its topic and payload, at most: lengths, packet id, one property.
PACKET_HEAD = 24
# Seconds of a session without an end (MQTT 5, 3.1.2.11.2); of every one of MQTT 3.1.1 with CleanSession 0.
FOREVER = 0xFFFF_FFFF


class Session:
    """One client's state. `receiver` is None while the client is away.

    `subscriptions` are on IoT Hub's topics, `plain` on others that a policy allows. `expiry`: for how many seconds the
    session waits for its client, 0 for not at all, `FOREVER`. `left`: since when (UTC), None while the client is here.
    """

    __slots__ = (
        "client_id",
        "expiry",
        "feeds",
        "flow",
        "kept",
        "left",
        "peer",
        "plain",
        "publisher",
        "recalled",
        "received",
        "subscriptions",
        "terms",
    )

    def __init__(self, peer: Peer, *, clean: bool, room: QueueRoom | None = None, first_id: int = 0) -> None:
        self.peer = peer
        self.client_id = peer.client_id
        self.expiry = 0 if clean else FOREVER
        self.left: datetime | None = None
        self.terms: Terms | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.plain: dict[str, Subscription] = {}
        self.feeds: dict[str, Feed] = {}
        self.flow = Flow(QueueRoom() if room is None else room, first_id=first_id)
        # QoS 2 packet ids that came in and are not released; True once the message is durable.
        self.received: dict[int, bool] = {}
        # Those among them that came in an earlier run of the hub; None for none.
        self.recalled: set[int] | None = None
        # Who publishes on its connection; None while the client is away.
        self.publisher: Publisher | None = None
        # Its entry in the file of sessions; None when there is none or it has changed.
        self.kept: bytes | None = None

    @property
    def clean(self) -> bool:
        """Whether it ends with its connection."""
        return self.expiry == 0

    @property
    def receiver(self) -> Receiver | None:
        """The connection, while the client is here."""
        return self.flow.receiver

    @property
    def connected(self) -> bool:
        """Whether the client is here."""
        return self.flow.receiver is not None

    def expired(self, now: datetime) -> bool:
        """Whether nobody needs to wait for the client any more."""
        if self.left is None or self.expiry == FOREVER:
            return False
        return now >= self.left + timedelta(seconds=self.expiry)

    def belongs_to(self, peer: Peer) -> bool:
        """Whether `peer` is the same registration, not one that took its name later."""
        return self.peer.generation_id == peer.generation_id

    def attach(self, receiver: Receiver, peer: Peer, terms: Terms) -> None:
        """The client is here: what was in flight is sent again with DUP (4.4.0-1), then what has come meanwhile."""
        self.peer, self.terms, self.left = peer, terms, None
        self.flow.begin(receiver, terms)
        self.pump()

    def detach(self, now: datetime | None = None) -> None:
        """The client is away, since `now`."""
        self.terms, self.left = None, now
        self.flow.close()

    def recall(self, packet_id: int) -> None:
        """A QoS 2 message has come with this packet id in an earlier run of the hub, and was not released."""
        self.received[packet_id] = True
        if self.recalled is None:
            self.recalled = set()
        self.recalled.add(packet_id)

    def forget_received(self, packet_id: int) -> bool:
        """The packet id is free again. Whether it was not."""
        if self.recalled is not None:
            self.recalled.discard(packet_id)
        return self.received.pop(packet_id, None) is not None

    def granted(self, topic: str) -> int | None:
        """The QoS of what is sent on one of IoT Hub's topics, None where no subscription takes it."""
        return max((one.qos for text, one in self.subscriptions.items() if filter_takes(text, topic)), default=None)

    def takes(self, topic: str) -> bool:
        """Whether a subscription takes this topic of IoT Hub's."""
        return any(filter_takes(text, topic) for text in self.subscriptions)

    def send(
        self, topic: str, payload: bytes, *, qos: int = 0, properties: Properties | None = None, always: bool = False
    ) -> bool:
        """Sends the client a message that means something only now, at the QoS granted to it at most.

        False when it is not sent and never will be: the client is away, has not subscribed to the topic, does not keep
        up, or takes no packet so large. With QoS 1 it may wait its turn; it ends with the connection, unacknowledged or
        not. `properties` are for clients of MQTT 5. `always`: where it has not subscribed, at QoS 0, as if it had
        (4.5 of MQTT 5 leaves that to the server).
        """
        receiver, terms, granted = self.flow.receiver, self.terms, self.granted(topic)
        if always and granted is None:
            granted = 0
        if receiver is None or terms is None or granted is None:
            return False
        if terms.packet_size is not None and len(topic.encode()) + len(payload) + PACKET_HEAD > terms.packet_size:
            return False
        if properties is None and terms.level == PROTOCOL_LEVEL_5:
            properties = self._identified(topic, None)
        if min(qos, granted):
            return self.flow.offer(TransientDelivery(topic, payload, 1, properties))
        if not (receiver.writable or receiver.roomy):
            return False
        receiver.send(encode(Publish(topic, payload, properties=properties), terms.level))
        return True

    def pump(self) -> None:
        """Lets everything that waits for this client go as far as the window allows: feeds, then the queue."""
        for feed in list(self.feeds.values()):
            feed.pump()
        self.flow.pump()

    def deliver(self, feed: Feed, message: Message) -> None:
        """Sends a message of the store; the client must be here and have room."""
        assert self.terms is not None
        try:
            topic = feed.spec.topic_of(message)
        except (LeafwardError, ValueError) as error:
            tell_unsendable(message, error)
            topic = None
        if topic is None:
            feed.acknowledge(message)
            return
        properties = self._properties(topic, message) if self.terms.level == PROTOCOL_LEVEL_5 else None
        if feed.spec.qos:
            self.flow.send(FeedDelivery(feed, message, topic, 1, properties))
        else:
            self._deliver_once(message, topic, properties)
            feed.acknowledge(message)

    def _deliver_once(self, message: Message, topic: str, properties: Properties | None) -> None:
        assert self.receiver is not None
        assert self.terms is not None
        try:
            data = encode(Publish(topic, message.body, properties=properties), self.terms.level)
        except (LeafwardError, ValueError) as error:
            tell_unsendable(message, error)
            return
        if fitting(data, self.terms) is not None:
            self.receiver.send(data)

    def _identified(self, topic: str, properties: Properties | None) -> Properties | None:
        """`properties` with the identifiers of the subscriptions that take `topic` (MQTT 5, 3.3.4-3)."""
        identifiers = _identifiers(self.subscriptions, topic)
        if not identifiers:
            return properties
        found = Properties() if properties is None else properties
        found.subscription_identifier = identifiers
        return found

    def _properties(self, topic: str, message: Message) -> Properties | None:
        """What a client of MQTT 5 gets beside the topic's property bag: the same properties as the text has them."""
        system = message.system
        correlation = system.get("correlationId")
        if not message.properties and "contentType" not in system and correlation is None:
            return self._identified(topic, None)
        properties = Properties(
            content_type=system.get("contentType"),
            correlation_data=None if correlation is None else correlation.encode(),
            user_property=tuple(message.properties.items()),
        )
        return self._identified(topic, properties)

    def acknowledged(self, packet_id: int) -> bool:
        """PUBACK has come. Returns False for an id that is not in flight, which a client may send after a restart."""
        if not self.flow.acknowledged(packet_id):
            return False
        self.proceed()
        return True

    def proceed(self) -> None:
        """Room has become free in the window."""
        flow = self.flow
        if flow.waiting or flow.again or flow.replays:
            flow.pump()
        if self.feeds:
            for feed in list(self.feeds.values()):
                feed.proceed()


def _identifiers(subscriptions: dict[str, Subscription], topic: str) -> tuple[int, ...]:
    found: Iterable[int | None] = (one.identifier for text, one in subscriptions.items() if filter_takes(text, topic))
    return tuple(number for number in found if number is not None)
