"""Requests of a factory line, read fast: the common shape by its octets, every other by the ordinary reader.

The common shape is what a production line sends thousands of: a P-256 key, ECDSA with SHA-256, a subject of a common
name (and serial number), attributes seen before. Its fields are cut out at their places and its signature is verified
by `cryptography`. Anything else goes to `CertificateRequest.from_csr`, which also says what is wrong: this room refuses
nothing itself. A property test holds the two readers together.
"""

import binascii
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self, TypeAlias, TypeVar, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from leafward.errors import EncodingError, LeafwardError
from leafward.pki.der import (
    BIT_STRING,
    CONTEXT_0,
    INTEGER,
    OBJECT_ID,
    PRINTABLE_STRING,
    SEQUENCE,
    SET,
    UTF8_STRING,
    bounds,
    contents,
    element,
    elements,
)
from leafward.pki.key_types import DEFAULT_KEY_TYPE, PublicKey, key_type_of
from leafward.pki.names import MAX_COMMON_NAME
from leafward.pki.p256_point import SPKI_OCTETS, is_p256_key
from leafward.pki.request import MAX_REQUEST, CertificateRequest, check_key

P256 = DEFAULT_KEY_TYPE.name
_VERSION_1 = element(INTEGER, b"\x00")
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_COMMON_NAME, _SERIAL_NUMBER = element(OBJECT_ID, b"\x55\x04\x03"), element(OBJECT_ID, b"\x55\x04\x05")
_OUR_NAMES = (_COMMON_NAME, _SERIAL_NUMBER)
_ECDSA = ec.ECDSA(hashes.SHA256())
_PRINTABLE = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,-./:=?"
_PEM = re.compile(
    rb"\s*-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)-----\r?\n(?P<body>(?:[A-Za-z0-9+/=]{1,76}\r?\n)+)"
    rb"-----END (?P=label)-----\s*"
)
_Key: TypeAlias = ec.EllipticCurvePublicKey
_Value = TypeVar("_Value")
# Attributes and subject parts that the library has read and found ordinary; a line has a handful of each.
_REMEMBERED = 256


@dataclass(slots=True, eq=False)  # frozen would cost a microsecond each
class BulkRequest:
    """What is asked for, as the bulk path takes it.

    `spki` is a SubjectPublicKeyInfo in DER, whose key has been looked at; `key_type` its kind. `plain` is True where
    nothing is asked for but a key and a subject.
    """

    spki: bytes = field(repr=False)
    key_type: str
    common_name: str | None = None
    serial_number: str | None = None
    asks_for_ca: bool = False
    plain: bool = True
    _ordinary: CertificateRequest | None = field(default=None, repr=False)

    @classmethod
    def of_key(cls, spki: bytes) -> Self:
        """A request of a bare public key. Raises `EncodingError`, or `RuleViolation` for a weak or unusual key."""
        if is_p256_key(spki):
            return cls(spki, P256)
        return cls.of(CertificateRequest(public_key=_load(spki)))

    @classmethod
    def of(cls, request: CertificateRequest) -> Self:
        """An ordinary request. Raises `RuleViolation` for a weak or unusual key."""
        key, asked = request.public_key, (request.common_name, request.serial_number, request.asks_for_ca)
        check_key(key)
        simple = CertificateRequest(public_key=key, common_name=asked[0], serial_number=asked[1], asks_for_ca=asked[2])
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(spki, key_type_of(key).name, *asked, request == simple, request)

    def in_full(self) -> CertificateRequest:
        """The request as the ordinary path takes it."""
        return self._ordinary or CertificateRequest(
            public_key=_load(self.spki),
            common_name=self.common_name,
            serial_number=self.serial_number,
            asks_for_ca=self.asks_for_ca,
        )


