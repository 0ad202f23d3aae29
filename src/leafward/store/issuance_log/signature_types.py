"""The kinds of signature of a note, of those that signed-note assigns a byte to: which keys, which id, what holds.

    0x01   Ed25519 over the text: what every reader and witness takes
    0x02   ECDSA with SHA-256 over the text, in DER: for keys in a device that has no Ed25519, as a TPM; the public key
           is a SubjectPublicKeyInfo, and the key id is the beginning of its digest, without the name

A log has one of them. Pure.
"""

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from leafward.errors import EncodingError

ED25519 = b"\x01"
ECDSA = b"\x02"

_KEY_ID_SIZE = 4
_ED25519_SIZE = 32
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class SignatureType(Protocol):
    """One kind. `public_key` is the key's bytes as a verifier key has them, behind the byte of the kind."""

    name: str

    def check(self, public_key: bytes) -> None:
        """Raises `EncodingError` for what is no key of this kind."""

    def key_id(self, name: str, public_key: bytes) -> bytes:
        """The four octets that name a key in a signature line."""

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Whether the key made `signature` over `message`."""


class _Ed25519:
    name = "Ed25519"

    def check(self, public_key: bytes) -> None:
        if len(public_key) != _ED25519_SIZE:
            why = f"got {len(public_key)} bytes, expected {_ED25519_SIZE}"
            raise EncodingError("the public key is no Ed25519 key", why=why)

    def key_id(self, name: str, public_key: bytes) -> bytes:
        return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:_KEY_ID_SIZE]

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class _Ecdsa:
    name = "ECDSA"

    def check(self, public_key: bytes) -> None:
        _ecdsa_key(public_key)

    def key_id(self, name: str, public_key: bytes) -> bytes:
        del name
        return sha256(public_key).digest()[:_KEY_ID_SIZE]

    def verifies(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        try:
            _ecdsa_key(public_key).verify(signature, message, ec.ECDSA(SHA256()))
        except (InvalidSignature, EncodingError):
            return False
        return True


TYPES: Mapping[bytes, SignatureType] = MappingProxyType({ED25519: _Ed25519(), ECDSA: _Ecdsa()})


def encoded(key: Ed25519PublicKey | ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    """(byte of the kind, the key's bytes) of a public key."""
    if isinstance(key, Ed25519PublicKey):
        return ED25519, key.public_bytes_raw()
    return ECDSA, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _ecdsa_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    why = "expected a SubjectPublicKeyInfo of P-256, P-384 or P-521 in DER"
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise EncodingError("the public key is no ECDSA key", why=why) from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, _CURVES):
        raise EncodingError("the public key is no ECDSA key", why=why)
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != public_key:
        raise EncodingError("the public key is written in an unusual way", why=why)
    return key
