"""Handles of keys that never leave their device: they sign and show their public half, and refuse everything else.

They are `cryptography`'s own abstract classes, so certificates, requests, revocation lists and OCSP answers are signed
through its ordinary builders. What is to be signed is hashed here; only the digest goes to the device.
"""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import (
    MGF1,
    PSS,
    AsymmetricPadding,
    PKCS1v15,
    calculate_max_pss_salt_length,
)
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo, Prehashed

from leafward.errors import KeyUnavailable
from leafward.pki.key_types import key_type_of

_Bytes = bytes | bytearray | memoryview
# By class: the abstract classes' own isinstance costs as much as hashing a certificate.
_HASHES: Mapping[type, tuple[str, Callable[[_Bytes], Any]]] = MappingProxyType(
    {
        hashes.SHA256: ("sha256", hashlib.sha256),
        hashes.SHA384: ("sha384", hashlib.sha384),
        hashes.SHA512: ("sha512", hashlib.sha512),
    }
)
_PREHASHED: Mapping[int, str] = MappingProxyType({32: "sha256", 48: "sha384", 64: "sha512"})


class Signer(Protocol):
    """What signs inside the device. Both methods may be called from any thread, and raise `KeyUnavailable`."""

    label: str

    def ecdsa(self, digest: bytes, hash_name: str) -> bytes:
        """The signature of a digest as DER ECDSA-Sig-Value (RFC 3279 2.2.3)."""

    def rsa(self, digest: bytes, hash_name: str, pss_salt_length: int | None) -> bytes:
        """The signature of a digest: RSASSA-PKCS1-v1_5, or RSASSA-PSS with a salt of so many octets (RFC 8017)."""


class EdSigner(Protocol):
    """What signs with Ed25519 inside the device, which hashes by itself. As `Signer`."""

    label: str

    def eddsa(self, data: bytes) -> bytes:
        """The signature of `data`, 64 octets (RFC 8032, pure Ed25519)."""


class _Sealed:
    """What every kind of handle refuses."""

    _signer: Signer | EdSigner

    def private_numbers(self) -> NoReturn:
        """Always raises `KeyUnavailable`."""
        raise self._only_signs("the key's bytes were asked for")

    def private_bytes(self, *_: object, **__: object) -> NoReturn:
        """Always raises `KeyUnavailable`."""
        raise self._only_signs("the key's bytes were asked for")

    def __reduce__(self) -> NoReturn:
        raise self._only_signs("a copy for another process was asked for")

    def _only_signs(self, why: str) -> KeyUnavailable:
        hint = "use a key in a file where the bytes are needed, as TLS needs them"
        return KeyUnavailable(f"the key {self._signer.label} only signs", why=why, hint=hint)


class SealedEcKey(_Sealed, ec.EllipticCurvePrivateKey):
    """A P-256 or P-384 key in a device."""

    _signer: Signer

    def __init__(self, signer: Signer, public_key: ec.EllipticCurvePublicKey) -> None:
        self._signer = signer
        self._public_key = public_key

    def sign(self, data: _Bytes, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """ECDSA with SHA-256, SHA-384 or SHA-512; the random number is the device's."""
        if type(signature_algorithm) is not ec.ECDSA or signature_algorithm.deterministic_signing:
            raise self._only_signs("expected ECDSA with a random number of the device's own")
        return self._signer.ecdsa(*_digest(self._signer.label, data, signature_algorithm.algorithm))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """The public half."""
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """P-256 or P-384."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Always raises `KeyUnavailable`."""
        del algorithm, peer_public_key
        raise self._only_signs("a key agreement was asked for")

    def __copy__(self) -> "SealedEcKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "SealedEcKey":
        return self

    def __repr__(self) -> str:
        return f"<{key_type_of(self._public_key)} key {self._signer.label}>"


class SealedRsaKey(_Sealed, rsa.RSAPrivateKey):
    """An RSA key in a device."""

    _signer: Signer

    def __init__(self, signer: Signer, public_key: rsa.RSAPublicKey) -> None:
        self._signer = signer
        self._public_key = public_key

    def sign(
        self,
        data: _Bytes,
        padding: AsymmetricPadding,
        algorithm: Prehashed | hashes.HashAlgorithm | NoDigestInfo,
    ) -> bytes:
        """RSASSA-PKCS1-v1_5, or RSASSA-PSS with MGF1 of the same hash; SHA-256, SHA-384 or SHA-512."""
        digest, name = _digest(self._signer.label, data, algorithm)
        if isinstance(padding, PKCS1v15):
            return self._signer.rsa(digest, name, None)
        if not isinstance(padding, PSS) or not isinstance(padding.mgf, MGF1):
            raise self._only_signs("expected PKCS#1 v1.5 or PSS with MGF1")
        if padding.mgf._algorithm.name != name:  # noqa: SLF001 -- the library shows it nowhere else
            raise self._only_signs("expected the same hash in PSS and in MGF1")
        return self._signer.rsa(digest, name, self._salt_length(padding, algorithm, len(digest)))

    def _salt_length(self, padding: PSS, algorithm: object, digest_length: int) -> int:
        length = padding._salt_length  # noqa: SLF001 -- the library shows it nowhere else
        if isinstance(length, int):
            return length
        if length is PSS.DIGEST_LENGTH:
            return digest_length
        if length is PSS.MAX_LENGTH and isinstance(algorithm, hashes.HashAlgorithm):
            return calculate_max_pss_salt_length(self._public_key, algorithm)
        raise self._only_signs("expected the length of the salt, or that of the digest")

    def public_key(self) -> rsa.RSAPublicKey:
        """The public half."""
        return self._public_key

    @property
    def key_size(self) -> int:
        """In bits."""
        return self._public_key.key_size

    def decrypt(self, ciphertext: _Bytes, padding: AsymmetricPadding) -> NoReturn:
        """Always raises `KeyUnavailable`."""
        del ciphertext, padding
        raise self._only_signs("a decryption was asked for")

    def __copy__(self) -> "SealedRsaKey":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "SealedRsaKey":
        return self

    def __repr__(self) -> str:
        return f"<{key_type_of(self._public_key)} key {self._signer.label}>"


class SealedEd25519Key(_Sealed, ed25519.Ed25519PrivateKey):
    """An Ed25519 key in a device."""

    _signer: EdSigner

    def __init__(self, signer: EdSigner, public_key: ed25519.Ed25519PublicKey) -> None:
        self._signer = signer
        self._public_key = public_key

    def sign(self, data: _Bytes) -> bytes:
        """Pure Ed25519 (RFC 8032)."""
        return self._signer.eddsa(bytes(data))

    def public_key(self) -> ed25519.Ed25519PublicKey:
        """The public half."""
        return self._public_key

    def private_bytes_raw(self) -> NoReturn:
        """Always raises `KeyUnavailable`."""
        raise self._only_signs("the key's bytes were asked for")

    def __copy__(self) -> "SealedEd25519Key":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "SealedEd25519Key":
        return self

    def __repr__(self) -> str:
        return f"<ed25519 key {self._signer.label}>"


def _digest(label: str, data: _Bytes, algorithm: object) -> tuple[bytes, str]:
    """The digest of `data` and its hash's name; `data` itself where the caller has hashed already."""
    known = _HASHES.get(type(algorithm))
    if known is not None:
        return known[1](data).digest(), known[0]
    if isinstance(algorithm, Prehashed) and algorithm.digest_size == len(data) and len(data) in _PREHASHED:
        return bytes(data), _PREHASHED[len(data)]
    raise KeyUnavailable(f"the key {label} cannot sign that", why=f"expected one of {', '.join(_PREHASHED.values())}")
