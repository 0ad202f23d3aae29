"""Packets in, bytes out: the sending half of MQTT 3.1.1; MQTT 5's is in `encoder5`.

It holds itself to the rules it holds a peer to: what `encode` makes, `Decoder` takes. A packet that breaks them is a
mistake of ours or a name somebody chose, and raises `ProtocolError` before a byte is sent.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any

from leafward.errors import ProtocolError
from leafward.wire.mqtt.cursor import binary, text, variable
from leafward.wire.mqtt.encoder5 import encode5
from leafward.wire.mqtt.packets import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    MAX_FILTERS,
    MAX_PACKET_ID,
    NOT_AUTHORISED,
    PINGREQ,
    PINGRESP,
    PROTOCOL_LEVEL,
    PROTOCOL_LEVEL_5,
    PUBACK,
    PUBCOMP,
    PUBLISH,
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
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
)
from leafward.wire.mqtt.topics import check_filter, check_name, write_text

_short_head = Struct(">BBH").pack  # first byte, remaining length under 128, topic length
_number = Struct(">H").pack
_acknowledgement = Struct(">BBH").pack  # first byte, 2, packet id


def encode(packet: Packet, level: int = PROTOCOL_LEVEL) -> bytes:
    """The bytes of `packet` as MQTT 3.1.1 (level 4) or MQTT 5 (level 5) writes it.

    Raises `ProtocolError` for a packet that this version does not allow. MQTT 3.1.1 has no properties and no reasons:
    they are left out.

    >>> encode(Publish("a/b", b"hello")).hex(" ")
    '30 0a 00 03 61 2f 62 68 65 6c 6c 6f'
    """
    if level == PROTOCOL_LEVEL_5:
        return encode5(packet)
    if type(packet) is Publish:
        return _publish(packet)
    return _WRITERS[type(packet)](packet)


def _publish(packet: Publish) -> bytes:
    """3.3."""
    topic, payload, qos = packet.topic, packet.payload, packet.qos
    raw = write_text(check_name(topic), "topic")
    first = PUBLISH << 4 | qos << 1 | packet.retain
    if qos == 0:
        if packet.packet_id is not None or packet.dup:
            raise ProtocolError("PUBLISH is malformed", why="QoS 0 has no packet id and no DUP")
        length, packet_id = 2 + len(raw) + len(payload), b""
    elif qos <= 2:
        first |= packet.dup << 3
        length, packet_id = 4 + len(raw) + len(payload), _number(_checked_id(packet.packet_id))
    else:
        raise ProtocolError("PUBLISH is malformed", why=f"got QoS {qos}, 0, 1 or 2 may stand there")
    if length < 128:
        return _short_head(first, length, len(raw)) + raw + packet_id + payload
    return b"".join((bytes((first,)), variable(length), _number(len(raw)), raw, packet_id, payload))


def _checked_id(packet_id: int | None) -> int:
    """2.3.1-1."""
    if packet_id is None or not 0 < packet_id <= MAX_PACKET_ID:
        raise ProtocolError("the packet id is out of range", why=f"got {packet_id}, expected 1 to {MAX_PACKET_ID}")
    return packet_id


def _framed(first: int, body: bytes) -> bytes:
    return bytes((first,)) + variable(len(body)) + body


def _connect(packet: Connect) -> bytes:
    """3.1, with the flags of figure 3.4."""
    if packet.password is not None and packet.username is None:
        raise ProtocolError("CONNECT is malformed", why="it has a password without a user name")
    flags = packet.clean_session << 1 | (packet.username is not None) << 7 | (packet.password is not None) << 6
    payload = text(packet.client_id, "client id")
    if packet.will is not None:
        will = packet.will
        if not 0 <= will.qos <= 2:
            raise ProtocolError("CONNECT is malformed", why=f"its will has QoS {will.qos}")
        flags |= 4 | will.qos << 3 | will.retain << 5
        payload += text(check_name(will.topic), "will topic") + binary(will.payload, "will")
    if packet.username is not None:
        payload += text(packet.username, "user name")
    if packet.password is not None:
        payload += binary(packet.password, "password")
    head = text(packet.protocol_name, "protocol name") + bytes((packet.level, flags)) + _number(packet.keep_alive)
    return _framed(CONNECT << 4, head + payload)


def _connack(packet: Connack) -> bytes:
    """3.2."""
    if not 0 <= packet.return_code <= NOT_AUTHORISED or (packet.session_present and packet.return_code):
        raise ProtocolError("CONNACK is malformed", why=f"got {packet}")
    return bytes((CONNACK << 4, 2, packet.session_present, packet.return_code))


def _subscribe(packet: Subscribe) -> bytes:
    """3.8."""
    asked = [(name, qos if isinstance(qos, int) else qos.qos) for name, qos in packet.filters]
    if not 0 < len(asked) <= MAX_FILTERS or any(not 0 <= qos <= 2 for _, qos in asked):
        raise ProtocolError("SUBSCRIBE is malformed", why=f"1 to {MAX_FILTERS} topic filters, each with QoS 0, 1 or 2")
    filters = (text(check_filter(name), "topic filter") + bytes((qos,)) for name, qos in asked)
    return _framed(SUBSCRIBE << 4 | 2, _number(_checked_id(packet.packet_id)) + b"".join(filters))


def _suback(packet: Suback) -> bytes:
    """3.9."""
    if not packet.return_codes or not {0, 1, 2, SUBSCRIPTION_REFUSED}.issuperset(packet.return_codes):
        raise ProtocolError("SUBACK is malformed", why=f"got the return codes {packet.return_codes[:8]}")
    return _framed(SUBACK << 4, _number(_checked_id(packet.packet_id)) + bytes(packet.return_codes))


def _unsubscribe(packet: Unsubscribe) -> bytes:
    """3.10."""
    if not 0 < len(packet.filters) <= MAX_FILTERS:
        raise ProtocolError("UNSUBSCRIBE is malformed", why=f"1 to {MAX_FILTERS} topic filters")
    filters = (text(check_filter(name), "topic filter") for name in packet.filters)
    return _framed(UNSUBSCRIBE << 4 | 2, _number(_checked_id(packet.packet_id)) + b"".join(filters))


def _with_packet_id(first: int) -> Callable[[Any], bytes]:
    return lambda packet: _acknowledgement(first, 2, _checked_id(packet.packet_id))


def _constant(first: int) -> Callable[[Any], bytes]:
    encoded = bytes((first, 0))
    return lambda packet: encoded


_WRITERS: dict[type[Any], Callable[[Any], bytes]] = {
    Connect: _connect,
    Connack: _connack,
    Puback: _with_packet_id(PUBACK << 4),
    Pubrec: _with_packet_id(PUBREC << 4),
    Pubrel: _with_packet_id(PUBREL << 4 | 2),
    Pubcomp: _with_packet_id(PUBCOMP << 4),
    Subscribe: _subscribe,
    Suback: _suback,
    Unsubscribe: _unsubscribe,
    Unsuback: _with_packet_id(UNSUBACK << 4),
    Pingreq: _constant(PINGREQ << 4),
    Pingresp: _constant(PINGRESP << 4),
    Disconnect: _constant(DISCONNECT << 4),
}
