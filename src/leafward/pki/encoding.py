"""PEM, DER, PKCS#7 and PKCS#12 <-> certificates and keys, strictly: one answer, or an error that names what was found.

The only room in `pki` that asks a private key for its bytes. Everywhere else a key is a handle that signs and shows
its public half, so a key in an HSM fits.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from leafward.errors import EncodingError
from leafward.pki.key_types import PRIVATE_KEY_CLASSES, PrivateKey
from leafward.pki.pem import (
    CERTIFICATE_LABELS,
    PRIVATE_KEY_LABELS,
    Block,
    looks_like_pem,
    read_blocks,
    write_block,
)

_SEQUENCE = 0x30
_ENCRYPTED = "ENCRYPTED PRIVATE KEY"
# What the library raises for bytes that are no certificate, request or list; the last is no ValueError.
_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion)


def load_certificates(data: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM bundle, in its order, or the one of a DER file; never an empty list.

    Raises `EncodingError` for anything else, naming it: "a private key where a certificate belongs".
    """
    if not looks_like_pem(data):
        return [_certificate(data, "the DER data")]
    certificates = []
    for block in read_blocks(data):
        if block.label not in CERTIFICATE_LABELS:
            raise _wrong_object(block, "a certificate")
        certificates.append(_certificate(block.data, f"the PEM block at line {block.line}"))
    return certificates


def load_certificate(data: bytes) -> x509.Certificate:
    """Exactly one certificate, PEM or DER. Raises `EncodingError` also for a bundle."""
    certificates = load_certificates(data)
    if len(certificates) != 1:
        raise EncodingError("more than one certificate", why=f"expected one, got {len(certificates)}")
    return certificates[0]


