"""Serial numbers from the system's random source. The core takes them as arguments; this is where they come from."""

import secrets

# 159 bits: 20 octets in DER with the sign bit clear, the most RFC 5280 4.1.2.2 allows. The top bit is set so that every
# serial has the same length, and 158 bits of it are random.
_BITS = 159


def new_serial() -> int:
    """A positive random serial number of 20 octets."""
    return 1 << (_BITS - 1) | secrets.randbits(_BITS - 1)
