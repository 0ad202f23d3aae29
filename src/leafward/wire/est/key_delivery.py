"""The answer to serverkeygen: a private key and its certificate in one body (RFC 7030 4.4.2, RFC 2046 5.1).

The key is PKCS#8 without further encryption: TLS alone protects it. A request that asks for an encrypted one (RFC 7030
4.4.1) cannot be served, and `asks_for_encrypted_key` finds it, so that it is refused and not answered in the clear.
"""

from collections.abc import Mapping
from email.message import Message
from types import MappingProxyType

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from leafward.errors import EncodingError
from leafward.wire.est.bodies import BASE64, CERTIFICATES, PKCS8, TRANSFER_ENCODING, decode_body, encode_body

# RFC 4108 2.2.5 (symmetric) and RFC 7030 4.4.1.2 (asymmetric).
DECRYPT_KEY_IDENTIFIERS: Mapping[ObjectIdentifier, str] = MappingProxyType(
    {
        ObjectIdentifier("1.2.840.113549.1.9.16.2.37"): "DecryptKeyIdentifier",
        ObjectIdentifier("1.2.840.113549.1.9.16.2.54"): "AsymmetricDecryptKeyIdentifier",
    }
)
# No base64 has a hyphen, so no part can hold it.
_BOUNDARY = "leafward-key-and-certificate"
KEY_AND_CERTIFICATE = f'multipart/mixed; boundary="{_BOUNDARY}"'


def asks_for_encrypted_key(request: x509.CertificateSigningRequest) -> bool:
    """True where the request wants its key encrypted to a key that both sides know."""
    return any(attribute.oid in DECRYPT_KEY_IDENTIFIERS for attribute in request.attributes)


def encode_key_and_certificate(pkcs8: bytes, certificates: bytes) -> bytes:
    """The body, to be sent as `KEY_AND_CERTIFICATE`: a key in PKCS#8 DER and a certs-only message."""
    parts = [_part(PKCS8, pkcs8), _part(CERTIFICATES, certificates)]
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def decode_key_and_certificate(body: bytes, content_type: str) -> tuple[bytes, bytes]:
    """The client's side: (PKCS#8 DER, certs-only DER). Raises `EncodingError`."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/mixed" or not boundary:
        raise EncodingError("the answer is no multipart/mixed", why=f"got {content_type}")
    found = dict(map(_read_part, body.split(f"--{boundary}".encode())[1:-1]))
    try:
        return found[PKCS8], found[CERTIFICATES.partition(";")[0]]
    except KeyError as missing:
        raise EncodingError("the answer lacks a part", why=f"expected {missing.args[0]}") from None


def _part(content_type: str, der: bytes) -> bytes:
    header = f"--{_BOUNDARY}\r\nContent-Type: {content_type}\r\n{TRANSFER_ENCODING}: {BASE64}\r\n\r\n"
    return header.encode() + encode_body(der) + b"\r\n"


def _read_part(part: bytes) -> tuple[str, bytes]:
    head, _, body = part.strip(b"\r\n").partition(b"\r\n\r\n")
    header = Message()
    for line in head.decode("latin-1").splitlines():
        name, _, value = line.partition(":")
        header[name] = value.strip()
    return header.get_content_type(), decode_body(body)
