"""What a TLS client says of itself in its first message: the name it wants, the versions and groups it knows.

OpenSSL forgets a handshake that fails, and with it who the client was looking for. These are the bytes it was given,
read once more, and only where a handshake has failed. A ClientHello is in the clear and proves nothing (RFC 8446,
4.1.2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

# The first bytes of a connection, as far as they are kept: a ClientHello with a post-quantum share has about 1,800.
KEPT: Final = 8192

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_LONGEST_RECORD = 1 << 14
_SERVER_NAME, _GROUPS, _ALPN, _VERSIONS = 0, 10, 16, 43
_HOST_NAME = 0
_LONGEST_NAME = 255
_VERSION_NAMES: Final = {0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}
# Of those that clients offer, the ones worth a name (IANA, TLS Supported Groups).
_GROUP_NAMES: Final = {
    22: "secp256k1",
    23: "P-256",
    24: "P-384",
    25: "P-521",
    29: "X25519",
    30: "X448",
    4587: "SecP256r1MLKEM768",
    4588: "X25519MLKEM768",
    25497: "X25519Kyber768Draft00",
}

Opening = Literal["nothing", "tls", "http", "mqtt", "amqp", "ssh", "proxy", "other"]
_HTTP: Final = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"CONNECT ", b"PRI * HTTP/2")
_PROXY: Final = (b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n")


@dataclass(frozen=True, slots=True)
class ClientHello:
    """`server_name` lower-cased, None when none was asked for; `versions` newest first; names where they have one."""

    server_name: str | None
    versions: tuple[str, ...]
    groups: tuple[str, ...]
    ciphers: int
    protocols: tuple[str, ...]


def opening_of(data: bytes) -> Opening:
    """What a peer speaks, by its first bytes.

    >>> opening_of(b"GET / HTTP/1.1")
    'http'
    """
    if not data:
        return "nothing"
    if data[:2] == b"\x16\x03":
        return "tls"
    if data.startswith(_HTTP):
        return "http"
    # CONNECT, its length in one or two bytes, and the protocol's name: MQTT, or MQIsdp in 3.1.
    if data[0] == 0x10 and (b"MQTT" in data[:10] or b"MQIsdp" in data[:12]):
        return "mqtt"
    if data.startswith(_PROXY):
        return "proxy"
    return "amqp" if data[:4] == b"AMQP" else "ssh" if data[:4] == b"SSH-" else "other"


def may_become_hello(data: bytes) -> bool:
    """Whether what a connection begins with can still become a ClientHello (RFC 8446, 4 and 5.1).

    OpenSSL waits for a whole record before it looks, and for five bytes before it knows that there is none.

    >>> may_become_hello(b"\\x16\\x03\\x01"), may_become_hello(b"G"), may_become_hello(b"\\x16\\x03\\x01\\x00\\x00")
    (True, False, False)
    """
    if data[:1] not in (b"", b"\x16") or data[1:2] not in (b"", b"\x03") or data[5:6] not in (b"", b"\x01"):
        return False
    return len(data) < 5 or 0 < int.from_bytes(data[3:5], "big") <= _LONGEST_RECORD


def parse_client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello that a connection begins with; None where it is not whole, or is none.

    >>> parse_client_hello(b"GET / HTTP/1.1") is None
    True
    """
    try:
        return _parse(_message(data))
    except (IndexError, ValueError):
        return None


class _Reader:
    """Takes numbers and vectors off bytes. Raises `IndexError` where there are too few."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise IndexError
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, length_size: int) -> bytes:
        return self.take(self.number(length_size))

    @property
    def more(self) -> bool:
        return self._at < len(self._data)


def _message(data: bytes) -> bytes:
    """The first handshake message, from however many records it came in (RFC 8446 5.1)."""
    records, message = _Reader(data), b""
    while True:
        kind, _version = records.number(1), records.number(2)
        if kind != _HANDSHAKE:
            raise ValueError
        message += records.vector(2)
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            break
    if message[0] != _CLIENT_HELLO:
        raise ValueError
    return message[4 : 4 + int.from_bytes(message[1:4], "big")]


def _parse(body: bytes) -> ClientHello:
    reader = _Reader(body)
    legacy = reader.number(2)
    reader.take(32)  # random
    reader.vector(1)  # session id
    ciphers = [code for code in _numbers(reader.vector(2)) if not _is_grease(code)]
    reader.vector(1)  # compression
    extensions = dict(_extensions(reader.vector(2))) if reader.more else {}
    versions = _numbers(_Reader(extensions[_VERSIONS]).vector(1)) if _VERSIONS in extensions else [legacy]
    groups = _numbers(_Reader(extensions[_GROUPS]).vector(2)) if _GROUPS in extensions else []
    return ClientHello(
        server_name=_server_name(extensions.get(_SERVER_NAME)),
        versions=tuple(_VERSION_NAMES.get(one, hex(one)) for one in sorted(versions, reverse=True) if _is_said(one)),
        groups=tuple(_GROUP_NAMES.get(one, f"group {one}") for one in groups if not _is_grease(one))[:16],
        ciphers=len(ciphers),
        protocols=_protocols(extensions.get(_ALPN)),
    )


def _is_said(version: int) -> bool:
    return not _is_grease(version)


def _is_grease(code: int) -> bool:
    """A number that means nothing, put in so that servers learn to pass over what they do not know (RFC 8701)."""
    return code & 0x0F0F == 0x0A0A and code >> 8 == code & 0xFF


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2)]


def _extensions(data: bytes) -> Iterator[tuple[int, bytes]]:
    reader = _Reader(data)
    while reader.more:
        kind = reader.number(2)
        yield kind, reader.vector(2)


def _server_name(data: bytes | None) -> str | None:
    """RFC 6066 3. What is no plain text is shown as what it is: it goes to a log and a screen."""
    if not data:
        return None
    names = _Reader(_Reader(data).vector(2))
    while names.more:
        kind, name = names.number(1), names.vector(2)
        if kind == _HOST_NAME:
            text = name[:_LONGEST_NAME].decode("ascii", "backslashreplace").lower()
            return text if text.isprintable() else ascii(text)[1:-1]
    return None


def _protocols(data: bytes | None) -> tuple[str, ...]:
    if not data:
        return ()
    reader = _Reader(_Reader(data).vector(2))
    found: list[str] = []
    while reader.more and len(found) < 8:
        found.append(ascii(reader.vector(1).decode("latin-1"))[1:-1])
    return tuple(found)
