"""A PUBLISH written once for many receivers: at QoS 1 and 2 only the packet id differs between them (3.3.2.2)."""

from functools import lru_cache
from struct import Struct
from typing import Self

from leafward.wire.mqtt.cursor import variable
from leafward.wire.mqtt.packets import PROTOCOL_LEVEL, PUBLISH, Publish
from leafward.wire.mqtt.properties import write
from leafward.wire.mqtt.topics import check_name, write_text

_DUP = 8
# Remembered; each has a topic, of 64 KiB at most and of 100 bytes as a rule.
_HEADS = 256
_short_head = Struct(">BBH").pack  # first byte, remaining length under 128, topic length
_number = Struct(">H").pack


@lru_cache(maxsize=_HEADS)
def _head(first: int, topic: bytes, length: int) -> bytes:
    """What stands before the packet id. A device's messages are on few topics, and often equally long."""
    if length < 128:
        return _short_head(first, length, len(topic)) + topic
    return b"".join((bytes((first,)), variable(length), _number(len(topic)), topic))


class PublishFrame:
    """The bytes of a message of QoS 1 or 2 around its packet id.

    >>> PublishFrame.of(Publish("a", b"x", 1)).with_id(7).hex(" ")
    '32 06 00 01 61 00 07 78'
    """

    __slots__ = ("_head", "_tail")

    def __init__(self, topic: bytes, tail: bytes, *, qos: int, retain: bool) -> None:
        """`topic` is one that a decoder has taken; `tail` is what follows the packet id."""
        self._head = _head(PUBLISH << 4 | qos << 1 | retain, topic, 4 + len(topic) + len(tail))
        self._tail = tail

    @classmethod
    def of(cls, packet: Publish, level: int = PROTOCOL_LEVEL) -> Self:
        """Of a packet, without its id and DUP. Raises `ProtocolError` for a topic or properties that do not fit."""
        topic, tail = write_text(check_name(packet.topic), "topic"), packet.payload
        if level != PROTOCOL_LEVEL:
            tail = write(packet.properties, "PUBLISH") + tail
        return cls(topic, tail, qos=packet.qos, retain=packet.retain)

    def with_id(self, packet_id: int) -> bytes:
        """The packet with this id."""
        return self._head + _number(packet_id) + self._tail

    def again(self, packet_id: int) -> bytes:
        """The packet with this id and DUP set: it may have come before (3.3.1.1)."""
        head = bytearray(self._head)
        head[0] |= _DUP
        return bytes(head + _number(packet_id) + self._tail)
