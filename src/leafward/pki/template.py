"""Template: the part of a certificate that is signed (its TBS, RFC 5280 4.1), with gaps for what differs in a lot.

A certificate that the rules have judged is cut at serial number, subject, public key and key identifier. Further
certificates are the same octets around other values; lengths are made anew. A template puts itself together again when
it is made and must be the certificate it was cut from, so a field that it does not expect is found before it is used.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from leafward.errors import EncodingError
from leafward.pki.der import (
    BIT_STRING,
    CONTEXT_0,
    CONTEXT_3,
    INTEGER,
    OBJECT_ID,
    OCTET_STRING,
    PRINTABLE_STRING,
    SEQUENCE,
    SET,
    UTF8_STRING,
    contents,
    element,
    elements,
    header,
)

KEY_ID_OCTETS = 20  # SHA-1 of the BIT STRING, RFC 5280 4.2.1.2 method 1
_VERSION_3 = element(CONTEXT_0, element(INTEGER, b"\x02"))
_COMMON_NAME = element(OBJECT_ID, b"\x55\x04\x03")
_SERIAL_NUMBER = element(OBJECT_ID, b"\x55\x04\x05")
_SUBJECT_KEY_IDENTIFIER = element(OBJECT_ID, b"\x55\x1d\x0e")


@dataclass(frozen=True, slots=True)
class Template:
    """`between` stands from the serial number to the subject; `before_id` and `after_id` are the extensions.

    Immutable but for the remembered headers; one thread at a time.
    """

    algorithm: bytes
    between: bytes
    before_id: bytes
    after_id: bytes
    _heads: dict[tuple[int, int, int], tuple[bytes, bytes]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, tbs: bytes) -> Self:
        """The template of a TBS. Raises `EncodingError` where it is not of the one form that our issuer makes."""
        begin, end = contents(tbs, 0, SEQUENCE)
        if end != len(tbs):
            raise _unfit("octets after its end")
        parts = [tbs[first:last] for _, first, last in elements(tbs, begin, end)]
        if len(parts) != 8 or parts[0] != _VERSION_3:
            raise _unfit(f"got {len(parts)} parts, expected 8 of version 3")
        _, serial, algorithm, issuer, validity, subject, spki, extensions = parts
        before_id, key_id, after_id = _cut_at_key_id(extensions)
        made = cls(algorithm, algorithm + issuer + validity, before_id, after_id)
        common_name, serial_number = _names(subject)
        number = serial[slice(*contents(serial, 0, INTEGER))]
        if made.fill(number, common_name, spki, key_id, serial_number) != tbs:
            raise _unfit("put together again it is another")
        return made

    def fill(self, serial: bytes, common_name: bytes, spki: bytes, key_id: bytes, number: bytes | None = None) -> bytes:
        """A TBS.

        `serial` is the contents of the INTEGER, `common_name` UTF-8, `spki` a whole SubjectPublicKeyInfo, `key_id` the
        subject key identifier, `number` the subject's serialNumber where it has one. Nothing is checked here.
        """
        if number is not None:
            return self._fill_with_number(serial, common_name, spki, key_id, number)
        sizes = (len(serial), len(common_name), len(spki))
        heads = self._heads.get(sizes)
        if heads is None:
            heads = self._heads[sizes] = self._make_heads(*sizes)
        return b"".join((heads[0], serial, heads[1], common_name, spki, self.before_id, key_id, self.after_id))

    def _make_heads(self, serial: int, common_name: int, spki: int) -> tuple[bytes, bytes]:
        """What stands before the serial number, and what stands between it and the common name."""
        text = header(UTF8_STRING, common_name)
        pair = header(SEQUENCE, len(_COMMON_NAME) + len(text) + common_name) + _COMMON_NAME + text
        part = header(SET, len(pair) + common_name) + pair
        name = header(SEQUENCE, len(part) + common_name) + part
        second = self.between + name
        first = _VERSION_3 + header(INTEGER, serial)
        extensions = len(self.before_id) + KEY_ID_OCTETS + len(self.after_id)
        size = len(first) + serial + len(second) + common_name + spki + extensions
        return header(SEQUENCE, size) + first, second

    def _fill_with_number(self, serial: bytes, name: bytes, spki: bytes, key_id: bytes, number: bytes) -> bytes:
        subject = element(
            SEQUENCE,
            element(SET, element(SEQUENCE, _COMMON_NAME, element(UTF8_STRING, name))),
            element(SET, element(SEQUENCE, _SERIAL_NUMBER, element(PRINTABLE_STRING, number))),
        )
        extensions = (self.before_id, key_id, self.after_id)
        return element(SEQUENCE, _VERSION_3, element(INTEGER, serial), self.between, subject, spki, *extensions)


def bit_string(spki: bytes) -> bytes:
    """The octets of a SubjectPublicKeyInfo's BIT STRING, of which the key identifier is made."""
    begin, end = contents(spki, 0, SEQUENCE)
    *_, (_, first, _) = elements(spki, begin, end)
    begin, end = contents(spki, first, BIT_STRING)
    return spki[begin + 1 : end]


def _names(subject: bytes) -> tuple[bytes, bytes | None]:
    """Common name, and serialNumber or None."""
    values = []
    for _, first, _ in elements(subject, *contents(subject, 0, SEQUENCE)):
        pair, _ = contents(subject, first, SET)
        begin, end = contents(subject, pair, SEQUENCE)
        *_, (_, value, _) = elements(subject, begin, end)
        values.append(subject[slice(*_value(subject, value))])
    if not 1 <= len(values) <= 2:
        raise _unfit("its subject is not a common name, with a serial number or without")
    return values[0], values[1] if len(values) == 2 else None


def _value(subject: bytes, at: int) -> tuple[int, int]:
    return contents(subject, at, subject[at])


def _cut_at_key_id(extensions: bytes) -> tuple[bytes, bytes, bytes]:
    outer, _ = contents(extensions, 0, CONTEXT_3)
    inside = contents(extensions, outer, SEQUENCE)
    found = list(_key_ids(extensions, *inside))
    if len(found) != 1 or len(found[0][1]) != KEY_ID_OCTETS:
        raise _unfit("it has not one subject key identifier of 20 octets")
    at, key_id = found[0]
    return extensions[:at], key_id, extensions[at + KEY_ID_OCTETS :]


def _key_ids(extensions: bytes, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    for _, first, _ in elements(extensions, begin, end):
        inner, last = contents(extensions, first, SEQUENCE)
        if not extensions.startswith(_SUBJECT_KEY_IDENTIFIER, inner):
            continue
        wrapped = contents(extensions, inner + len(_SUBJECT_KEY_IDENTIFIER), OCTET_STRING)
        at, stop = contents(extensions, wrapped[0], OCTET_STRING)
        if stop != last:
            raise _unfit("its subject key identifier is not where it was expected")
        yield at, extensions[at:stop]


def _unfit(why: str) -> EncodingError:
    return EncodingError("a certificate that is no template", why=why, hint="issue it by the ordinary path")
