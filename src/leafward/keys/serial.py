"""Serial numbers from the system's random source. The core takes them as arguments; this is where they come from."""

import secrets

# 159 bits: 20 octets in DER with the sign bit clear, the most RFC 5280 4.1.2.2 allows. The top bit is set so that every
# serial has the same length, and 158 bits of it are random.
_BITS = 159
_TOP_BIT = 1 << _BITS - 1
_OWN_BITS = 128


def new_serial() -> int:
    """A positive random serial number of 20 octets."""
    return _TOP_BIT | secrets.randbits(_BITS - 1)


def new_serials(count: int) -> list[int]:
    """Serial numbers for a batch, drawn at once, because each draw is a call to the system.

    They begin with the same 31 bits, drawn for the batch, and go on with 128 random bits each: more than anybody can
    guess, and a database's index of them grows in one place instead of everywhere.
    """
    beginning = new_serial() >> _OWN_BITS << _OWN_BITS
    drawn, size = secrets.token_bytes(count * _OWN_BITS // 8), _OWN_BITS // 8
    return [beginning | int.from_bytes(drawn[at : at + size], "big") for at in range(0, count * size, size)]
