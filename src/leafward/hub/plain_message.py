"""A message on a plain topic, and its way to one client at QoS 1 or 2.

One message may wait for many clients: it is one object, written once for all that want it alike.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from leafward.hub.delivery import Terms, fitting
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL_5, Publish
from leafward.wire.mqtt.properties import Properties, write
from leafward.wire.mqtt.publish_frame import PublishFrame

# Writings that a message remembers: a retained one stays, and clients choose their identifiers.
_FRAMES = 4
_FrameKey = tuple[int, int, bool, tuple[int, ...]]  # level, QoS, retain, identifiers


class Journal(Protocol):
    """Where a message is kept until its client has it."""

    def done(self, delivery: "PlainDelivery") -> None: ...


class PlainMessage:
    """A message as it was published. `expires` is when its time is over (seconds since 1970, UTC), None for never.

    `size`: bytes, for the bounds. `row` is its number in the journal, 0 for none; `kept` and `queued` are how many
    deliveries still need it there and in memory.
    """

    __slots__ = (
        "_first",
        "_first_key",
        "_frames",
        "expires",
        "kept",
        "payload",
        "properties",
        "qos",
        "queued",
        "retain",
        "row",
        "size",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        retain: bool,
        properties: Properties | None = None,
        expires: float | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
        self.expires = expires
        self.size = len(payload) + len(topic) + (0 if properties is None else properties_size(properties))
        self.row = 0
        self.kept = 0
        self.queued = 0
        self._first_key: _FrameKey | None = None
        self._first: PublishFrame
        self._frames: dict[_FrameKey, PublishFrame] | None = None

    def expired(self, clock: Callable[[], datetime]) -> bool:
        """Whether its time is over (MQTT 5, 3.3.2.3.3)."""
        return self.expires is not None and clock().timestamp() >= self.expires

    def frame(self, level: int, qos: int, retain: bool, identifiers: tuple[int, ...]) -> PublishFrame:
        """What all clients that want it alike share."""
        key = (level, qos, retain, identifiers)
        if self._first_key == key:  # nearly always the one and only
            return self._first
        frames = self._frames
        if frames is not None and (known := frames.get(key)) is not None:
            return known
        tail = self.payload
        if level == PROTOCOL_LEVEL_5:
            tail = write(with_identifiers(self.properties, identifiers), "PUBLISH") + tail
        frame = PublishFrame(self.topic.encode(), tail, qos=qos, retain=retain)
        if self._first_key is None:
            self._first_key, self._first = key, frame
            return frame
        if frames is None or len(frames) >= _FRAMES:
            frames = self._frames = {}
        frames[key] = frame
        return frame

    def packet(
        self,
        qos: int,
        terms: Terms,
        *,
        retain: bool,
        identifiers: tuple[int, ...],
        packet_id: int | None = None,
        dup: bool = False,
    ) -> bytes | None:
        """The PUBLISH for one client, on its terms: its alias of the topic, the time that is left. None where it is not
        to be sent: too late, or too large."""
        properties = self.properties
        if self.expires is not None:
            left = int(self.expires - terms.clock().timestamp())
            if left < 1:
                return None
            properties = changed(properties, message_expiry_interval=left)
        topic, alias = self.topic, None
        if terms.level == PROTOCOL_LEVEL_5:
            properties = with_identifiers(properties, identifiers)
            if terms.aliases is not None:
                topic, alias = terms.aliases.shorten(topic)
        if alias is not None:
            properties = changed(properties, topic_alias=alias)
        data = encode(Publish(topic, self.payload, qos, retain, dup, packet_id, properties), terms.level)
        sent = fitting(data, terms)
        if sent is None and alias is not None and topic and terms.aliases is not None:
            terms.aliases.forget(topic)
        return sent


class PlainDelivery:
    """One message for one client at QoS 1 or 2. See `Delivery`. `row` is its number in the journal, 0 for none; `size`
    is in bytes.
    """

    __slots__ = ("_again", "_journal", "identifiers", "message", "qos", "retain", "row", "size")

    transient = False
    from_feed = False

    def __init__(
        self,
        message: PlainMessage,
        qos: int,
        *,
        retain: bool,
        identifiers: tuple[int, ...] = (),
        journal: Journal | None = None,
        again: Callable[["PlainDelivery"], None] | None = None,
    ) -> None:
        """`journal` has it until it has arrived. `again` is told when the session ends before: another may get it."""
        self.message = message
        self.size = message.size
        self.qos = qos
        self.retain = retain
        self.identifiers = identifiers
        self.row = 0
        self._journal = journal
        self._again = again

    def charge(self) -> int:
        """See `Delivery`: the first of a message's deliveries pays for it."""
        message = self.message
        message.queued += 1
        return message.size if message.queued == 1 else 0

    def discharge(self) -> int:
        """See `Delivery`: with the last of a message's deliveries it goes."""
        message = self.message
        message.queued -= 1
        return 0 if message.queued else message.size

    def encoded(self, packet_id: int, terms: Terms, *, dup: bool) -> bytes | None:
        """See `Delivery`."""
        message = self.message
        if message.expires is None and terms.alike:  # the common case
            frame = message.frame(terms.level, self.qos, self.retain, self.identifiers)
            return frame.again(packet_id) if dup else frame.with_id(packet_id)
        return message.packet(
            self.qos, terms, retain=self.retain, identifiers=self.identifiers, packet_id=packet_id, dup=dup
        )

    def arrived(self) -> None:
        """The client has it."""
        if self._journal is not None:
            self._journal.done(self)

    def abandoned(self) -> None:
        """The session ends before the client has it."""
        self.arrived()
        if self._again is not None:
            self._again(self)


def changed(properties: Properties | None, **values: object) -> Properties:
    """A copy with these values."""
    copy = Properties() if properties is None else _copied(properties)
    for name, value in values.items():
        setattr(copy, name, value)
    return copy


def with_identifiers(properties: Properties | None, identifiers: tuple[int, ...]) -> Properties | None:
    """The properties of a message with the identifiers of the subscriptions that took it."""
    return changed(properties, subscription_identifier=identifiers) if identifiers else properties


def forwarded(properties: Properties | None) -> Properties | None:
    """What of a publisher's properties goes on to its receivers (MQTT 5, 3.3.2.3); None for nothing."""
    if properties is None:
        return None
    kept = _copied(properties)
    kept.topic_alias = kept.will_delay_interval = None
    kept.subscription_identifier = ()
    return None if kept == _NOTHING else kept


def properties_size(properties: Properties) -> int:
    """Bytes that the properties of a message are counted as."""
    texts = (properties.content_type, properties.response_topic, properties.correlation_data)
    size = sum(len(text) for text in texts if text is not None)
    return size + sum(len(name) + len(value) + 64 for name, value in properties.user_property)


def _copied(properties: Properties) -> Properties:
    return Properties(
        payload_format_indicator=properties.payload_format_indicator,
        message_expiry_interval=properties.message_expiry_interval,
        content_type=properties.content_type,
        response_topic=properties.response_topic,
        correlation_data=properties.correlation_data,
        subscription_identifier=properties.subscription_identifier,
        will_delay_interval=properties.will_delay_interval,
        topic_alias=properties.topic_alias,
        user_property=properties.user_property,
    )


_NOTHING = Properties()
