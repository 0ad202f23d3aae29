"""The bodies of MQTT 5's packets, read strictly (OASIS mqtt-v5.0, chapter 3); PUBLISH among them.

Apart from `bodies` so that each version's reader follows its own text. A reader takes a whole body and leaves nothing
unread.
"""

from collections.abc import Callable, Mapping
from typing import Any

from leafward.wire.mqtt.connect_flags import CLEAN_SESSION, PASSWORD, USERNAME, WILL, WILL_RETAIN, connect_flags
from leafward.wire.mqtt.cursor import Body
from leafward.wire.mqtt.packets import (
    AUTH,
    CONNACK,
    DISCONNECT,
    MAX_FILTERS,
    PINGREQ,
    PINGRESP,
    PROTOCOL_LEVEL_5,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Auth,
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
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Will,
)
from leafward.wire.mqtt.properties import read
from leafward.wire.mqtt.reasons import MqttFault, Reason
from leafward.wire.mqtt.topics import check_filter, check_name, read_text


def connect5(body: Body) -> Connect:
    """CONNECT after its protocol name and level (3.1)."""
    flags = connect_flags(body)
    keep_alive = body.number()
    properties = read(body, "CONNECT")
    if properties and properties.authentication_data is not None and properties.authentication_method is None:
        raise MqttFault("CONNECT has authentication data without a method", reason=Reason.PROTOCOL_ERROR)
    client_id = body.text("client id")
    will = _will(body, flags) if flags & WILL else None
    username = body.text("user name") if flags & USERNAME else None
    password = body.binary() if flags & PASSWORD else None
    body.end()
    clean = bool(flags & CLEAN_SESSION)
    return Connect(
        client_id, keep_alive, clean, username, password, will, level=PROTOCOL_LEVEL_5, properties=properties
    )


def publish5(first: int, data: bytes) -> Publish:
    """PUBLISH (3.3). The topic may be empty where an alias stands for it; who knows the aliases resolves it."""
    body = Body("PUBLISH", data)
    raw = body.binary()
    qos = first >> 1 & 3
    if qos == 3 or (qos == 0 and first & 8):
        body.malformed(f"got QoS {qos} and DUP {first >> 3 & 1}")
    packet_id = body.packet_id() if qos else None
    properties = read(body, "PUBLISH")
    topic = check_name(read_text(raw, "topic")) if raw else ""
    alias = properties.topic_alias if properties else None
    if alias == 0:
        raise MqttFault("PUBLISH has the topic alias 0", reason=Reason.TOPIC_ALIAS_INVALID)
    if not topic and alias is None:
        raise MqttFault("PUBLISH has neither a topic nor an alias", reason=Reason.PROTOCOL_ERROR)
    return Publish(topic, body.take(body.left), qos, first & 1 == 1, first & 8 == 8, packet_id, properties)


def _will(body: Body, flags: int) -> Will:
    properties = read(body, "will")
    topic = check_name(body.text("will topic"))
    return Will(topic, body.binary(), flags >> 3 & 3, bool(flags & WILL_RETAIN), properties)


def _connack(data: bytes) -> Connack:
    """3.2.2: seven reserved flags; no session where the connection is refused (3.2.2-6)."""
    body = Body("CONNACK", data)
    flags, reason = body.byte(), body.byte()
    properties = read(body, "CONNACK")
    body.end()
    if flags > 1 or (flags and reason):
        body.malformed(f"got flags {flags:#04x} and reason {reason:#04x}")
    return Connack(reason, bool(flags), properties)


def _acknowledgement(name: str, make: Callable[[int, int, Any], Packet]) -> Callable[[bytes], Packet]:
    """PUBACK, PUBREC, PUBREL, PUBCOMP (3.4-3.7): the reason may be left out for success, the properties for none."""

    def read_it(data: bytes) -> Packet:
        body = Body(name, data)
        packet_id = body.packet_id()
        reason = body.byte() if body.left else 0
        properties = read(body, name) if body.left else None
        body.end()
        return make(packet_id, reason, properties)

    return read_it


