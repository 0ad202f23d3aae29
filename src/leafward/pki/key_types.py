"""The kinds of keys: name <-> algorithm <-> hash, in one table. A key itself is made in `keys`, never here.

The hash goes with the key that signs, not with the key that is signed. ML-DSA is listed where `cryptography` offers it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from leafward.errors import RuleViolation, UsageError

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)
PublicKey = (
    ec.EllipticCurvePublicKey
    | rsa.RSAPublicKey
    | ed25519.Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
PRIVATE_KEY_CLASSES = (
    ec.EllipticCurvePrivateKey,
    rsa.RSAPrivateKey,
    ed25519.Ed25519PrivateKey,
    mldsa.MLDSA44PrivateKey,
    mldsa.MLDSA65PrivateKey,
    mldsa.MLDSA87PrivateKey,
)


@dataclass(frozen=True, slots=True)
class KeyType:
    """One kind of key. `size` is in bits: the curve's field, the modulus, or 0 where the name says it all."""

    name: str
    algorithm: str  # "ec", "rsa", "ed25519", "ml-dsa"
    size: int
    signature_hash: hashes.SHA256 | hashes.SHA384 | None = field(compare=False)  # these objects have no hash()
    public_class: type
    curve: type[ec.EllipticCurve] | None = None

    def __str__(self) -> str:
        return self.name

    def matches(self, public_key: object) -> bool:
        """True for a public key of this kind."""
        if not isinstance(public_key, self.public_class):
            return False
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            return self.curve is not None and isinstance(public_key.curve, self.curve)
        return not isinstance(public_key, rsa.RSAPublicKey) or public_key.key_size == self.size


_SHA256, _SHA384 = hashes.SHA256(), hashes.SHA384()
_EC, _RSA = ec.EllipticCurvePublicKey, rsa.RSAPublicKey
_ALL = (
    KeyType("ec-p256", "ec", 256, _SHA256, _EC, ec.SECP256R1),
    KeyType("ec-p384", "ec", 384, _SHA384, _EC, ec.SECP384R1),
    KeyType("rsa-2048", "rsa", 2048, _SHA256, _RSA),
    KeyType("rsa-3072", "rsa", 3072, _SHA256, _RSA),
    KeyType("rsa-4096", "rsa", 4096, _SHA256, _RSA),
    KeyType("ed25519", "ed25519", 256, None, ed25519.Ed25519PublicKey),
    KeyType("ml-dsa-44", "ml-dsa", 0, None, mldsa.MLDSA44PublicKey),
    KeyType("ml-dsa-65", "ml-dsa", 0, None, mldsa.MLDSA65PublicKey),
    KeyType("ml-dsa-87", "ml-dsa", 0, None, mldsa.MLDSA87PublicKey),
)
KEY_TYPES: Mapping[str, KeyType] = MappingProxyType({one.name: one for one in _ALL})
DEFAULT_KEY_TYPE = KEY_TYPES["ec-p256"]


def parse_key_type(text: str) -> KeyType:
    """The key type of a name. Raises `UsageError` that lists the accepted ones.

    >>> parse_key_type("ec-p256").size
    256
    """
    if text not in KEY_TYPES:
        raise UsageError(f"no key type '{text}'", hint=f"one of {', '.join(KEY_TYPES)}")
    return KEY_TYPES[text]


def key_name(certificate: x509.Certificate) -> str:
    """The kind of a certificate's key for people, also of one that is not used here: "ec-p256", "rsa-1024"."""
    try:
        key: object = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return f"unknown ({certificate.public_key_algorithm_oid.dotted_string})"
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    for key_type in _ALL:
        if key_type.matches(key):
            return key_type.name
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ec-{key.curve.name}"
    return type(key).__name__.removesuffix("PublicKey").lower()


def key_type_of(public_key: object) -> KeyType:
    """The key type of a public key.

    Raises `RuleViolation`: "weak-key" for RSA under 2048 bits and curves under 256, "unsupported-algorithm" for what
    is not in the table (SP 800-131A Rev. 2, section 3).
    """
    for key_type in _ALL:
        if key_type.matches(public_key):
            return key_type
    hint = f"use a key of one of these kinds: {', '.join(KEY_TYPES)}"
    if isinstance(public_key, rsa.RSAPublicKey):
        if public_key.key_size >= 2048:
            why = f"got RSA with {public_key.key_size} bits, expected 2048, 3072 or 4096"
            raise RuleViolation("unsupported-algorithm", "an RSA key of an unusual size", why=why, hint=hint)
        why = f"got {public_key.key_size} bits, expected 2048 or more"
        raise RuleViolation("weak-key", "the RSA key is too short", why=why, hint=hint)
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        name, size = public_key.curve.name, public_key.curve.key_size
        code = "weak-key" if size < 256 else "unsupported-algorithm"
        raise RuleViolation(code, f"the curve {name} is not used here", why="expected P-256 or P-384", hint=hint)
    got = type(public_key).__name__.removesuffix("PublicKey")
    raise RuleViolation("unsupported-algorithm", f"a key of the kind {got} cannot be used here", hint=hint)
