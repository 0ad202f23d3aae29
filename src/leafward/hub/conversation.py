"""What MQTT packets mean to the hub: one conversation a connection, from CONNECT to its end.

No bytes, sockets or timers here: packets come in by `receive`, answers go out through the connection. A client may
publish and subscribe on its own topics only. MQTT 3.1.1 has no way to refuse a PUBLISH, so one on another's topic ends
the connection; a SUBSCRIBE is refused filter by filter. Every answer that means "I have it" follows the disk.

Later work: twins (a request is answered with status 501) and direct methods (none is sent: a response means nothing).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from leafward.errors import AccessDenied, LeafwardError, ProtocolError
from leafward.hub.hub import Hub
from leafward.hub.link import Connection, Hold
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.sessions import Session
from leafward.wire.hub_topics import HubTopics, Published, Telemetry, TwinGet, TwinReported, twin_response_topic
from leafward.wire.mqtt import packets
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from leafward.wire.mqtt.topics import filter_takes

# A token of the message store: which acknowledgement is due, to which packet id.
_QOS_BITS = 2
_NOT_IMPLEMENTED = 501
_NO_TWINS = b'{"errorCode":501000,"message":"twins are not implemented"}'


class Conversation:
    """One client's conversation. It is also the sender that waits for its messages to be durable."""

    __slots__ = (
        "_connection",
        "_hub",
        "_last_parsed",
        "_last_topic",
        "_peer",
        "_session",
        "_topics",
        "_unstored",
        "_will",
    )

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub = hub
        self._connection = connection
        self._peer: Peer | None = None
        self._topics: HubTopics | None = None
        self._session: Session | None = None
        self._will: Will | None = None
        self._unstored = 0
        # A device sends on the same topic again and again: it is taken apart once.
        self._last_topic = ""
        self._last_parsed: Published | None = None

    @property
    def peer(self) -> Peer | None:
        """Who is connected; None before CONNECT is accepted."""
        return self._peer

    def receive(self, packet: Packet) -> None:
        """One packet from the client. Raises `ProtocolError` for one that may not come now (3.1.0-1, 3.1.0-2)."""
        if self._session is None:
            if not isinstance(packet, Connect):
                raise ProtocolError("the first packet is no CONNECT", why=f"got {type(packet).__name__}")
            self._connect(packet)
            return
        handle = self._handlers.get(type(packet))
        if handle is None:
            raise ProtocolError("a client does not send this now", why=f"got {type(packet).__name__}")
        handle(self, packet)

    def over(self, *, graceful: bool) -> None:
        """The connection has ended. Without a goodbye the will is published (3.1.2-8)."""
        self._hub.intake.forget(self)
        if self._session is None:
            return
        self._hub.broker.leave(self._session, self._connection)
        if self._will is not None and not graceful:
            self._publish_will(self._will)

    def writable_again(self) -> None:
        """The client keeps up again."""
        if self._session is not None:
            self._session.pump()

    # -- the message store's answers ---------------------------------------------------------------------------------

    def stored(self, token: int) -> None:
        """A message is durable: acknowledge it."""
        packet_id, qos = token >> _QOS_BITS, token & 3
        if qos == 2 and self._session is not None:
            self._session.received[packet_id] = True
        self._less_unstored()
        if qos == 1:
            self._connection.send(encode(Puback(packet_id)))
        elif qos == 2:
            self._connection.send(encode(Pubrec(packet_id)))

    def not_stored(self, token: int, error: Exception) -> None:
        """A message is not kept. MQTT has no word for that: the connection ends, and the client sends it again."""
        if token & 3 == 2 and self._session is not None:
            self._session.received.pop(token >> _QOS_BITS, None)
        self._less_unstored()
        self._connection.end("not-stored", str(error), abort=True)

    def room_again(self) -> None:
        """The message store takes messages again."""
        self._connection.release(Hold.STORE_FULL)

    def _less_unstored(self) -> None:
        self._unstored -= 1
        if self._unstored <= self._hub.limits.unstored // 2:
            self._connection.release(Hold.UNSTORED)

    # -- packets -----------------------------------------------------------------------------------------------------

    def _connect(self, packet: Connect) -> None:
        if packet.level != packets.PROTOCOL_LEVEL:
            self._refuse(
                packet, Refusal("mqtt-version", f"level {packet.level}"), packets.UNACCEPTABLE_PROTOCOL_VERSION
            )
            return
        now = self._hub.clock()
        judgement = self._hub.authenticator.login(
            packet.username, packet.client_id, packet.password, self._connection.presented, now
        )
        if isinstance(judgement, Refusal):
            self._refuse(packet, judgement, packets.NOT_AUTHORISED)
            return
        self._topics = HubTopics(judgement.device_id, judgement.module_id)
        if (refusal := _wrong_will(self._topics, packet.will)) is not None:
            self._refuse(packet, refusal, packets.NOT_AUTHORISED)
            return
        self._welcome(packet, judgement, now)

    def _welcome(self, packet: Connect, peer: Peer, now: datetime) -> None:
        self._peer, self._will = peer, packet.will
        session, present = self._hub.broker.enter(peer, self._connection, clean=packet.clean_session)
        self._session = session
        self._hub.metrics.accepted += 1
        self._connection.established(packet.keep_alive, (peer.until - now).total_seconds())
        self._connection.send(encode(Connack(packets.ACCEPTED, session_present=present)))
        session.attach(self._connection, peer)

    def _refuse(self, packet: Connect, refusal: Refusal, return_code: int) -> None:
        """One answer, whatever the reason; the reason stays here."""
        self._record(refusal, packet.client_id)
        self._connection.send(encode(Connack(return_code)))
        self._connection.end(refusal.code)

    def _record(self, refusal: Refusal, claimed: str) -> None:
        self._hub.refusals.record(refusal, claimed=claimed, address=self._connection.address, at=self._hub.clock())

    def _publish(self, packet: Publish) -> None:
        assert self._peer is not None
        assert self._topics is not None
        if packet.topic != self._last_topic:
            try:
                parsed = self._topics.parse_publish(packet.topic)
            except AccessDenied as error:
                self._record(Refusal("publish-not-allowed", str(error)), self._peer.client_id)
                self._connection.end("publish-not-allowed")
                return
            self._last_topic, self._last_parsed = packet.topic, parsed
        if isinstance(self._last_parsed, Telemetry):
            self._telemetry(packet, self._last_parsed)
        else:
            self._not_telemetry(packet, self._last_parsed)

    def _telemetry(self, packet: Publish, parsed: Telemetry) -> None:
        assert self._peer is not None
        if packet.qos == 2 and self._repeated(packet):
            return
        self._unstored += 1
        token = (packet.packet_id or 0) << _QOS_BITS | packet.qos
        more = self._hub.intake.take(
            self._peer,
            packet.payload,
            self,
            token,
            output=parsed.output,
            properties=parsed.properties,
            system=parsed.system,
        )
        if not more:
            self._connection.hold(Hold.STORE_FULL)
        if self._unstored >= self._hub.limits.unstored:
            self._connection.hold(Hold.UNSTORED)

    def _repeated(self, packet: Publish) -> bool:
        """Whether this QoS 2 message is here already (4.3.3): then only the answer is repeated, once it is due."""
        assert self._session is not None
        assert packet.packet_id is not None
        durable = self._session.received.get(packet.packet_id)
        if durable is None:
            self._session.received[packet.packet_id] = False
            return False
        if durable:
            self._connection.send(encode(Pubrec(packet.packet_id)))
        return True

    def _not_telemetry(self, packet: Publish, parsed: Published | None) -> None:
        """Twin requests and method responses: nothing to keep, so they are acknowledged at once."""
        assert self._session is not None
        if packet.qos == 1:
            self._connection.send(encode(Puback(packet.packet_id or 0)))
        elif packet.qos == 2:
            self._session.received[packet.packet_id or 0] = True
            self._connection.send(encode(Pubrec(packet.packet_id or 0)))
        if isinstance(parsed, TwinGet | TwinReported):
            topic = twin_response_topic(_NOT_IMPLEMENTED, parsed.request_id)
            if any(filter_takes(text, topic) for text in self._session.subscriptions):
                self._connection.send(encode(Publish(topic, _NO_TWINS)))

    def _pubrel(self, packet: Pubrel) -> None:
        assert self._session is not None
        self._session.received.pop(packet.packet_id, None)
        self._connection.send(encode(Pubcomp(packet.packet_id)))

    def _puback(self, packet: Puback) -> None:
        assert self._session is not None
        if self._session.acknowledged(packet.packet_id):
            self._hub.metrics.messages_out += 1

    def _subscribe(self, packet: Subscribe) -> None:
        assert self._session is not None
        codes = tuple(
            self._subscribe_one(name, asked if isinstance(asked, int) else asked.qos) for name, asked in packet.filters
        )
        self._answer_when_kept(encode(Suback(packet.packet_id, codes)))

    def _subscribe_one(self, topic_filter: str, qos: int) -> int:
        assert self._peer is not None
        assert self._topics is not None
        assert self._session is not None
        if not self._topics.may_subscribe(topic_filter):
            self._record(Refusal("subscribe-not-allowed", repr(topic_filter[:200])), self._peer.client_id)
            return packets.SUBSCRIPTION_REFUSED
        # QoS 1 is the most that is granted: the hub sends nothing at QoS 2 (3.8.4-6).
        granted = self._hub.broker.subscribe(self._session, topic_filter, min(qos, 1))
        return packets.SUBSCRIPTION_REFUSED if granted is None else granted

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        assert self._session is not None
        for topic_filter in packet.filters:
            self._hub.broker.unsubscribe(self._session, topic_filter)
        self._answer_when_kept(encode(Unsuback(packet.packet_id)))

    def _answer_when_kept(self, answer: bytes) -> None:
        """A client that has its SUBACK never subscribes again: with a lasting session, the disk comes first."""
        assert self._session is not None
        self._unstored += 1
        self._hub.broker.when_kept(self._session, lambda error: self._kept(answer, error))
        if self._unstored >= self._hub.limits.unstored:
            self._connection.hold(Hold.UNSTORED)

    def _kept(self, answer: bytes, error: Exception | None) -> None:
        assert self._session is not None
        self._less_unstored()
        if error is not None:
            self._connection.end("not-stored", str(error), abort=True)
            return
        self._connection.send(answer)
        self._session.pump()

    def _pingreq(self, _packet: Pingreq) -> None:
        self._connection.send(encode(Pingresp()))

    def _disconnect(self, _packet: Disconnect) -> None:
        self._connection.end("disconnected", graceful=True)

    # -- the will ----------------------------------------------------------------------------------------------------

    def _publish_will(self, will: Will) -> None:
        assert self._peer is not None
        assert self._topics is not None
        parsed = self._topics.parse_publish(will.topic)
        assert isinstance(parsed, Telemetry)
        # IoT Hub marks such a message so that the back end can tell it from telemetry.
        properties = {**parsed.properties, "iothub-MessageType": "Will"}
        self._unstored += 1
        self._hub.intake.take(
            self._peer, will.payload, self, 0, output=parsed.output, properties=properties, system=parsed.system
        )

    # What a client may send after CONNECT; everything else ends the connection.
    _handlers: ClassVar[Mapping[type, Callable[["Conversation", Any], None]]] = {
        Publish: _publish,
        Puback: _puback,
        Pubrel: _pubrel,
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        Pingreq: _pingreq,
        Disconnect: _disconnect,
    }


def _wrong_will(topics: HubTopics, will: Will | None) -> Refusal | None:
    if will is None:
        return None
    try:
        parsed = topics.parse_publish(will.topic)
    except LeafwardError as error:
        return Refusal("will-not-allowed", str(error))
    return None if isinstance(parsed, Telemetry) else Refusal("will-not-allowed", "a will is telemetry")
