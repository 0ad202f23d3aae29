"""How much work a password-protected file asks for before it can be opened.

PKCS#8 and PKCS#12 name their own count of rounds (RFC 8018 appendix A.2, RFC 7292 section 4), so a file of a few bytes
can ask for hours. The counts stand in the open; where one is absurd, the file is not tried.
"""

from collections.abc import Iterator

MOST_ROUNDS = 5_000_000  # OpenSSL writes 2,048, careful people a million: some seconds
_MOST_DEPTH = 20
_INTEGER, _OCTETS, _SEQUENCE, _SET, _CONTEXT = 0x02, 0x04, 0x30, 0x31, 0xA0


def rounds_asked(der: bytes) -> int:
    """The greatest count of rounds: a number that follows a salt (an OCTET STRING) in the same sequence; 0 for none."""
    return max(_counts(memoryview(der), 0), default=0)


def _counts(data: memoryview, depth: int) -> Iterator[int]:
    before = 0
    for tag, value in elements(data):
        if tag == _INTEGER and before == _OCTETS and len(value) <= 8:
            yield int.from_bytes(value, "big", signed=True)
        constructed = tag in (_SEQUENCE, _SET) or tag & 0xE0 == _CONTEXT
        nested = tag == _OCTETS and len(value) > 2 and value[0] == _SEQUENCE
        if depth < _MOST_DEPTH and (constructed or nested):
            yield from _counts(value, depth + 1)
        before = tag


def elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(tag, value) of the elements of a DER text one after the other; ends where it is none."""
    at = 0
    while at + 2 <= len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            if not 1 <= size <= 4 or at + size > len(data):
                return
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if at + length > len(data):
            return
        yield tag, data[at : at + length]
        at += length
