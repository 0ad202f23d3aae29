"""What a client subscribes to: IoT Hub's topics that are its own, and plain ones that a policy allows.

Each filter is judged by itself, and an answer tells of each (3.9.3). A client that has its SUBACK never subscribes
again while its session lasts, so the answer follows the disk.
"""

from collections.abc import Sequence

from leafward.hub.greeting import Admitted
from leafward.hub.hub import Hub
from leafward.hub.incoming import Incoming
from leafward.hub.link import Connection
from leafward.hub.refusals import Refusal
from leafward.hub.sessions import Session
from leafward.hub.subscription import Subscription
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    PROTOCOL_LEVEL_5,
    SUBSCRIPTION_REFUSED,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
)
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import MqttFault, Reason
from leafward.wire.mqtt.topics import SHARE

# What is granted at most on IoT Hub's own topics: the hub sends nothing at QoS 2 there (3.8.4-6), nor does IoT Hub.
_HUB_QOS = 1
_SEND, _SEND_IF_NEW = 0, 1  # retain handling (MQTT 5, 3.8.3.1)


class Subscribing:
    """SUBSCRIBE and UNSUBSCRIBE of one conversation."""

    __slots__ = ("_connection", "_hub", "_incoming", "_level", "_permit", "_session", "_tells", "_topics")

    def __init__(
        self, hub: Hub, connection: Connection, session: Session, incoming: Incoming, admitted: Admitted
    ) -> None:
        self._hub = hub
        self._connection = connection
        self._session = session
        self._incoming = incoming
        self._level = admitted.terms.level
        self._topics = admitted.topics
        self._permit = admitted.permit
        self._tells = admitted.asks_for_reasons and self._level == PROTOCOL_LEVEL_5

    def subscribe(self, packet: Subscribe) -> None:
        """SUBSCRIBE (3.8). The answer says what was granted; then come the retained messages."""
        identifiers = () if packet.properties is None else packet.properties.subscription_identifier
        identifier = identifiers[0] if identifiers else None
        codes: list[int] = []
        granted: list[str] = []
        replays: list[str] = []
        for topic_filter, asked in packet.filters:
            options = SubscriptionOptions(asked) if isinstance(asked, int) else asked
            own = self._topics.may_subscribe(topic_filter)
            code, replay = self._one(topic_filter, options, identifier, own=own)
            codes.append(code)
            if own and code < SUBSCRIPTION_REFUSED:
                granted.append(topic_filter)
            if replay:
                replays.append(topic_filter)
        self._answer_when_kept(self._suback(packet.packet_id, codes), granted, replays)

    def unsubscribe(self, packet: Unsubscribe) -> None:
        """UNSUBSCRIBE (3.10)."""
        codes = tuple(
            Reason.SUCCESS
            if self._hub.broker.unsubscribe(self._session, topic_filter)
            else Reason.NO_SUBSCRIPTION_EXISTED
            for topic_filter in packet.filters
        )
        self._answer_when_kept(encode(Unsuback(packet.packet_id, codes), self._level), (), ())

    def _one(
        self, topic_filter: str, asked: SubscriptionOptions, identifier: int | None, *, own: bool
    ) -> tuple[int, bool]:
        """(the code for SUBACK, whether retained messages are to be sent). `own`: one of IoT Hub's topics."""
        share = topic_filter.startswith(SHARE)
        if share and asked.no_local:
            raise MqttFault("a shared subscription has No Local", reason=Reason.PROTOCOL_ERROR)  # 3.8.3-4
        if not own and not self._permit.may_subscribe(topic_filter):
            self._record(topic_filter)
            return Reason.NOT_AUTHORIZED, False
        qos = min(asked.qos, _HUB_QOS) if own else asked.qos
        subscription = Subscription(qos, asked.no_local, asked.retain_as_published, identifier)
        new = topic_filter not in self._session.plain
        if not self._hub.broker.subscribe(self._session, topic_filter, subscription, plain=not own):
            return Reason.QUOTA_EXCEEDED, False
        handling = asked.retain_handling
        return qos, not own and not share and (handling == _SEND or (handling == _SEND_IF_NEW and new))

    def _suback(self, packet_id: int, codes: Sequence[int]) -> bytes:
        """MQTT 3.1.1 has one code for every refusal."""
        if self._level != PROTOCOL_LEVEL_5:
            old = tuple(min(SUBSCRIPTION_REFUSED, code) for code in codes)
            return encode(Suback(packet_id, old))
        properties = None
        if self._tells and max(codes) >= SUBSCRIPTION_REFUSED:
            told = dict.fromkeys(_SENTENCES[code] for code in codes if code >= SUBSCRIPTION_REFUSED)
            properties = Properties(reason_string="; ".join(told))
        return encode(Suback(packet_id, tuple(codes), properties), PROTOCOL_LEVEL_5)

    def _record(self, topic_filter: str) -> None:
        self._hub.refusals.record(
            Refusal("subscribe-not-allowed", repr(topic_filter[:200])),
            claimed=self._session.client_id,
            address=self._connection.address,
            at=self._hub.clock(),
        )

    def _answer_when_kept(self, answer: bytes, granted: Sequence[str], replays: Sequence[str]) -> None:
        self._incoming.more_unstored()
        self._hub.broker.when_kept(self._session, lambda error: self._kept(answer, granted, replays, error))

    def _kept(self, answer: bytes, granted: Sequence[str], replays: Sequence[str], error: Exception | None) -> None:
        self._incoming.less_unstored()
        if error is not None:
            self._connection.end("not-stored", str(error), abort=True)
            return
        self._connection.send(answer)
        for topic_filter in replays:
            self._session.flow.replays[topic_filter] = self._hub.exchange.replay(self._session, topic_filter)
        self._session.pump()
        for topic_filter in granted:
            for told in self._hub.broker.subscribed:
                told(self._session, topic_filter)


_SENTENCES: dict[int, str] = {
    Reason.NOT_AUTHORIZED: "a topic filter is not this client's",
    Reason.QUOTA_EXCEEDED: "too many topic filters, or too long ones",
}
