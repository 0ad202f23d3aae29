"""What a TLS server says in the clear before keys are agreed: its version, its certificates (TLS 1.2), its alerts.

OpenSSL gives none of it where it refuses a handshake, and stops at the first certificate whose ASN.1 is broken. These
are the bytes that came, read once more (RFC 5246 7.4, RFC 8446 4).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from leafward.wire.tls.alerts import Alert

_ALERT, _HANDSHAKE = 21, 22
_SERVER_HELLO, _CERTIFICATE, _CERTIFICATE_REQUEST = 2, 11, 13
_MOST_CERTIFICATES = 100
_VERSIONS = {0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2"}


@dataclass(frozen=True, slots=True)
class InTheClear:
    """`version` is that of the ServerHello's old field ("TLSv1.2" for 1.3 as well); `chain` is DER, leaf first."""

    version: str | None = None
    chain: tuple[bytes, ...] = ()
    asked: bool = False
    alert: Alert | None = None


def is_tls(data: bytes) -> bool:
    """Whether bytes begin as a TLS record of a server does."""
    return len(data) >= 2 and data[0] in (_ALERT, _HANDSHAKE) and data[1] == 3


def read_records(data: bytes) -> InTheClear:
    """What can be read; what is encrypted, cut off or broken is left out. Never raises."""
    messages, alert = _split(data)
    version: str | None = None
    chain: tuple[bytes, ...] = ()
    asked = False
    for kind, body in _messages(messages):
        if kind == _SERVER_HELLO and len(body) >= 2:
            version = _VERSIONS.get(int.from_bytes(body[:2], "big"))
        elif kind == _CERTIFICATE:
            chain = tuple(_certificates(body))
        elif kind == _CERTIFICATE_REQUEST:
            asked = True
    return InTheClear(version, chain, asked, alert)


def _split(data: bytes) -> tuple[bytes, Alert | None]:
    """The handshake bytes of the records, up to the first that is another; an alert where that is one."""
    at, found = 0, bytearray()
    while at + 5 <= len(data):
        kind, size = data[at], int.from_bytes(data[at + 3 : at + 5], "big")
        body = data[at + 5 : at + 5 + size]
        if kind == _ALERT and size == 2 and len(body) == 2:
            return bytes(found), Alert.of(body[1], from_peer=True)
        if kind != _HANDSHAKE:
            break
        found += body
        at += 5 + size
    return bytes(found), None


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        if at + 4 + size > len(data):
            return
        yield data[at], data[at + 4 : at + 4 + size]
        at += 4 + size


def _certificates(body: bytes) -> Iterator[bytes]:
    at, count = 3, 0
    while at + 3 <= len(body) and count < _MOST_CERTIFICATES:
        size = int.from_bytes(body[at : at + 3], "big")
        if at + 3 + size > len(body):
            return
        yield body[at + 3 : at + 3 + size]
        at, count = at + 3 + size, count + 1