def _subscribe(data: bytes) -> Subscribe:
    """3.8."""
    body = Body("SUBSCRIBE", data)
    packet_id = body.packet_id()
    properties = read(body, "SUBSCRIBE")
    filters: list[tuple[str, int | SubscriptionOptions]] = []
    while body.left:
        filters.append((check_filter(body.text("topic filter")), _options(body)))
        _refuse_many(body, len(filters))
    _refuse_none(filters, "SUBSCRIBE")
    return Subscribe(packet_id, tuple(filters), properties)


def _options(body: Body) -> SubscriptionOptions:
    """3.8.3.1: two reserved bits, and no value 3 for QoS or retain handling."""
    bits = body.byte()
    qos, handling = bits & 3, bits >> 4 & 3
    if bits & 0xC0:
        body.malformed(f"reserved bits are set in its options {bits:#04x}")
    if qos == 3 or handling == 3:
        raise MqttFault("SUBSCRIBE has wrong options", why=f"got {bits:#04x}", reason=Reason.PROTOCOL_ERROR)
    return SubscriptionOptions(qos, bool(bits & 4), bool(bits & 8), handling)


def _unsubscribe(data: bytes) -> Unsubscribe:
    """3.10."""
    body = Body("UNSUBSCRIBE", data)
    packet_id = body.packet_id()
    properties = read(body, "UNSUBSCRIBE")
    filters: list[str] = []
    while body.left:
        filters.append(check_filter(body.text("topic filter")))
        _refuse_many(body, len(filters))
    _refuse_none(filters, "UNSUBSCRIBE")
    return Unsubscribe(packet_id, tuple(filters), properties)


def _refuse_none(filters: list[Any], name: str) -> None:
    if not filters:
        raise MqttFault(f"{name} has no topic filter", reason=Reason.PROTOCOL_ERROR)


def _refuse_many(body: Body, count: int) -> None:
    if count > MAX_FILTERS:
        body.malformed(f"it has more than {MAX_FILTERS} topic filters")


def _codes(name: str, make: Callable[[int, tuple[int, ...], Any], Packet]) -> Callable[[bytes], Packet]:
    """SUBACK and UNSUBACK (3.9, 3.11): a reason code a filter."""

    def read_it(data: bytes) -> Packet:
        body = Body(name, data)
        packet_id = body.packet_id()
        properties = read(body, name)
        codes = tuple(body.take(body.left))
        if not codes:
            body.malformed("it has no reason code")
        return make(packet_id, codes, properties)

    return read_it


def _reasoned(name: str, make: Callable[[int, Any], Packet]) -> Callable[[bytes], Packet]:
    """DISCONNECT and AUTH (3.14, 3.15): both fields may be left out."""

    def read_it(data: bytes) -> Packet:
        body = Body(name, data)
        reason = body.byte() if body.left else 0
        properties = read(body, name) if body.left else None
        body.end()
        return make(reason, properties)

    return read_it


def _empty(name: str, make: Callable[[], Packet]) -> Callable[[bytes], Packet]:
    def read_it(data: bytes) -> Packet:
        Body(name, data).end()
        return make()

    return read_it


# By the whole first byte: type and the flags that table 2-2 reserves for it.
READERS_5: Mapping[int, Callable[[bytes], Packet]] = {
    CONNACK << 4: _connack,
    PUBACK << 4: _acknowledgement("PUBACK", Puback),
    PUBREC << 4: _acknowledgement("PUBREC", Pubrec),
    PUBREL << 4 | 2: _acknowledgement("PUBREL", Pubrel),
    PUBCOMP << 4: _acknowledgement("PUBCOMP", Pubcomp),
    SUBSCRIBE << 4 | 2: _subscribe,
    SUBACK << 4: _codes("SUBACK", Suback),
    UNSUBSCRIBE << 4 | 2: _unsubscribe,
    UNSUBACK << 4: _codes("UNSUBACK", Unsuback),
    PINGREQ << 4: _empty("PINGREQ", Pingreq),
    PINGRESP << 4: _empty("PINGRESP", Pingresp),
    DISCONNECT << 4: _reasoned("DISCONNECT", Disconnect),
    AUTH << 4: _reasoned("AUTH", Auth),
}