def certificate_to_pem(certificate: x509.Certificate) -> bytes:
    """One PEM block, LF line ends."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def certificates_to_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    """A PEM bundle in the order given."""
    return b"".join(map(certificate_to_pem, certificates))


def load_pkcs7(data: bytes) -> list[x509.Certificate]:
    """The certificates of a PKCS#7 bundle (.p7b, RFC 5652 section 5), PEM or DER, in its order.

    A DER bundle is a set: its order means nothing (`Chain.ordered` restores one). Raises `EncodingError`.
    """
    from cryptography.hazmat.primitives.serialization import pkcs7  # noqa: PLC0415 - brings a library of mail along

    if looks_like_pem(data):
        blocks = read_blocks(data)
        if len(blocks) != 1 or blocks[0].label not in ("PKCS7", "CMS"):
            raise _wrong_object(blocks[0], "a PKCS#7 bundle")
        data = blocks[0].data
    try:
        with warnings.catch_warnings():
            # BER, as Windows writes it, is read with a warning; it is no fault of the certificates.
            warnings.simplefilter("ignore", UserWarning)
            return pkcs7.load_der_pkcs7_certificates(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EncodingError("the PKCS#7 bundle does not decode", why=str(error) or None) from error


def load_private_key(data: bytes, passphrase: bytes | None = None) -> PrivateKey:
    """The private key of a PEM (PKCS#8, SEC 1, PKCS#1) or DER (PKCS#8) file; a passphrase too many is ignored.

    Raises `EncodingError`: encrypted and no passphrase, wrong passphrase, another object, another algorithm. No error
    text holds key material.
    """
    pem = looks_like_pem(data)
    encrypted = _one_key_block(data) if pem else _is_encrypted_pkcs8(data)
    if encrypted and passphrase is None:
        raise EncodingError(
            "the private key is encrypted",
            why="no passphrase was given",
            hint="give the passphrase, or write a plain key with: openssl pkey -in KEY -out PLAIN",
        )
    load = serialization.load_pem_private_key if pem else serialization.load_der_private_key
    try:
        key = load(data, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # `from None`: the cause may quote the file.
        raise _broken_key(data, encrypted) from None
    return _signing_key(key)


def private_key_to_pem(key: PrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS#8 PEM (RFC 5958), plain, or encrypted when a passphrase is given. For keys held in memory only."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, _encryption(passphrase))


@dataclass(frozen=True, slots=True)
class Pkcs12:
    """What a PKCS#12 file holds: a key or none, and certificates, the key's own first."""

    key: PrivateKey | None = field(repr=False)
    certificates: tuple[x509.Certificate, ...]
    friendly_name: str | None = None


def load_pkcs12(data: bytes, passphrase: bytes | None = None) -> Pkcs12:
    """A PKCS#12 file (RFC 7292). Raises `EncodingError` for a wrong passphrase, broken data or an unfitting key."""
    try:
        loaded = pkcs12.load_pkcs12(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        given = "no passphrase was given" if passphrase is None else "the passphrase may be wrong"
        raise EncodingError("the PKCS#12 file does not open", why=f"it is damaged, or {given}") from error
    first = [loaded.cert] if loaded.cert else []
    found = [*first, *loaded.additional_certs]
    name = loaded.cert.friendly_name if loaded.cert else None
    return Pkcs12(
        key=None if loaded.key is None else _signing_key(loaded.key),
        certificates=tuple(one.certificate for one in found),
        friendly_name=name.decode("utf-8", "replace") if name else None,
    )


def dump_pkcs12(
    friendly_name: str, key: PrivateKey, certificates: Sequence[x509.Certificate], passphrase: bytes | None
) -> bytes:
    """A PKCS#12 file of a key and its chain, leaf first. Without a passphrase nothing in it is protected."""
    leaf, *others = certificates
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise EncodingError("this kind of key has no place in a PKCS#12 file", hint="use PEM files")
    return pkcs12.serialize_key_and_certificates(friendly_name.encode(), key, leaf, others, _encryption(passphrase))


def load_request(data: bytes) -> x509.CertificateSigningRequest:
    """A PKCS#10 request (RFC 2986), PEM or DER, as it stands: nothing in it is checked here. Raises `EncodingError`."""
    if looks_like_pem(data):
        blocks = read_blocks(data)
        if len(blocks) != 1 or blocks[0].label not in ("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"):
            other = next((block for block in blocks if "REQUEST" not in block.label), blocks[-1])
            raise _wrong_object(other, "one certificate request")
        data = blocks[0].data
    try:
        return x509.load_der_x509_csr(data)
    except _UNREADABLE as error:
        why = _not_der(data, str(error))
        hint = "make it again with the key it is for: openssl req -new -key KEY -out REQUEST"
        raise EncodingError("the certificate request does not decode", why=why, hint=hint) from error


def request_to_pem(request: x509.CertificateSigningRequest) -> bytes:
    """One PEM block of the kind CERTIFICATE REQUEST."""
    return write_block("CERTIFICATE REQUEST", request.public_bytes(serialization.Encoding.DER))


def load_crls(data: bytes) -> list[x509.CertificateRevocationList]:
    """The revocation lists (RFC 5280 section 5) of a PEM bundle, or the one of a DER file. Raises `EncodingError`."""
    ders = [data]
    if looks_like_pem(data):
        blocks = read_blocks(data)
        if wrong := next((block for block in blocks if block.label != "X509 CRL"), None):
            raise _wrong_object(wrong, "a revocation list")
        ders = [block.data for block in blocks]
    try:
        return [x509.load_der_x509_crl(der) for der in ders]
    except _UNREADABLE as error:
        raise EncodingError("the revocation list does not decode", why=str(error) or None) from error


def _certificate(der: bytes, where: str) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except _UNREADABLE as error:
        why = _not_der(der, str(error))
        hint = "a certificate file is PEM (-----BEGIN CERTIFICATE-----) or DER"
        raise EncodingError(f"no certificate in {where}", why=why, hint=hint) from error


def _not_der(der: bytes, said: str) -> str:
    """Why bytes are no certificate, for who has never seen ASN.1. X.690: all of it is one SEQUENCE, 0x30."""
    if not der.strip():
        return "there are no bytes"
    if der[0] != _SEQUENCE:
        return f"expected PEM, or DER that begins with the byte 0x30; got 0x{der[0]:02x}"
    if "ShortData" in said:
        return "it is cut off: it says of itself that it is longer"
    if "ExtraData" in said:
        return "there are bytes after its end"
    # The parser's own names for what it met tell a programmer where, and nobody else anything.
    return "its ASN.1 does not decode" if "ParseError" in said else said.strip() or "it does not decode"


def _wrong_object(block: Block, expected: str) -> EncodingError:
    hint = "give the file that holds the object asked for"
    if block.label in PRIVATE_KEY_LABELS:
        hint = "certificates and private keys are kept in files of their own: give the other file"
    return EncodingError(f"{block.name} where {expected} belongs", why=f"at line {block.line}", hint=hint)


def _one_key_block(data: bytes) -> bool:
    """Checks that PEM data holds one private key and nothing else; True where the key is encrypted."""
    blocks = [block for block in read_blocks(data) if block.label != "EC PARAMETERS"]
    for block in blocks:
        if block.label not in PRIVATE_KEY_LABELS:
            raise _wrong_object(block, "a private key")
    if len(blocks) != 1:
        raise EncodingError("not one private key", why=f"expected one, got {len(blocks)}")
    return blocks[0].encrypted or blocks[0].label == _ENCRYPTED


def _is_encrypted_pkcs8(der: bytes) -> bool:
    """True for an EncryptedPrivateKeyInfo (RFC 5958 section 3): a SEQUENCE stands where a plain key has its version."""
    if len(der) < 4 or der[0] != 0x30:
        return False
    header = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return der[header : header + 1] == b"\x30" and not _is_certificate(der)


def _broken_key(data: bytes, encrypted: bool) -> EncodingError:
    if _is_certificate(data):
        return EncodingError("a certificate where a private key belongs", hint="give the file that holds the key")
    if encrypted:
        return EncodingError("the passphrase does not open the private key", hint="give the one it was written with")
    return EncodingError("the private key does not decode", hint="expected PKCS#8, SEC 1 or PKCS#1 PEM, or PKCS#8 DER")


def _is_certificate(der: bytes) -> bool:
    try:
        x509.load_der_x509_certificate(der)
    except _UNREADABLE:
        return False
    return True


def _signing_key(key: object) -> PrivateKey:
    if not isinstance(key, PRIVATE_KEY_CLASSES):
        kind = type(key).__name__.removesuffix("PrivateKey")
        raise EncodingError("a private key of a kind not used here", why=f"got {kind}", hint="make an ec-p256 key")
    return key


def _encryption(passphrase: bytes | None) -> serialization.KeySerializationEncryption:
    if not passphrase:
        return serialization.NoEncryption()
    return serialization.BestAvailableEncryption(passphrase)
