"""Bytes in, packets out: the receiving half of MQTT 3.1.1 and 5, and the hub's innermost loop.

`Decoder` cuts the stream into packets and reads 3.1.1's PUBLISH and PUBACK itself; every other packet is rare and is
read in `bodies`, MQTT 5's in `bodies5`: the CONNECT says which it is to be. It refuses what the specification calls
malformed, and refuses by the fixed header alone what is larger than its limit, so a peer cannot make it buffer more
than one packet of that size.
"""

from leafward.errors import ProtocolError
from leafward.wire.mqtt.bodies import READERS
from leafward.wire.mqtt.bodies5 import READERS_5, publish5
from leafward.wire.mqtt.opening import LOOKED_AT
from leafward.wire.mqtt.packets import (
    CONNECT,
    PROTOCOL_LEVEL,
    PROTOCOL_LEVEL_5,
    PUBACK,
    PUBLISH,
    Connect,
    Packet,
    Puback,
    Publish,
)
from leafward.wire.mqtt.reasons import MqttFault, Reason
from leafward.wire.mqtt.topics import check_name, read_text

# The message size of IoT Hub, 256 KiB, with room for the topic and its properties.
DEFAULT_MAX_PACKET_SIZE = 256 * 1024 + 16 * 1024

_MAX_LENGTH_BYTES = 4  # 2.2.3


class Decoder:
    """A stream of bytes to packets.

    >>> Decoder().feed(bytes.fromhex("c000 d000"))
    [Pingreq(), Pingresp()]
    """

    __slots__ = ("_failure", "_last_topic", "_last_topic_bytes", "_limit", "_need", "_rest", "level")

    def __init__(self, max_packet_size: int = DEFAULT_MAX_PACKET_SIZE, level: int = PROTOCOL_LEVEL) -> None:
        """`max_packet_size`: bytes of a whole packet, its fixed header included.

        `level`: a client's decoder has to know what it speaks; a server's learns it from CONNECT.
        """
        self.level = level
        self._limit = max_packet_size
        self._rest = bytearray()  # the start of a packet that is not complete yet
        self._need = 0  # do not look at `_rest` again before it holds so many bytes
        self._failure: ProtocolError | None = None
        # A device publishes on the same topic again and again: the last one needs no decoding and no check.
        self._last_topic_bytes = b""
        self._last_topic = ""

    @property
    def beginning(self) -> bytes:
        """Of a packet that is not complete yet: its first bytes."""
        return bytes(self._rest[:LOOKED_AT])

    def feed(self, data: bytes | bytearray | memoryview) -> list[Packet]:
        """The packets that `data` completes, in order. `data` is copied, so the caller may reuse its buffer.

        Raises `ProtocolError` when the peer breaks the protocol; packets before the fault in the same `data` are not
        given, and every later call raises again: the connection must be closed (4.8.0-1).
        """
        if self._failure is not None:
            raise self._failure
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        try:
            return self._packets(data)
        except ProtocolError as error:
            self._failure = error
            self._rest.clear()
            raise

    def _packets(self, data: bytes) -> list[Packet]:
        packets: list[Packet] = []
        position, end, limit, old = 0, len(data), self._limit, self.level == PROTOCOL_LEVEL
        while end - position >= 2:
            first, length = data[position], data[position + 1]
            body = position + 2
            if length > 127:
                length, body = _long_length(data, position + 1)
                if not body:
                    break  # the length itself is not complete
            stop = body + length
            if stop - position > limit:
                raise _too_large(stop - position, limit)
            if stop > end:
                self._keep(data[position:], stop - position)
                return packets
            kind = first >> 4
            if kind == PUBLISH and old:
                packets.append(self._publish(first, data, body, stop))
            elif kind == PUBACK and old:
                packets.append(_puback(first, data, body, stop))
            else:
                packets.append(self._rare(first, data[position + 1 : body], data[body:stop]))
                old = self.level == PROTOCOL_LEVEL
            position = stop
        if position < end:
            self._keep(data[position:], end - position + 1)
        return packets

    def _keep(self, rest: bytes, need: int) -> None:
        self._rest += rest
        self._need = need

    def _rare(self, first: int, length: bytes, body: bytes) -> Packet:
        """Any packet of MQTT 5, and of 3.1.1 any but PUBLISH and PUBACK."""
        if self.level == PROTOCOL_LEVEL_5:
            return _version5(first, length, body)
        packet = _other(first, body)
        if type(packet) is Connect and packet.level == PROTOCOL_LEVEL_5:
            self.level = PROTOCOL_LEVEL_5
        return packet

    def _publish(self, first: int, data: bytes, body: int, stop: int) -> Publish:
        """PUBLISH (3.3), its body between `body` and `stop`."""
        name = body + 2
        if name > stop:
            raise _publish_too_short()
        payload = name_end = name + (data[body] << 8 | data[body + 1])
        packet_id = None
        qos = first >> 1 & 3
        if qos:
            payload += 2
        if payload > stop:
            raise _publish_too_short()
        if qos:
            packet_id = data[name_end] << 8 | data[name_end + 1]
            if not packet_id or qos == 3:
                raise ProtocolError("PUBLISH is malformed", why=f"packet id {packet_id}, QoS {qos}")  # 2.3.1-1, 3.3.1-4
        elif first & 8:
            raise ProtocolError("PUBLISH is malformed", why="DUP is set with QoS 0")  # 3.3.1-2
        raw = data[name:name_end]
        if raw == self._last_topic_bytes and raw:
            topic = self._last_topic
        else:
            topic = check_name(read_text(raw, "topic"))
            self._last_topic_bytes, self._last_topic = raw, topic
        return Publish(topic, data[payload:stop], qos, first & 1 == 1, first & 8 == 8, packet_id)


