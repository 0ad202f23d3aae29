"""Packets in, bytes out: the sending half of MQTT 5 (OASIS mqtt-v5.0, chapter 3).

Like `encoder`, it holds itself to the rules it holds a peer to: what it makes, `Decoder` takes.
"""

from collections.abc import Callable
from typing import Any

from leafward.errors import ProtocolError
from leafward.wire.mqtt.cursor import binary, text, variable
from leafward.wire.mqtt.packets import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    MAX_FILTERS,
    MAX_PACKET_ID,
    PINGREQ,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
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
)
from leafward.wire.mqtt.properties import write
from leafward.wire.mqtt.topics import check_filter, check_name


def encode5(packet: Packet) -> bytes:
    """The bytes of `packet`. Raises `ProtocolError` for a packet that MQTT 5 does not allow.

    >>> encode5(Publish("a/b", b"hello")).hex(" ")
    '30 0b 00 03 61 2f 62 00 68 65 6c 6c 6f'
    """
    return _WRITERS[type(packet)](packet)


def _publish(packet: Publish) -> bytes:
    """3.3. An empty topic needs an alias (3.3.2-8)."""
    qos, properties = packet.qos, packet.properties
    if not 0 <= qos <= 2 or (qos == 0 and (packet.dup or packet.packet_id is not None)):
        raise ProtocolError("PUBLISH is malformed", why=f"got QoS {qos}, DUP {packet.dup}, id {packet.packet_id}")
    if packet.topic or properties is None or not properties.topic_alias:
        check_name(packet.topic)
    first = PUBLISH << 4 | packet.dup << 3 | qos << 1 | packet.retain
    packet_id = _packet_id(packet.packet_id) if qos else b""
    return _framed(first, text(packet.topic, "topic") + packet_id + write(properties, "PUBLISH") + packet.payload)


def _packet_id(packet_id: int | None) -> bytes:
    """2.2.1-3."""
    if packet_id is None or not 0 < packet_id <= MAX_PACKET_ID:
        raise ProtocolError("the packet id is out of range", why=f"got {packet_id}, expected 1 to {MAX_PACKET_ID}")
    return packet_id.to_bytes(2, "big")


def _framed(first: int, body: bytes) -> bytes:
    return bytes((first,)) + variable(len(body)) + body


def _connect(packet: Connect) -> bytes:
    """3.1, with the flags of figure 3-4."""
    flags = packet.clean_session << 1 | (packet.username is not None) << 7 | (packet.password is not None) << 6
    payload = text(packet.client_id, "client id")
    if packet.will is not None:
        will = packet.will
        if not 0 <= will.qos <= 2:
            raise ProtocolError("CONNECT is malformed", why=f"its will has QoS {will.qos}")
        flags |= 4 | will.qos << 3 | will.retain << 5
        payload += write(will.properties, "will") + text(check_name(will.topic), "will topic")
        payload += binary(will.payload, "will")
    if packet.username is not None:
        payload += text(packet.username, "user name")
    if packet.password is not None:
        payload += binary(packet.password, "password")
    head = text(packet.protocol_name, "protocol name") + bytes((packet.level, flags))
    return _framed(
        CONNECT << 4, head + packet.keep_alive.to_bytes(2, "big") + write(packet.properties, "CONNECT") + payload
    )


def _connack(packet: Connack) -> bytes:
    """3.2."""
    if packet.session_present and packet.return_code:
        raise ProtocolError("CONNACK is malformed", why=f"got {packet}")
    head = bytes((packet.session_present, packet.return_code))
    return _framed(CONNACK << 4, head + write(packet.properties, "CONNACK"))


def _acknowledgement(first: int, name: str) -> Callable[[Any], bytes]:
    """3.4-3.7: in two bytes where there is nothing but success to say."""

    def write_it(packet: Any) -> bytes:
        body = _packet_id(packet.packet_id)
        if packet.properties is not None:
            body += bytes((packet.reason,)) + write(packet.properties, name)
        elif packet.reason:
            body += bytes((packet.reason,))
        return _framed(first, body)

    return write_it


def _subscribe(packet: Subscribe) -> bytes:
    """3.8."""
    _check_count(packet.filters, "SUBSCRIBE")
    filters = b"".join(text(check_filter(name), "topic filter") + _options(asked) for name, asked in packet.filters)
    head = _packet_id(packet.packet_id) + write(packet.properties, "SUBSCRIBE")
    return _framed(SUBSCRIBE << 4 | 2, head + filters)


def _options(asked: int | SubscriptionOptions) -> bytes:
    options = SubscriptionOptions(asked) if isinstance(asked, int) else asked
    if not 0 <= options.qos <= 2 or not 0 <= options.retain_handling <= 2:
        raise ProtocolError("SUBSCRIBE is malformed", why=f"got {options}")
    bits = options.qos | options.no_local << 2 | options.retain_as_published << 3 | options.retain_handling << 4
    return bytes((bits,))


def _unsubscribe(packet: Unsubscribe) -> bytes:
    """3.10."""
    _check_count(packet.filters, "UNSUBSCRIBE")
    filters = b"".join(text(check_filter(name), "topic filter") for name in packet.filters)
    head = _packet_id(packet.packet_id) + write(packet.properties, "UNSUBSCRIBE")
    return _framed(UNSUBSCRIBE << 4 | 2, head + filters)


def _check_count(filters: tuple[Any, ...], name: str) -> None:
    if not 0 < len(filters) <= MAX_FILTERS:
        raise ProtocolError(f"{name} is malformed", why=f"1 to {MAX_FILTERS} topic filters")


def _codes(first: int, name: str) -> Callable[[Any], bytes]:
    """3.9, 3.11."""

    def write_it(packet: Any) -> bytes:
        if not packet.return_codes:
            raise ProtocolError(f"{name} is malformed", why="it has no reason code")
        head = _packet_id(packet.packet_id) + write(packet.properties, name)
        return _framed(first, head + bytes(packet.return_codes))

    return write_it


def _reasoned(first: int, name: str) -> Callable[[Any], bytes]:
    """3.14, 3.15."""

    def write_it(packet: Any) -> bytes:
        if packet.properties is None:
            return _framed(first, bytes((packet.reason,)) if packet.reason else b"")
        return _framed(first, bytes((packet.reason,)) + write(packet.properties, name))

    return write_it


def _constant(first: int) -> Callable[[Any], bytes]:
    encoded = bytes((first, 0))
    return lambda packet: encoded


_WRITERS: dict[type[Any], Callable[[Any], bytes]] = {
    Connect: _connect,
    Connack: _connack,
    Publish: _publish,
    Puback: _acknowledgement(PUBACK << 4, "PUBACK"),
    Pubrec: _acknowledgement(PUBREC << 4, "PUBREC"),
    Pubrel: _acknowledgement(PUBREL << 4 | 2, "PUBREL"),
    Pubcomp: _acknowledgement(PUBCOMP << 4, "PUBCOMP"),
    Subscribe: _subscribe,
    Suback: _codes(SUBACK << 4, "SUBACK"),
    Unsubscribe: _unsubscribe,
    Unsuback: _codes(UNSUBACK << 4, "UNSUBACK"),
    Pingreq: _constant(PINGREQ << 4),
    Pingresp: _constant(PINGRESP << 4),
    Disconnect: _reasoned(DISCONNECT << 4, "DISCONNECT"),
    Auth: _reasoned(AUTH << 4, "AUTH"),
}
