"""How an AMQP 1.0 connection begins: protocol headers, and the SASL frames between them (OASIS AMQP 1.0, 5.3).

    peer: AMQP 3 1 0 0          hub: AMQP 3 1 0 0, sasl-mechanisms
    peer: sasl-init             hub: sasl-outcome
    peer: AMQP 0 1 0 0, and from here on AMQP itself

Only what a server needs: one offer, one answer. Mechanisms that go on with challenges are none of IoT Hub's. No bytes
of a peer's are kept beyond `MAX_FRAME`.
"""

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from leafward.errors import ProtocolError

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
# NOTE: 5.3.2 has 512 bytes; a token and the names around it need more with IoT Hub's PLAIN.
MAX_FRAME = 8192

PLAIN, ANONYMOUS, EXTERNAL = "PLAIN", "ANONYMOUS", "EXTERNAL"
# Microsoft's name for "the claims come later": anonymous by another name.
CBS = "MSSBCBS"

_HEADER_SIZE = 8
_SASL_FRAME = 1
_MECHANISMS, _INIT, _OUTCOME = 0x40, 0x41, 0x44


class Outcome(enum.IntEnum):
    """What the server says to a login (5.3.3.6)."""

    OK = 0
    AUTH = 1


class Header(enum.Enum):
    """The protocol that a peer wants to speak next."""

    SASL = SASL_HEADER
    AMQP = AMQP_HEADER


@dataclass(frozen=True, slots=True)
class SaslInit:
    """A peer's login: the mechanism it has chosen and what it says first."""

    mechanism: str
    response: bytes | None = field(default=None, repr=False)
    hostname: str | None = None


class Opening:
    """Takes a peer's first bytes apart. `feed` bytes, then `next` until it is None; `rest` is what follows."""

    def __init__(self) -> None:
        self._buffer = b""
        self._in_sasl = False

    def feed(self, data: bytes) -> None:
        """More bytes. How many may wait is bounded by `next`, which is to be asked after each."""
        self._buffer += data

    def next(self) -> Header | SaslInit | None:
        """The next thing that has come whole. Raises `ProtocolError` for what can be none."""
        return self._frame() if self._in_sasl else self._header()

    def logged_in(self) -> None:
        """The outcome is told: a header comes next."""
        self._in_sasl = False

    @property
    def rest(self) -> bytes:
        """What has come after the last thing."""
        return self._buffer

    def _header(self) -> Header | None:
        head = self._buffer[:_HEADER_SIZE]
        if not any(known.startswith(head) for known in (AMQP_HEADER, SASL_HEADER)):
            raise ProtocolError("this is no AMQP 1.0", why=f"it begins with {head!r}")
        if len(head) < _HEADER_SIZE:
            return None
        self._buffer = self._buffer[_HEADER_SIZE:]
        header = Header(head)
        self._in_sasl = header is Header.SASL
        return header

    def _frame(self) -> SaslInit | None:
        if len(self._buffer) < _HEADER_SIZE:
            return None
        size, offset, kind = struct.unpack_from(">IBB", self._buffer)
        if not _HEADER_SIZE <= size <= MAX_FRAME or kind != _SASL_FRAME or not _HEADER_SIZE <= offset * 4 <= size:
            why = f"size {size}, offset {offset}, type {kind}"
            raise ProtocolError("the SASL frame is malformed", why=why)
        if len(self._buffer) < size:
            return None
        body, self._buffer = self._buffer[offset * 4 : size], self._buffer[size:]
        return _init(_described(body))


def mechanisms_frame(mechanisms: Sequence[str]) -> bytes:
    """The offer (5.3.3.1). Names are short ASCII."""
    items = b"".join(bytes([len(name)]) + name.encode("ascii") for name in mechanisms)
    array = b"\xe0" + bytes([len(items) + 2, len(mechanisms), 0xA3]) + items
    return _sasl_frame(_MECHANISMS, array)


def outcome_frame(outcome: Outcome) -> bytes:
    """The end of the SASL layer (5.3.3.6)."""
    return _sasl_frame(_OUTCOME, bytes([0x50, outcome]))


def plain_login(response: bytes | None) -> tuple[str, str]:
    """(user name, password) of PLAIN (RFC 4616 2). The authorisation identity is passed over.

    Raises `ProtocolError`, which never repeats the password.
    """
    parts = (response or b"").split(b"\x00")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise ProtocolError("the PLAIN login is malformed", why="expected a user name and a password")
    try:
        return parts[1].decode("utf-8"), parts[2].decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("the PLAIN login is malformed", why="it is not UTF-8") from None


def _sasl_frame(code: int, fields: bytes) -> bytes:
    body = bytes([0x00, 0x53, code, 0xC0, len(fields) + 1, 1]) + fields
    return struct.pack(">IBBH", len(body) + _HEADER_SIZE, 2, _SASL_FRAME, 0) + body


def _described(body: bytes) -> tuple[int, list[bytes | None]]:
    """A performative's code and fields: binaries, strings, symbols as bytes, None for null (1.6, 5.3.3)."""
    reader = _Reader(body)
    if reader.take(1) != b"\x00":
        raise _malformed("no descriptor")
    code = reader.descriptor()
    return code, reader.fields()


def _init(performative: tuple[int, list[bytes | None]]) -> SaslInit:
    code, fields = performative
    if code != _INIT or not fields or fields[0] is None:
        raise _malformed(f"expected sasl-init, got {code:#x}")
    try:
        mechanism = fields[0].decode("ascii")
        hostname = fields[2].decode("utf-8") if len(fields) > 2 and fields[2] is not None else None
    except UnicodeDecodeError:
        raise _malformed("a name is no text") from None
    return SaslInit(mechanism, fields[1] if len(fields) > 1 else None, hostname)


class _Reader:
    """The few types that stand in sasl-init."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise _malformed("it ends too early")
        self._at += size
        return taken

    def descriptor(self) -> int:
        kind = self.take(1)[0]
        if kind == 0x53:  # smallulong
            return self.take(1)[0]
        if kind == 0x80:  # ulong
            return int.from_bytes(self.take(8), "big")
        raise _malformed(f"a descriptor of type {kind:#x}")

    def fields(self) -> list[bytes | None]:
        kind = self.take(1)[0]
        if kind == 0x45:  # list0
            return []
        if kind not in (0xC0, 0xD0):  # list8, list32
            raise _malformed(f"fields of type {kind:#x}")
        width = 1 if kind == 0xC0 else 4
        self.take(width)
        count = int.from_bytes(self.take(width), "big")
        if count > 3:
            raise _malformed(f"it has {count} fields")
        return [self._field() for _ in range(count)]

    def _field(self) -> bytes | None:
        kind = self.take(1)[0]
        if kind == 0x40:  # null
            return None
        if kind in (0xA0, 0xA1, 0xA3):  # vbin8, str8, sym8
            return self.take(self.take(1)[0])
        if kind in (0xB0, 0xB1, 0xB3):  # vbin32, str32, sym32
            return self.take(int.from_bytes(self.take(4), "big"))
        raise _malformed(f"a field of type {kind:#x}")


def _malformed(why: str) -> ProtocolError:
    return ProtocolError("the SASL frame is malformed", why=why)