def _long_length(data: bytes, start: int) -> tuple[int, int]:
    """(remaining length, where the body starts), or (0, 0) when the length is not complete (2.2.3).

    NOTE: a length written with more bytes than it needs is taken: only MQTT 5 asks for the shortest form.
    """
    length = 0
    for number, byte in enumerate(data[start : start + _MAX_LENGTH_BYTES]):
        length |= (byte & 0x7F) << (7 * number)
        if byte < 0x80:
            return length, start + number + 1
    if len(data) - start >= _MAX_LENGTH_BYTES:
        raise ProtocolError("the remaining length is malformed", why="it goes on after its fourth byte")
    return 0, 0


def _puback(first: int, data: bytes, body: int, stop: int) -> Puback:
    """PUBACK (3.4), as frequent as PUBLISH where a hub serves many receivers."""
    if first != PUBACK << 4 or stop - body != 2:
        raise ProtocolError("PUBACK is malformed", why=f"got first byte {first:#04x} and length {stop - body}")
    packet_id = data[body] << 8 | data[body + 1]
    if not packet_id:
        raise ProtocolError("PUBACK is malformed", why="its packet id is 0")  # 2.3.1-1
    return Puback(packet_id)


def _other(first: int, body: bytes) -> Packet:
    """Any packet but PUBLISH and PUBACK. The flags are as reserved in table 2.2 (2.2.2-2)."""
    reader = READERS.get(first)
    if reader is None:
        raise _unknown(first)
    return reader(body)


def _version5(first: int, length: bytes, body: bytes) -> Packet:
    """A packet of MQTT 5. Its length is in the shortest form (1.5.5-1)."""
    if length[-1] == 0 and len(length) > 1:
        raise ProtocolError("the remaining length is malformed", why="it is longer than it needs")
    if first >> 4 == PUBLISH:
        return publish5(first, body)
    # A second CONNECT is well-formed and out of place: whoever knows that says so.
    reader = READERS[first] if first == CONNECT << 4 else READERS_5.get(first)
    if reader is None:
        raise _unknown(first)
    return reader(body)


def _unknown(first: int) -> ProtocolError:
    return ProtocolError("no packet starts like this", why=f"got packet type {first >> 4} with flags {first & 15:#x}")


def _too_large(size: int, limit: int) -> ProtocolError:
    why = f"got {size} bytes, at most {limit} are taken"
    return MqttFault("the packet is too large", why=why, reason=Reason.PACKET_TOO_LARGE)


def _publish_too_short() -> ProtocolError:
    return ProtocolError("PUBLISH is malformed", why="it ends before its topic and packet id")
