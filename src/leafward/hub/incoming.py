"""What a client publishes: telemetry to the message store, requests to whoever answers them, the rest to plain topics.

It is also the sender that waits for its messages to be durable: every acknowledgement that means "I have it" follows
the disk where there is something to keep. A client may publish on its own topics, and on those that a policy allows.
MQTT 3.1.1 has no way to refuse a PUBLISH, so one on another's topic ends the connection; MQTT 5 has, at QoS 1 and 2.
"""

from leafward.errors import AccessDenied, LeafwardError
from leafward.hub.aliases import IncomingAliases
from leafward.hub.exchange import WHEN_WRITTEN
from leafward.hub.greeting import Admitted
from leafward.hub.hub import Hub
from leafward.hub.link import Connection, Hold
from leafward.hub.refusals import Refusal
from leafward.hub.sessions import Session
from leafward.hub.telemetry_properties import merged
from leafward.wire.hub_topics import Published, Telemetry
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL_5, Puback, Pubcomp, Publish, Pubrec, Pubrel
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import MqttFault, Reason

# A token of the message store: which acknowledgement is due, to which packet id.
_QOS_BITS = 2
# PUBACK of success, the same in both versions: its first byte, its length, then the packet id (3.4).
_PUBACK = b"\x40\x02"


class Incoming:
    """The incoming half of one client's conversation."""

    __slots__ = (
        "_aliases",
        "_connection",
        "_hub",
        "_last_parsed",
        "_last_topic",
        "_level",
        "_permit",
        "_session",
        "_tells",
        "_topics",
        "_unstored",
    )

    def __init__(self, hub: Hub, connection: Connection, session: Session, admitted: Admitted) -> None:
        self._hub = hub
        self._connection = connection
        self._session = session
        self._level = admitted.terms.level
        self._topics = admitted.topics
        self._permit = admitted.permit
        self._tells = admitted.asks_for_reasons and self._level == PROTOCOL_LEVEL_5
        self._aliases = IncomingAliases(hub.limits.topic_aliases) if self._level == PROTOCOL_LEVEL_5 else None
        self._unstored = 0
        # A device sends on the same topic again and again: it is taken apart once. None: a plain topic.
        self._last_topic = ""
        self._last_parsed: Published | None = None

    def publish(self, packet: Publish) -> None:
        """PUBLISH (3.3)."""
        if self._aliases is not None and packet.properties is not None and packet.properties.topic_alias is not None:
            self._aliases.resolve(packet, packet.properties.topic_alias)
        if packet.topic != self._last_topic and not self._judge(packet):
            return
        parsed = self._last_parsed
        if parsed is None:
            self._plain(packet)
        elif isinstance(parsed, Telemetry):
            self._telemetry(packet, parsed)
        elif packet.qos == 2 and self._repeated(packet):
            return
        else:
            self._acknowledge(packet.packet_id or 0, packet.qos)
            self._hub.requests.handle(self._session, self._session.peer, parsed, packet.payload)

    def pubrel(self, packet: Pubrel) -> None:
        """PUBREL (3.6): a QoS 2 message is released."""
        known = self._session.received.pop(packet.packet_id, None) is not None
        answer = Pubcomp(packet.packet_id, Reason.SUCCESS if known else Reason.PACKET_IDENTIFIER_NOT_FOUND)
        self._connection.send(encode(answer, self._level))

    def over(self) -> None:
        """The connection has ended: nobody needs to be told anything."""
        self._hub.intake.forget(self)
        self._hub.exchange.forget(self)

    # -- the disk's answers ------------------------------------------------------------------------------------------

    def stored(self, token: int) -> None:
        """A message is durable: acknowledge it."""
        self.less_unstored()
        self._acknowledge(token >> _QOS_BITS, token & 3)

    def not_stored(self, token: int, error: Exception) -> None:
        """A message is not kept. MQTT 3.1.1 has no word for that: the connection ends, the client sends it again."""
        if token & 3 == 2:
            self._session.received.pop(token >> _QOS_BITS, None)
        self.less_unstored()
        self._connection.end("not-stored", str(error), abort=True)

    def room_again(self) -> None:
        """The disk takes messages again."""
        self._connection.release(Hold.STORE_FULL)

    def more_unstored(self) -> None:
        """Something more of this client's waits for the disk; too much of that, and it is not read."""
        self._unstored += 1
        if self._unstored >= self._hub.limits.unstored:
            self._connection.hold(Hold.UNSTORED)

    def less_unstored(self) -> None:
        """Something is on the disk."""
        self._unstored -= 1
        if self._unstored <= self._hub.limits.unstored // 2:
            self._connection.release(Hold.UNSTORED)

    # -- one message -------------------------------------------------------------------------------------------------

    def _judge(self, packet: Publish) -> bool:
        """Takes a new topic apart. False when the message is refused."""
        allowed, retained = self._permit.may_publish(packet.topic)
        if allowed and (retained or not packet.retain):
            parsed = None
        elif allowed:
            return self._refuse(packet, "the client must not have messages retained there")
        else:
            try:
                parsed = self._topics.parse_publish(packet.topic)
            except AccessDenied as error:
                return self._refuse(packet, str(error))
        # A topic without the right to retain is judged each time.
        self._last_topic = packet.topic if parsed is not None or retained else ""
        self._last_parsed = parsed
        return True

    def _refuse(self, packet: Publish, why: str) -> bool:
        self._record("publish-not-allowed", why)
        if self._level == PROTOCOL_LEVEL_5 and packet.qos:
            self._refused(packet.packet_id or 0, packet.qos, Reason.NOT_AUTHORIZED, "the topic is not this client's")
        else:
            self._connection.end("publish-not-allowed")
        return False

    def _record(self, code: str, why: str) -> None:
        claimed, address = self._session.client_id, self._connection.address
        self._hub.refusals.record(Refusal(code, why), claimed=claimed, address=address, at=self._hub.clock())

    def _plain(self, packet: Publish) -> None:
        qos, packet_id = packet.qos, packet.packet_id or 0
        if qos == 2 and self._repeated(packet):
            return
        reason = self._hub.exchange.publish(self._session, packet, strict=qos > 0 and self._level == PROTOCOL_LEVEL_5)
        if not qos:
            return
        if reason == WHEN_WRITTEN:
            self.more_unstored()
            if not self._hub.exchange.when_written(self, packet_id << _QOS_BITS | qos):
                self._connection.hold(Hold.STORE_FULL)
        elif reason >= Reason.UNSPECIFIED_ERROR:
            self._session.received.pop(packet_id, None)
            self._refused(packet_id, qos, Reason(reason), "there is no room to retain the message")
        else:
            self._acknowledge(packet_id, qos, reason)

    def _telemetry(self, packet: Publish, parsed: Telemetry) -> None:
        if packet.qos == 2 and self._repeated(packet):
            return
        if packet.properties is not None:
            try:
                parsed = merged(parsed, packet.properties, self._hub.clock)
            except LeafwardError as error:
                self._unfit(packet, error)
                return
        self.more_unstored()
        more = self._hub.intake.take(
            self._session.peer,
            packet.payload,
            self,
            (packet.packet_id or 0) << _QOS_BITS | packet.qos,
            output=parsed.output,
            properties=parsed.properties,
            system=parsed.system,
        )
        if not more:
            self._connection.hold(Hold.STORE_FULL)

    def _unfit(self, packet: Publish, error: LeafwardError) -> None:
        """Properties that MQTT allows and telemetry cannot have: only this message is refused."""
        self._record("properties-refused", str(error))
        if packet.qos:
            self._session.received.pop(packet.packet_id or 0, None)
            self._refused(packet.packet_id or 0, packet.qos, Reason.IMPLEMENTATION_SPECIFIC_ERROR, error.what)

    def _repeated(self, packet: Publish) -> bool:
        """Whether this QoS 2 message is here already (4.3.3): then only the answer is repeated, once it is due."""
        assert packet.packet_id is not None
        received = self._session.received
        durable = received.get(packet.packet_id)
        if durable is None:
            if len(received) >= self._hub.limits.unstored:
                why = f"{len(received)} QoS 2 messages are not released"
                raise MqttFault("too many messages at once", why=why, reason=Reason.RECEIVE_MAXIMUM_EXCEEDED)
            received[packet.packet_id] = False
            return False
        if durable:
            self._connection.send(encode(Pubrec(packet.packet_id), self._level))
        return True

    def _acknowledge(self, packet_id: int, qos: int, reason: int = 0) -> None:
        if qos == 1:
            if reason and self._level == PROTOCOL_LEVEL_5:
                self._connection.send(encode(Puback(packet_id, reason), PROTOCOL_LEVEL_5))
            else:
                self._connection.send(_PUBACK + packet_id.to_bytes(2, "big"))
        elif qos == 2:
            self._session.received[packet_id] = True
            self._connection.send(encode(Pubrec(packet_id, reason), self._level))

    def _refused(self, packet_id: int, qos: int, reason: Reason, sentence: str) -> None:
        """To a client of MQTT 5: the message is not taken, and its packet id is free again (4.3.3)."""
        properties = Properties(reason_string=sentence) if self._tells else None
        packet = Puback(packet_id, reason, properties) if qos == 1 else Pubrec(packet_id, reason, properties)
        self._connection.send(encode(packet, self._level))
