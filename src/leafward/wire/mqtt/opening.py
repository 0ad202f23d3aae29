"""The first bytes of a connection that is to be MQTT: whether they can still become a CONNECT.

A peer that speaks something else, or makes fun of us, need not be waited for. Only the first bytes are looked at; a
whole packet is the decoder's to judge.
"""

from leafward.errors import ProtocolError

# First byte; the remaining length, in four bytes at most; the longest protocol name with its length.
LOOKED_AT = 1 + 4 + 2 + 6
_CONNECT = 0x10
# MQTT 3.1.1 and 5, and 3.1, whose clients are told that we speak another.
_NAMES = (b"\x00\x04MQTT", b"\x00\x06MQIsdp")


def check_opening(data: bytes) -> None:
    """Raises `ProtocolError` where a connection that begins with `data` cannot begin with a CONNECT (3.1.0-1, 3.1.2-1).

    >>> check_opening(bytes.fromhex("10 25 00 04 4d"))
    """
    if data[:1] not in (b"", bytes((_CONNECT,))):
        raise ProtocolError("the first packet is no CONNECT", why=f"got {data[0]:#04x} as first byte")
    length = 1
    while length < len(data) and length < 4 and data[length] & 0x80:
        length += 1
    name = data[length + 1 :]
    if not any(name.startswith(known) or known.startswith(name) for known in _NAMES):
        raise ProtocolError("the first packet is no CONNECT", why="it does not name MQTT as its protocol")
