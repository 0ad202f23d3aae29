"""What a CA signs beside certificates, put together as DER: the one form of lists and answers, and its small parts.

    SEQUENCE { what is signed, AlgorithmIdentifier, BIT STRING [, more] }     (RFC 5280 5.1, RFC 6960 4.2.1)

`cryptography`'s builders copy a list for each line that is added, and read the clock for an answer. Here a list of a
million lines is joined once, and every time is an argument. What comes out is read back by `cryptography` and verified.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache, lru_cache
from types import MappingProxyType

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from leafward.errors import RuleViolation
from leafward.pki.bulk import signature_maker
from leafward.pki.der import BIT_STRING, INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE, contents, element
from leafward.pki.key_types import KeyType, PrivateKey, key_type_of
from leafward.pki.validity import in_whole_seconds

ENUMERATED, BOOLEAN = 0x0A, 0x01
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
_FIRST_GENERALIZED_YEAR = 2050  # RFC 5280 4.1.2.5


def signed(tbs: bytes, key: PrivateKey, key_type: KeyType, *more: bytes) -> bytes:
    """`tbs` with its signature; `more` are further elements behind it."""
    signature = signature_maker(key, key_type)(tbs)
    return element(SEQUENCE, tbs, algorithm(key_type), element(BIT_STRING, b"\0", signature), *more)


def algorithm(key_type: KeyType) -> bytes:
    """The AlgorithmIdentifier of signatures by keys of a kind (RFC 5758 3.2, RFC 4055 5, RFC 8410 3, RFC 9881 3)."""
    return _ALGORITHMS[key_type.name if key_type.algorithm == "ml-dsa" else _family(key_type)]


def _family(key_type: KeyType) -> str:
    digest = key_type.signature_hash
    return key_type.algorithm if digest is None else f"{key_type.algorithm}-{digest.name}"


_ALGORITHMS: Mapping[str, bytes] = MappingProxyType(
    {
        "ec-sha256": bytes.fromhex("300a06082a8648ce3d040302"),
        "ec-sha384": bytes.fromhex("300a06082a8648ce3d040303"),
        "rsa-sha256": bytes.fromhex("300d06092a864886f70d01010b0500"),
        "ed25519": bytes.fromhex("300506032b6570"),
        "ml-dsa-44": bytes.fromhex("300b0609608648016503040311"),
        "ml-dsa-65": bytes.fromhex("300b0609608648016503040312"),
        "ml-dsa-87": bytes.fromhex("300b0609608648016503040313"),
    }
)


def is_signed_by(public_key: object, signature: bytes, tbs: bytes) -> bool:
    """Whether a key of a kind that is used here made this signature, with the hash that goes with it."""
    key_type = key_type_of(public_key)
    digest = key_type.signature_hash
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey) and digest is not None:
            public_key.verify(signature, tbs, ec.ECDSA(digest))
        elif isinstance(public_key, rsa.RSAPublicKey) and digest is not None:
            public_key.verify(signature, tbs, padding.PKCS1v15(), digest)
        else:
            public_key.verify(signature, tbs)  # type: ignore[attr-defined]  # Ed25519 and ML-DSA: key_type_of knows it
    except InvalidSignature:
        return False
    return True


def integer(number: int) -> bytes:
    """An INTEGER that is not negative."""
    return element(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


@lru_cache(maxsize=4096)
def time(at: datetime) -> bytes:
    """A Time as RFC 5280 4.1.2.5 writes it: UTCTime through 2049, GeneralizedTime from 2050."""
    at = in_whole_seconds(at)
    if at.year >= _FIRST_GENERALIZED_YEAR:
        return generalized_time(at)
    return element(UTC_TIME, f"{at:%y%m%d%H%M%SZ}".encode())


def generalized_time(at: datetime) -> bytes:
    """A GeneralizedTime without a fraction."""
    return element(GENERALIZED_TIME, f"{in_whole_seconds(at):%Y%m%d%H%M%SZ}".encode())


def extension(value: x509.ExtensionType, *, critical: bool = False) -> bytes:
    """An Extension (RFC 5280 4.1)."""
    return _extension(value.oid, value.public_bytes(), critical)


@cache
def _object_id(oid: x509.ObjectIdentifier) -> bytes:
    """An OBJECT IDENTIFIER, by way of an extension that holds one."""
    usage = x509.ExtendedKeyUsage([oid]).public_bytes()
    return usage[contents(usage, 0, SEQUENCE)[0] :]


def object_id(oid: x509.ObjectIdentifier) -> bytes:
    """An OBJECT IDENTIFIER."""
    found = _object_id(oid)
    assert found[0] == OBJECT_ID
    return found


def _extension(oid: x509.ObjectIdentifier, value: bytes, critical: bool) -> bytes:
    mark = element(BOOLEAN, b"\xff") if critical else b""
    return element(SEQUENCE, object_id(oid), mark, element(OCTET_STRING, value))


def wrong_signature(what: str) -> RuleViolation:
    """For a key that signed and whose signature does not verify."""
    why = "it does not verify with the issuer's public key"
    hint = "check the key's device or file; what was signed is thrown away"
    return RuleViolation("signature-invalid", f"the key made a wrong signature of {what}", why=why, hint=hint)
