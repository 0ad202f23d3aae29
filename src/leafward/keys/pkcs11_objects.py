"""The objects in a token that make up a key: found, made, read and destroyed. Every function wants the library's lock.

A key is two objects, private and public, with the same CKA_ID; a reference names the private one.
"""

import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pkcs11.constants import Attribute, MechanismFlag, ObjectClass
from pkcs11.exceptions import PKCS11Error
from pkcs11.mechanisms import KeyType

from leafward.errors import AlreadyExists, KeyUnavailable, NotFound
from leafward.keys.pkcs11_uri import Pkcs11Uri
from leafward.pki import key_types
from leafward.pki.key_types import PublicKey

# CKA_EC_PARAMS: the curve's object identifier in DER (RFC 5480 2.1.1.1).
_CURVES: Mapping[bytes, type[ec.EllipticCurve]] = MappingProxyType(
    {bytes.fromhex("06082a8648ce3d030107"): ec.SECP256R1, bytes.fromhex("06052b81040022"): ec.SECP384R1}
)
_PARAMETERS: Mapping[str, bytes] = MappingProxyType({"ec-p256": next(iter(_CURVES)), "ec-p384": list(_CURVES)[1]})
# CKA_EC_PARAMS of an Edwards curve: the object identifier of RFC 8410, or the name of RFC 8032 (PKCS#11 3.0, 2.3.5).
_ED25519 = bytes.fromhex("06032b6570")
_ED25519_NAMED = bytes.fromhex("130c656477617264733235353139")
RSA = ("rsa-2048", "rsa-3072", "rsa-4096")
MADE_HERE = (*_PARAMETERS, *RSA, "ed25519")


def private_keys(session: Any, uri: Pkcs11Uri) -> list[Any]:
    """All that answer to a reference."""
    wanted: dict[Attribute, object] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
    if uri.object is not None:
        wanted[Attribute.LABEL] = uri.object
    if uri.id is not None:
        wanted[Attribute.ID] = uri.id
    return list(session.get_objects(wanted))


def some_private_keys(session: Any, uri: Pkcs11Uri) -> list[Any]:
    """All that answer to a reference. Raises `NotFound` for none."""
    found = private_keys(session, uri)
    if not found:
        raise NotFound(f"no key {uri.label}", hint="check the object's name: pkcs11-tool --list-objects --login")
    return found


def private_key(session: Any, uri: Pkcs11Uri) -> Any:
    """The one that answers to a reference. Raises `NotFound`, or `KeyUnavailable` for several."""
    found = some_private_keys(session, uri)
    if len(found) > 1:
        why, hint = f"{len(found)} private keys answer to it", "add ;id=%XX… to the reference"
        raise KeyUnavailable(f"'{uri.label}' is not clear", why=why, hint=hint)
    return found[0]


def make(session: Any, uri: Pkcs11Uri, key_type: key_types.KeyType) -> PublicKey:
    """A new pair in the token, and its public half.

    Raises `AlreadyExists`, and `KeyUnavailable` for a token that makes keys that can be taken out.
    """
    if private_keys(session, uri):
        raise _taken(uri)
    private = _pair(session, uri, key_type)
    # Two things only the token can tell, and only now: a key of another process under the same name, a weak key.
    if len(private_keys(session, uri)) > 1:
        _destroy_pair(session, private)
        raise _taken(uri)
    if not private[Attribute.SENSITIVE] or private[Attribute.EXTRACTABLE]:
        _destroy_pair(session, private)
        raise KeyUnavailable(f"the token made {uri.label} so that it can be taken out", why="it was thrown away")
    return public_half(session, private, uri)


def _pair(session: Any, uri: Pkcs11Uri, key_type: key_types.KeyType) -> Any:
    how: dict[str, Any] = {
        "id": uri.id or secrets.token_bytes(16),
        "label": uri.object,
        "store": True,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
    }
    if key_type.name in RSA:
        return session.generate_keypair(KeyType.RSA, key_type.size, **how)[1]
    if key_type.name == "ed25519":
        edwards = {Attribute.EC_PARAMS: _ED25519}
        return session.create_domain_parameters(KeyType.EC_EDWARDS, edwards, local=True).generate_keypair(**how)[1]
    curve = {Attribute.EC_PARAMS: _PARAMETERS[key_type.name]}
    return session.create_domain_parameters(KeyType.EC, curve, local=True).generate_keypair(**how)[1]


def _taken(uri: Pkcs11Uri) -> AlreadyExists:
    return AlreadyExists(f"the key {uri.label} exists", why="a key is never overwritten", hint="choose another object=")


def public_half(session: Any, private: Any, uri: Pkcs11Uri) -> PublicKey:
    """From the private object for RSA; from the public object of the same CKA_ID for the curves."""
    try:
        if private.key_type is KeyType.RSA:
            modulus, exponent = private[Attribute.MODULUS], private[Attribute.PUBLIC_EXPONENT]
            return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
        if private.key_type is KeyType.EC and bytes(private[Attribute.EC_PARAMS]) in _CURVES:
            curve = _CURVES[bytes(private[Attribute.EC_PARAMS])]()
            # CKA_EC_POINT is a DER OCTET STRING around the point; some tokens leave the wrapping out.
            point = bytes(_beside(session, private, uri)[Attribute.EC_POINT])[-(curve.key_size // 8 * 2 + 1) :]
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
        edwards = (_ED25519, _ED25519_NAMED)
        if private.key_type is KeyType.EC_EDWARDS and bytes(private[Attribute.EC_PARAMS]) in edwards:
            point = bytes(_beside(session, private, uri)[Attribute.EC_POINT])[-32:]
            return ed25519.Ed25519PublicKey.from_public_bytes(point)
    except ValueError:
        raise KeyUnavailable(f"the public half of {uri.label} cannot be read", why="it is damaged") from None
    why = "expected P-256, P-384, Ed25519 or RSA"
    raise KeyUnavailable(f"the key {uri.label} is of a kind that is not used here", why=why)


def _beside(session: Any, private: Any, uri: Pkcs11Uri) -> Any:
    wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: private[Attribute.ID]}
    found = list(session.get_objects(wanted))
    if len(found) != 1:
        hint = "write the public key into the token too, under the same id"
        raise KeyUnavailable(f"{uri.label} has no public half", why=f"{len(found)} have its id", hint=hint)
    return found[0]


def attribute_of(key: Any, attribute: Attribute) -> Any:
    """An attribute that not every token has; None there."""
    try:
        return key[attribute]
    except PKCS11Error:
        return None


def destroy(session: Any, uri: Pkcs11Uri) -> None:
    """Destroys all that answer to a reference, with their public halves. Raises `NotFound` where there is none."""
    for private in some_private_keys(session, uri):
        _destroy_pair(session, private)


def _destroy_pair(session: Any, private: Any) -> None:
    """The public half first: a kill in between leaves a key that can be named, and destroyed again."""
    wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.ID: private[Attribute.ID]}
    for public in list(session.get_objects(wanted)) if private[Attribute.ID] else ():
        public.destroy()
    private.destroy()
