"""What a client publishes: telemetry to the message store, requests to whoever answers them, the rest to plain topics.

It is also the sender that waits for its messages to be durable: every acknowledgement that means "I have it" follows
the disk where there is something to keep. A client may publish on its own topics, and on those that a policy allows.
MQTT 3.1.1 has no way to refuse a PUBLISH, so one on another's topic ends the connection; MQTT 5 has, at QoS 1 and 2.
"""

import logging
from collections import deque

from leafward.errors import AccessDenied, LeafwardError
from leafward.hub.aliases import IncomingAliases
from leafward.hub.exchange import WHEN_WRITTEN
from leafward.hub.greeting import Admitted
from leafward.hub.hub import Hub
from leafward.hub.link import Connection, Hold
from leafward.hub.plain_message import properties_size
from leafward.hub.pressure import Brake
from leafward.hub.refusals import Refusal
from leafward.hub.sessions import Session
from leafward.hub.telemetry_properties import merged
from leafward.wire.hub_topics import Published, Telemetry
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL_5, Puback, Pubcomp, Publish, Pubrec, Pubrel
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import MqttFault, Reason

logger = logging.getLogger(__name__)

# A token of the message store: which acknowledgement is due, to which packet id.
_QOS_BITS = 2
# PUBACK of success, the same in both versions: its first byte, its length, then the packet id (3.4).
_PUBACK = b"\x40\x02"
# Why a message is not taken, and whether it was to be retained.
_NO_ROOM = {False: "too much waits for everybody who gets it", True: "there is no room to retain the message"}
# Messages and bytes of one client that wait for slow subscribers; beyond either it is not read.
MOST_ASIDE = 256
MOST_ASIDE_BYTES = 65_536


class Incoming:
    """The incoming half of one client's conversation."""

    __slots__ = (
        "_aliases",
        "_aside",
        "_aside_bytes",
        "_connection",
        "_hub",
        "_last_parsed",
        "_last_topic",
        "_level",
        "_permit",
        "_session",
        "_telemeters",
        "_tells",
        "_topics",
        "_unstored",
        "brake",
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
        # Plain messages that wait for slow subscribers; None where none has to.
        self._aside: deque[Publish] | None = None
        self._aside_bytes = 0
        self.brake: Brake | None = None
        self._telemeters = False
        session.publisher = self
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
            if self._aside is None and packet.qos != 2:  # nearly always
                self._publish(packet)
            else:
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
        known = self._session.forget_received(packet.packet_id)
        if known and not self._session.clean:
            # After a restart the client would send it again with DUP; a new message with the same id has none.
            self._hub.exchange.received(self._session, packet.packet_id, here=False)
        answer = Pubcomp(packet.packet_id, Reason.SUCCESS if known else Reason.PACKET_IDENTIFIER_NOT_FOUND)
        self._connection.send(encode(answer, self._level))

    def over(self) -> None:
        """The connection has ended: nobody needs to be told anything."""
        self._hub.intake.forget(self)
        self._hub.exchange.forget(self)
        self._hub.exchange.pressure.forget(self)
        aside, self._aside = self._aside, None
        for packet in aside or ():
            if packet.qos == 2:  # it comes again, and is then none that was here already
                self._session.received.pop(packet.packet_id or 0, None)
        if self._session.publisher is self:
            self._session.publisher = None

    # -- slow subscribers --------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Who gets its messages does not keep up: those of QoS 1 and 2, and retained ones, are set aside."""
        if self._aside is None:
            self._aside = deque()

    def go_on(self) -> None:
        """They have caught up, or it has waited long enough."""
        aside, self._aside = self._aside, None
        try:
            while aside and not self._waits:
                packet = aside.popleft()
                self._aside_bytes -= _size(packet)
                self._publish(packet)
        except Exception as error:
            logger.exception("a fault ends the connection from %s", self._connection.address)
            self._connection.end("internal-error", str(error), abort=True)
            return
        if self._waits:  # again
            self._aside = aside
        else:
            self._connection.release(Hold.SUBSCRIBER_SLOW)

    @property
    def _waits(self) -> bool:
        return self._aside is not None

    def _set_aside(self, aside: deque[Publish], packet: Publish) -> None:
        """Too much of that, and the client is not read from; one that sends telemetry is, and the newest is dropped."""
        much = len(aside) >= MOST_ASIDE or self._aside_bytes >= MOST_ASIDE_BYTES
        if much and self._telemeters:
            self._hub.metrics.dropped["queue-full"] += 1
            self._no_room(packet)
            return
        aside.append(packet)
        self._aside_bytes += _size(packet)
        if not self._telemeters and (len(aside) >= MOST_ASIDE or self._aside_bytes >= MOST_ASIDE_BYTES):
            self._connection.hold(Hold.SUBSCRIBER_SLOW)

    def _no_room(self, packet: Publish) -> None:
        """MQTT 3.1.1 has no word for that."""
        packet_id, qos = packet.packet_id or 0, packet.qos
        if qos and self._level == PROTOCOL_LEVEL_5:
            self._session.received.pop(packet_id, None)
            self._refused(packet_id, qos, Reason.QUOTA_EXCEEDED, _NO_ROOM[packet.retain])
        else:
            self._acknowledge(packet_id, qos)

    # -- the disk's answers ------------------------------------------------------------------------------------------

    def stored(self, token: int) -> None:
        """A message is durable: acknowledge it."""
        self.less_unstored()
        self._acknowledge(token >> _QOS_BITS, token & 3)

    def not_stored(self, token: int, error: Exception) -> None:
        """A message is not kept. MQTT 3.1.1 has no word for that: the connection ends, the client sends it again."""
        if token & 3 == 2:
            known = self._session.forget_received(token >> _QOS_BITS)
            if known and not self._session.clean:
                self._hub.exchange.received(self._session, token >> _QOS_BITS, here=False)
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
        if packet.qos == 2 and self._repeated(packet):
            return
        if self._aside is not None and (packet.qos or packet.retain):
            self._set_aside(self._aside, packet)
        else:
            self._publish(packet)

    def _publish(self, packet: Publish) -> None:
        qos, packet_id = packet.qos, packet.packet_id or 0
        reason = self._hub.exchange.publish(self._session, packet, strict=qos > 0 and self._level == PROTOCOL_LEVEL_5)
        if qos == 2 and not self._session.clean and reason < Reason.UNSPECIFIED_ERROR:
            self._hub.exchange.received(self._session, packet_id, here=True)
            reason = WHEN_WRITTEN
        if not qos:
            return
        if not reason and qos == 1:  # as `_acknowledge`, for nearly every message
            self._connection.send(_PUBACK + packet_id.to_bytes(2, "big"))
        elif reason == WHEN_WRITTEN:
            self.more_unstored()
            if not self._hub.exchange.when_written(self, packet_id << _QOS_BITS | qos):
                self._connection.hold(Hold.STORE_FULL)
        elif reason >= Reason.UNSPECIFIED_ERROR:
            self._no_room(packet)
        else:
            self._acknowledge(packet_id, qos, reason)

    def _telemetry(self, packet: Publish, parsed: Telemetry) -> None:
        self._telemeters = True
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
        recalled = self._session.recalled
        if recalled and packet.packet_id in recalled and not packet.dup:
            # Of an earlier run of the hub: its release was not written any more. This is another message (3.3.1-1).
            self._session.forget_received(packet.packet_id)
            durable = None
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


def _size(packet: Publish) -> int:
    """Bytes that a message set aside is counted as."""
    properties = 0 if packet.properties is None else properties_size(packet.properties)
    return len(packet.payload) + len(packet.topic) + properties