class RequestReader:
    """Reads PKCS#10 requests, PEM or DER. It remembers what it has seen: keep one for a lot, in one thread."""

    def __init__(self) -> None:
        self._attributes: OrderedDict[bytes, bool] = OrderedDict({b"\xa0\x00": False})
        self._parts: OrderedDict[bytes, None] = OrderedDict()

    def read(self, data: bytes) -> BulkRequest:
        """A request whose sender has proved to hold the key. Raises as `CertificateRequest.from_csr`."""
        der = der_of(data) if len(data) <= MAX_REQUEST else None
        cut = None if der is None else self._cut(der)
        if cut is not None and _verifies(cast("_Key", load_der_public_key(cut[0].spki)), cut[2], cut[1]):
            return cut[0]
        read = self._ordinary(data, der)
        if isinstance(read, LeafwardError):
            raise read
        return read

    def read_all(self, requests: Sequence[bytes]) -> list[BulkRequest | LeafwardError]:
        """Each request, or, in its place, why it is refused.

        In steps (cut all, then verify all): Python and OpenSSL push each other out of the processor's cache.
        """
        ders = [der_of(data) if len(data) <= MAX_REQUEST else None for data in requests]
        cuts = [None if der is None else self._cut(der) for der in ders]
        # `_cut` has seen to it that these are keys of P-256.
        keys = [None if cut is None else cast("_Key", load_der_public_key(cut[0].spki)) for cut in cuts]
        read: list[BulkRequest | LeafwardError] = []
        for place, (cut, key) in enumerate(zip(cuts, keys, strict=True)):
            if cut is None or key is None or not _verifies(key, cut[2], cut[1]):
                read.append(self._ordinary(requests[place], ders[place]))
            else:
                read.append(cut[0])
        return read

    def _ordinary(self, data: bytes, der: bytes | None) -> BulkRequest | LeafwardError:
        try:
            request = CertificateRequest.from_csr(data)
            read = BulkRequest.of(request)
        except LeafwardError as error:
            return error
        if der is not None and read.plain:
            self._remember(der, request.asks_for_ca)
        return read

    def _cut(self, der: bytes) -> tuple[BulkRequest, bytes, bytes] | None:
        """(request, what was signed, signature) of the common shape; None for every other."""
        try:
            outer, end = contents(der, 0, SEQUENCE)
            inside, after = contents(der, outer, SEQUENCE)
            name = inside + len(_VERSION_1)
            tag, first, key = bounds(der, name)
            more = key + SPKI_OCTETS
            asks_for_ca = self._attributes.get(der[more:after])
            known = end == len(der) and der.startswith(_VERSION_1, inside) and asks_for_ca is not None
            if not known or more > after or not der.startswith(_ECDSA_SHA256, after):
                return None
            at, stop = contents(der, after + len(_ECDSA_SHA256), BIT_STRING)
            texts = self._texts(der, first, key) if tag == SEQUENCE else None
            if texts is None or stop != end or der[at]:
                return None
        except (EncodingError, IndexError):
            return None
        spki = der[key:more]
        if not is_p256_key(spki):
            return None
        return BulkRequest(spki, P256, *texts, bool(asks_for_ca)), der[outer:after], der[at + 1 : stop]

    def _texts(self, der: bytes, begin: int, end: int) -> tuple[str | None, str | None] | None:
        """(common name, serial number) of a subject; None where the library should look at it."""
        common_name = serial_number = None
        while begin < end:
            size = der[begin + 1]
            after = begin + 2 + size
            if after > end or size & 0x80:
                return None
            kind = der[begin + 4 : begin + 9]
            if kind not in _OUR_NAMES:
                if der[begin:after] not in self._parts:
                    return None
            elif kind == _COMMON_NAME and common_name is None:
                common_name = _text(der, begin, size)
                if common_name is None:
                    return None
            elif kind == _SERIAL_NUMBER and serial_number is None:
                serial_number = _text(der, begin, size)
                if serial_number is None:
                    return None
            else:
                return None
            begin = after
        return common_name, serial_number

    def _remember(self, der: bytes, asks_for_ca: bool) -> None:
        """The attributes and subject parts of a request that the library accepted."""
        try:
            inside, after = contents(der, contents(der, 0, SEQUENCE)[0], SEQUENCE)
            parts = [der[first:last] for _, first, last in elements(der, inside, after)]
            subject = parts[1]
            for _, first, last in elements(subject, *contents(subject, 0, SEQUENCE)):
                if not _has_our_names(subject[first:last]):
                    _keep(self._parts, subject[first:last], None)
        except (EncodingError, IndexError):
            return
        if len(parts) == 4 and parts[3][0] == CONTEXT_0:
            _keep(self._attributes, parts[3], asks_for_ca)
        elif len(parts) == 3:
            _keep(self._attributes, b"", asks_for_ca)


def _verifies(key: _Key, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, _ECDSA)
    except InvalidSignature:
        return False
    return True


def _load(spki: bytes) -> PublicKey:
    try:
        return load_der_public_key(spki)  # type: ignore[return-value]  # whoever takes it checks its kind
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EncodingError("the public key does not decode", why=str(error) or None) from error


def der_of(data: bytes) -> bytes | None:
    """The DER of a request in the plainest PEM, or in DER; None for what the strict reader should look at."""
    if data[:1] == b"\x30":
        return data
    found = _PEM.fullmatch(data)
    if found is None:
        return None
    try:
        return binascii.a2b_base64(found["body"].translate(None, b"\r\n"), strict_mode=True)
    except binascii.Error:
        return None


def _text(der: bytes, at: int, size: int) -> str | None:
    """The text of a subject's part of `size` octets, where every reader agrees on it; None elsewhere.

    31 size 30 size-2 06 03 55 04 kind tag size-9 text: a set of one attribute, all in short lengths.
    """
    if (der[at], der[at + 2], der[at + 3], der[at + 10]) != (SET, SEQUENCE, size - 2, size - 9):
        return None
    tag, value = der[at + 9], der[at + 11 : at + 2 + size]
    if not 1 <= len(value) <= MAX_COMMON_NAME or b"*" in value:
        return None
    if tag == PRINTABLE_STRING:
        return None if value.translate(None, _PRINTABLE) else value.decode("ascii")
    if tag != UTF8_STRING:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _has_our_names(part: bytes) -> bool:
    """True for a part of a subject that may hold a common name or serial number, which are read each time."""
    return any(name in part for name in _OUR_NAMES)


def _keep(memory: OrderedDict[bytes, _Value], key: bytes, value: _Value) -> None:
    memory[key] = value
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
