"""The data types of MQTT (OASIS mqtt-v3.1.1 and mqtt-v5.0, 1.5): read from a body, or written."""

from typing import NoReturn

from leafward.errors import ProtocolError
from leafward.wire.mqtt.packets import MAX_REMAINING_LENGTH, MAX_STRING
from leafward.wire.mqtt.topics import read_text, write_text


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

    def variable(self) -> int:
        """A variable byte integer in its shortest form (MQTT 5 1.5.5-1)."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    self.malformed("a variable byte integer is longer than it needs")
                return value
        return self.malformed("a variable byte integer goes on after its fourth byte")

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


def variable(value: int) -> bytes:
    """A variable byte integer (2.2.3 and MQTT 5 1.5.5), seven bits a byte, lowest first."""
    if not 0 <= value <= MAX_REMAINING_LENGTH:
        raise ProtocolError("the packet is too large", why=f"got {value} bytes, MQTT takes {MAX_REMAINING_LENGTH}")
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def text(value: str, what: str) -> bytes:
    """A string with its length."""
    raw = write_text(value, what)
    return len(raw).to_bytes(2, "big") + raw


def binary(value: bytes, what: str) -> bytes:
    """Binary data with its length."""
    if len(value) > MAX_STRING:
        raise ProtocolError(f"the {what} is too long", why=f"got {len(value)} bytes, at most {MAX_STRING} fit")
    return len(value).to_bytes(2, "big") + value
