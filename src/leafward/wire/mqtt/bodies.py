"""The bodies of every packet but PUBLISH and PUBACK, read strictly.

Apart from the decoder because none of these is met often: here the code follows the order of the specification
instead of the clock. Each reader takes a whole body and leaves nothing unread.
"""

from collections.abc import Callable, Mapping
from typing import NoReturn

from leafward.errors import ProtocolError
from leafward.wire.mqtt.packets import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    MAX_FILTERS,
    NOT_AUTHORISED,
    PINGREQ,
    PINGRESP,
    PROTOCOL_LEVEL,
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
from leafward.wire.mqtt.topics import check_filter, check_name, read_text

# MQTT 3.1's name: such a client understands CONNACK 0x01, so it is told (3.1.2-1 leaves that to us).
_OLD_PROTOCOL_NAME = "MQIsdp"

# Connect flags, figure 3.4.
_USERNAME, _PASSWORD, _WILL_RETAIN, _WILL, _CLEAN_SESSION, _RESERVED = 0x80, 0x40, 0x20, 0x04, 0x02, 0x01


class Body:
    """A cursor over a body. Each `take` raises `ProtocolError` where the body ends too early."""

    __slots__ = ("_data", "_packet", "_position")

    def __init__(self, packet: str, data: bytes) -> None:
        self._packet = packet
        self._data = data
        self._position = 0

    def malformed(self, why: str) -> NoReturn:
        raise ProtocolError(f"{self._packet} is malformed", why=why)

    def take(self, count: int) -> bytes:
        start = self._position
        self._position = start + count
        if self._position > len(self._data):
            self.malformed(f"it ends {self._position - len(self._data)} bytes too early")
        return self._data[start : self._position]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def packet_id(self) -> int:
        """2.3.1-1: never 0."""
        number = self.number()
        if not number:
            self.malformed("its packet id is 0")
        return number

    def binary(self) -> bytes:
        return self.take(self.number())

    def text(self, what: str) -> str:
        return read_text(self.binary(), what)

    @property
    def left(self) -> int:
        return len(self._data) - self._position

    def end(self) -> None:
        if self.left:
            self.malformed(f"{self.left} bytes follow its end")


def _connect(data: bytes) -> Connect:
    """3.1. Another protocol level is returned with nothing else read, so that the server can answer 0x01 (3.1.2-2)."""
    body = Body("CONNECT", data)
    name = body.text("protocol name")
    if name not in (PROTOCOL_NAME, _OLD_PROTOCOL_NAME):
        body.malformed(f"got the protocol name {name[:32]!r}, expected {PROTOCOL_NAME!r}")
    level = body.byte()
    if level != PROTOCOL_LEVEL or name != PROTOCOL_NAME:
        # MQTT 3.1 with level 4 does not exist; 0 keeps it from being taken for 3.1.1.
        return Connect("", protocol_name=name, level=level if name == PROTOCOL_NAME else min(level, 3))
    flags = _connect_flags(body)
    keep_alive = body.number()
    client_id = body.text("client id")
    will = _will(body, flags) if flags & _WILL else None
    username = body.text("user name") if flags & _USERNAME else None
    password = body.binary() if flags & _PASSWORD else None
    body.end()
    return Connect(client_id, keep_alive, bool(flags & _CLEAN_SESSION), username, password, will)


def _connect_flags(body: Body) -> int:
    """3.1.2-3, 3.1.2-11, -13, -14, -15, -22."""
    flags = body.byte()
    if flags & _RESERVED:
        body.malformed("its reserved flag is set")
    if not flags & _WILL and flags & (_WILL_RETAIN | 0x18):
        body.malformed("will QoS or will retain is set without a will")
    if flags & 0x18 == 0x18:
        body.malformed("its will has QoS 3")
    if flags & _PASSWORD and not flags & _USERNAME:
        body.malformed("it has a password without a user name")
    return flags


def _will(body: Body, flags: int) -> Will:
    topic = check_name(body.text("will topic"))
    return Will(topic, body.binary(), flags >> 3 & 3, bool(flags & _WILL_RETAIN))


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
