"""DER lengths and nesting (X.690 sections 8.1 and 10.1): enough to cut an encoded object into its parts and join them.

Nothing is decoded here: what the parts mean is `cryptography`'s affair. Lengths are definite and minimal, or refused.
"""

from collections.abc import Iterator

from leafward.errors import EncodingError

INTEGER, BIT_STRING, OCTET_STRING, OBJECT_ID = 0x02, 0x03, 0x04, 0x06
UTF8_STRING, PRINTABLE_STRING = 0x0C, 0x13
SEQUENCE, SET = 0x30, 0x31
CONTEXT_0, CONTEXT_3 = 0xA0, 0xA3
_MOST_LENGTH_OCTETS = 4


def header(tag: int, length: int) -> bytes:
    """Tag and length octets.

    >>> header(SEQUENCE, 200).hex()
    '3081c8'
    """
    if length < 0x80:
        return bytes((tag, length))
    octets = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | octets)) + length.to_bytes(octets, "big")


def element(tag: int, *contents: bytes) -> bytes:
    """A whole element."""
    content = b"".join(contents)
    return header(tag, len(content)) + content


def bounds(data: bytes, at: int) -> tuple[int, int, int]:
    """(tag, where the contents begin, where they end) of the element at `at`.

    Raises `EncodingError` where it does not fit into `data`, or its length is not written the one way that DER allows.
    """
    try:
        tag, length, begin = data[at], data[at + 1], at + 2
        if length & 0x80:
            octets, begin = length & 0x7F, begin + (length & 0x7F)
            length = int.from_bytes(data[at + 2 : begin], "big")
            if not 1 <= octets <= _MOST_LENGTH_OCTETS or length < 0x80 or length >> 8 * (octets - 1) == 0:
                raise EncodingError("a DER length that is not written the shortest way", why=f"at octet {at}")
    except IndexError:
        raise EncodingError("DER that is cut off", why=f"expected an element at octet {at}") from None
    if begin + length > len(data):
        raise EncodingError("DER that is cut off", why=f"the element at octet {at} is longer than what is left")
    return tag, begin, begin + length


def contents(data: bytes, at: int, expected: int) -> tuple[int, int]:
    """(begin, end) of the contents of the element at `at`. Raises `EncodingError` also for another tag."""
    tag, begin, end = bounds(data, at)
    if tag != expected:
        raise EncodingError("another DER element than expected", why=f"got tag {tag:#04x}, expected {expected:#04x}")
    return begin, end


def elements(data: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(tag, where it begins, where it ends) of each whole element from `begin` to `end`. Raises `EncodingError`."""
    while begin < end:
        tag, _, after = bounds(data, begin)
        if after > end:
            raise EncodingError("a DER element that is longer than what holds it", why=f"at octet {begin}")
        yield tag, begin, after
        begin = after
