"""What a device is told to put into its request: CsrAttrs (RFC 7030 4.5.2, with the ASN.1 of RFC 8951 section 3.2).

    CsrAttrs ::= SEQUENCE SIZE (0..MAX) OF AttrOrOID
    AttrOrOID ::= CHOICE { oid OBJECT IDENTIFIER, attribute Attribute }

An attribute names the kind of key, an identifier alone the signature or an attribute to include. It is advice: a
request is judged by its profile, whatever the device was told.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import AttributeOID, SignatureAlgorithmOID

from leafward.errors import EncodingError
from leafward.pki.der import SEQUENCE, contents, element
from leafward.pki.key_types import KeyType

EC_PUBLIC_KEY = ObjectIdentifier("1.2.840.10045.2.1")
P256 = ObjectIdentifier("1.2.840.10045.3.1.7")
P384 = ObjectIdentifier("1.3.132.0.34")
RSA = ObjectIdentifier("1.2.840.113549.1.1.1")
ED25519 = ObjectIdentifier("1.3.101.112")
CHALLENGE_PASSWORD = AttributeOID.CHALLENGE_PASSWORD
_ML_DSA = {
    f"ml-dsa-{size}": ObjectIdentifier(f"2.16.840.1.101.3.4.3.{arc}") for size, arc in ((44, 17), (65, 18), (87, 19))
}
_CURVES = {
    "ec-p256": (P256, SignatureAlgorithmOID.ECDSA_WITH_SHA256),
    "ec-p384": (P384, SignatureAlgorithmOID.ECDSA_WITH_SHA384),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute whose values are identifiers: the kind of key, and its parameters."""

    oid: ObjectIdentifier
    values: tuple[ObjectIdentifier, ...] = ()


@asn1.sequence
class _Attribute:
    type: ObjectIdentifier
    values: asn1.SetOf[ObjectIdentifier]


@asn1.sequence
class _Wrapped:
    """The list as the only field of a sequence: the library encodes sequences, and no bare list."""

    items: list[_Attribute | ObjectIdentifier]


def wanted_attributes(key_type: KeyType, *, linking: bool = False) -> tuple[Attribute | ObjectIdentifier, ...]:
    """What to ask for: a key of that type, a signature by it, and, with `linking`, a challengePassword (3.5)."""
    wanted: list[Attribute | ObjectIdentifier] = [CHALLENGE_PASSWORD] if linking else []
    if key_type.name in _CURVES:
        curve, signature = _CURVES[key_type.name]
        return (*wanted, Attribute(EC_PUBLIC_KEY, (curve,)), signature)
    if key_type.algorithm == "rsa":
        return (*wanted, Attribute(RSA), SignatureAlgorithmOID.RSA_WITH_SHA256)
    return (*wanted, _ML_DSA.get(key_type.name, ED25519))


def encode_attributes(items: Sequence[Attribute | ObjectIdentifier]) -> bytes:
    """DER of CsrAttrs."""
    encoded = [
        _Attribute(type=item.oid, values=asn1.SetOf(list(item.values))) if isinstance(item, Attribute) else item
        for item in items
    ]
    wrapped = asn1.encode_der(_Wrapped(items=encoded))
    begin, _ = contents(wrapped, 0, SEQUENCE)
    return wrapped[begin:]


def decode_attributes(der: bytes) -> tuple[Attribute | ObjectIdentifier, ...]:
    """The client's side. Raises `EncodingError`; attributes with other values than identifiers are refused too."""
    try:
        items = asn1.decode_der(_Wrapped, element(SEQUENCE, der)).items
    except ValueError as error:
        raise EncodingError("the CSR attributes do not decode", why=str(error)) from error
    return tuple(
        item if isinstance(item, ObjectIdentifier) else Attribute(item.type, tuple(item.values.as_list()))
        for item in items
    )
