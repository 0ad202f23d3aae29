"""Bodies of EST: base64 in one line and the right content type going out; what devices really send coming in.

Going out: base64 (RFC 4648 section 4, as RFC 8951 3.1 asks) without a line break, because some clients stop at the
first. Coming in, four departures are taken, each named in `Received.deviations`:

    pem-armour                  a PEM block where bare base64 belongs
    line-breaks                 blanks or line breaks inside or around the base64 (RFC 7030 had MIME's base64)
    not-base64                  bare DER
    transfer-encoding-missing   no Content-Transfer-Encoding: base64 (RFC 7030 asks for it, RFC 8951 3.1 dropped it)

Nothing else is guessed: a wrong content type, other alphabets and damaged base64 are refused.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from leafward.errors import EncodingError, ProtocolError
from leafward.pki.der import CONTEXT_0, INTEGER, OBJECT_ID, SEQUENCE, SET, element, header
from leafward.pki.encoding import load_pkcs7
from leafward.pki.pem import looks_like_pem, read_blocks
from leafward.wire.base64_text import decode_base64

# A request with an RSA-4096 key and many names has 3 kB, one with ML-DSA-87 some 8 kB; in base64, with room.
MAX_REQUEST_BODY = 64 * 1024

PKCS10 = "application/pkcs10"
PKCS8 = "application/pkcs8"
CERTIFICATES = "application/pkcs7-mime; smime-type=certs-only"
CSR_ATTRIBUTES = "application/csrattrs"
TRANSFER_ENCODING = "Content-Transfer-Encoding"
BASE64 = "base64"

PEM_ARMOUR = "pem-armour"
LINE_BREAKS = "line-breaks"
NOT_BASE64 = "not-base64"
NO_TRANSFER_ENCODING = "transfer-encoding-missing"

_REQUEST_LABELS = ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
_BLANKS = b" \t\r\n"
_SEQUENCE = 0x30
# RFC 5652 sections 3 and 5.1: the parts of a SignedData that nobody signed are the same each time.
_SIGNED_DATA = element(OBJECT_ID, bytes.fromhex("2a864886f70d010702"))
_DATA = element(SEQUENCE, element(OBJECT_ID, bytes.fromhex("2a864886f70d010701")))
_VERSION_1 = element(INTEGER, b"\x01")
_NO_DIGESTS = _NO_SIGNERS = element(SET)


@dataclass(frozen=True, slots=True)
class Received:
    """A PKCS#10 request as DER, not looked into, and the tolerances that were needed to read it."""

    der: bytes
    deviations: tuple[str, ...] = ()


def read_request(body: bytes, *, content_type: str | None, transfer_encoding: str | None) -> Received:
    """The request in a body. Headers are given as they came; None where there was none.

    Raises `ProtocolError` for another content type than application/pkcs10, `EncodingError` for a body that is none
    of the forms above.
    """
    _check_content_type(content_type)
    deviations = [] if (transfer_encoding or "").strip().lower() == BASE64 else [NO_TRANSFER_ENCODING]
    if looks_like_pem(body):
        return Received(_armoured(body), (*deviations, PEM_ARMOUR))
    if body[:1] == bytes([_SEQUENCE]) and not body.isascii():
        return Received(body, (*deviations, NOT_BASE64))
    text = body.translate(None, _BLANKS)
    if len(text) != len(body):
        deviations.append(LINE_BREAKS)
    if not text:
        raise EncodingError("the body is empty", why="expected a PKCS#10 request in base64", hint=_HOW)
    return Received(decode_base64(text.decode("latin-1"), "request"), tuple(deviations))


def encode_body(der: bytes) -> bytes:
    """Base64 in one line, without a line end."""
    return base64.b64encode(der)


def decode_body(body: bytes) -> bytes:
    """The client's side: the DER of an answer's body, with or without line breaks. Raises `EncodingError`."""
    return decode_base64(body.translate(None, _BLANKS).decode("latin-1"), "body")


def certificates_only(certificates: Sequence[x509.Certificate]) -> bytes:
    """A certs-only CMS message in DER (RFC 5652 section 5.1, RFC 7030 4.1.3): a set, so its order says nothing."""
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER)


def certificates_only_of(ders: Sequence[bytes]) -> bytes:
    """The same message of certificates in DER, which are not looked into."""
    certificates = b"".join(sorted(ders))  # a SET OF, X.690 11.6
    return _before(len(certificates)) + certificates + _NO_SIGNERS


@lru_cache
def _before(size: int) -> bytes:
    """What stands before certificates of so many octets."""
    fixed = _VERSION_1 + _NO_DIGESTS + _DATA + header(CONTEXT_0, size)
    signed = header(SEQUENCE, len(fixed) + size + len(_NO_SIGNERS)) + fixed
    explicit = _SIGNED_DATA + header(CONTEXT_0, len(signed) + size + len(_NO_SIGNERS)) + signed
    return header(SEQUENCE, len(explicit) + size + len(_NO_SIGNERS)) + explicit


def certificates_of(der: bytes) -> list[x509.Certificate]:
    """The client's side of `certificates_only`. Raises `EncodingError`."""
    return load_pkcs7(der)


def _check_content_type(content_type: str | None) -> None:
    found = (content_type or "").partition(";")[0].strip().lower()
    if found != PKCS10:
        why = f"got {found or 'none'}, expected {PKCS10}"
        raise ProtocolError("the content type is not that of a certificate request", why=why, hint=_HOW)


def _armoured(body: bytes) -> bytes:
    blocks = read_blocks(body)
    if len(blocks) != 1 or blocks[0].label not in _REQUEST_LABELS:
        wrong = next((block for block in blocks if block.label not in _REQUEST_LABELS), blocks[-1])
        raise EncodingError(f"{wrong.name} where one certificate request belongs", hint=_HOW)
    return blocks[0].data


_HOW = f"send the request's DER in base64, with Content-Type: {PKCS10}"
