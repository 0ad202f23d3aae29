"""The bodies of every packet but PUBLISH and PUBACK, read strictly.

Apart from the decoder because none of these is met often: here the code follows the order of the specification
instead of the clock. Each reader takes a whole body and leaves nothing unread.
"""

from collections.abc import Callable, Mapping

from leafward.wire.mqtt.bodies5 import connect5
from leafward.wire.mqtt.connect_flags import CLEAN_SESSION, PASSWORD, USERNAME, WILL, WILL_RETAIN, connect_flags
from leafward.wire.mqtt.cursor import Body
from leafward.wire.mqtt.packets import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    MAX_FILTERS,
    NOT_AUTHORISED,
    PINGREQ,
    PINGRESP,
    PROTOCOL_LEVEL,
    PROTOCOL_LEVEL_5,
    PROTOCOL_NAME,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    SUBSCRIPTION_REFUSED,
    UNSUBACK,
    UNSUBSCRIBE,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)
from leafward.wire.mqtt.topics import check_filter, check_name

# MQTT 3.1's name: such a client understands CONNACK 0x01, so it is told (3.1.2-1 leaves that to us).
_OLD_PROTOCOL_NAME = "MQIsdp"


# Connect flags, figure 3.4.
def _connect(data: bytes) -> Connect:
    """3.1. Another protocol level is returned with nothing else read, so that the server can answer 0x01 (3.1.2-2)."""
    body = Body("CONNECT", data)
    name = body.text("protocol name")
    if name not in (PROTOCOL_NAME, _OLD_PROTOCOL_NAME):
        body.malformed(f"got the protocol name {name[:32]!r}, expected {PROTOCOL_NAME!r}")
    level = body.byte()
    if level == PROTOCOL_LEVEL_5 and name == PROTOCOL_NAME:
        return connect5(body)
    if level != PROTOCOL_LEVEL or name != PROTOCOL_NAME:
        # MQTT 3.1 with level 4 does not exist; 0 keeps it from being taken for 3.1.1.
        return Connect("", protocol_name=name, level=level if name == PROTOCOL_NAME else min(level, 3))
    flags = connect_flags(body)
    if flags & PASSWORD and not flags & USERNAME:
        body.malformed("it has a password without a user name")  # 3.1.2-22; MQTT 5 allows it
    keep_alive = body.number()
    client_id = body.text("client id")
    will = _will(body, flags) if flags & WILL else None
    username = body.text("user name") if flags & USERNAME else None
    password = body.binary() if flags & PASSWORD else None
    body.end()
    return Connect(client_id, keep_alive, bool(flags & CLEAN_SESSION), username, password, will)


def _will(body: Body, flags: int) -> Will:
    topic = check_name(body.text("will topic"))
    return Will(topic, body.binary(), flags >> 3 & 3, bool(flags & WILL_RETAIN))


def _connack(data: bytes) -> Connack:
    """3.2.2: seven reserved flags, return codes 0-5; no session where the connection is refused (3.2.2-4)."""
    body = Body("CONNACK", data)
    flags, return_code = body.byte(), body.byte()
    body.end()
    if flags > 1 or return_code > NOT_AUTHORISED or (flags and return_code):
        body.malformed(f"got flags {flags:#04x} and return code {return_code}")
    return Connack(return_code, bool(flags))


def _subscribe(data: bytes) -> Subscribe:
    """3.8.3-1, -3, -4: one filter at least, `MAX_FILTERS` at most; six reserved bits beside each QoS."""
    body = Body("SUBSCRIBE", data)
    packet_id = body.packet_id()
    filters: list[tuple[str, int]] = []
    while body.left:
        topic_filter, qos = check_filter(body.text("topic filter")), body.byte()
        if qos > 2:
            body.malformed(f"it asks for QoS {qos:#04x}, 0, 1 or 2 may stand there")
        filters.append((topic_filter, qos))
        _refuse_many(body, len(filters))
    if not filters:
        body.malformed("it has no topic filter")
    return Subscribe(packet_id, tuple(filters))


def _suback(data: bytes) -> Suback:
    """3.9.3-2: codes other than 0, 1, 2 and 0x80 are reserved."""
    body = Body("SUBACK", data)
    packet_id = body.packet_id()
    codes = tuple(body.take(body.left))
    if not codes:
        body.malformed("it has no return code")
    if not {0, 1, 2, SUBSCRIPTION_REFUSED}.issuperset(codes):
        body.malformed(f"got the return codes {codes[:8]}, 0, 1, 2 and 128 may stand there")
    return Suback(packet_id, codes)


def _unsubscribe(data: bytes) -> Unsubscribe:
    """3.10.3-1, -2."""
    body = Body("UNSUBSCRIBE", data)
    packet_id = body.packet_id()
    filters: list[str] = []
    while body.left:
        filters.append(check_filter(body.text("topic filter")))
        _refuse_many(body, len(filters))
    if not filters:
        body.malformed("it has no topic filter")
    return Unsubscribe(packet_id, tuple(filters))


def _refuse_many(body: Body, count: int) -> None:
    """Each filter costs the broker a judgement: 65,000 of four bytes in one packet are an attack."""
    if count > MAX_FILTERS:
        body.malformed(f"it has more than {MAX_FILTERS} topic filters")


def _with_packet_id(name: str, make: Callable[[int], Packet]) -> Callable[[bytes], Packet]:
    def read(data: bytes) -> Packet:
        body = Body(name, data)
        packet = make(body.packet_id())
        body.end()
        return packet

    return read


def _empty(name: str, make: Callable[[], Packet]) -> Callable[[bytes], Packet]:
    def read(data: bytes) -> Packet:
        Body(name, data).end()
        return make()

    return read


# By the whole first byte: type and the flags that table 2.2 reserves for it.
READERS: Mapping[int, Callable[[bytes], Packet]] = {
    CONNECT << 4: _connect,
    CONNACK << 4: _connack,
    PUBREC << 4: _with_packet_id("PUBREC", Pubrec),
    PUBREL << 4 | 2: _with_packet_id("PUBREL", Pubrel),
    PUBCOMP << 4: _with_packet_id("PUBCOMP", Pubcomp),
    SUBSCRIBE << 4 | 2: _subscribe,
    SUBACK << 4: _suback,
    UNSUBSCRIBE << 4 | 2: _unsubscribe,
    UNSUBACK << 4: _with_packet_id("UNSUBACK", Unsuback),
    PINGREQ << 4: _empty("PINGREQ", Pingreq),
    PINGRESP << 4: _empty("PINGRESP", Pingresp),
    DISCONNECT << 4: _empty("DISCONNECT", Disconnect),
}
