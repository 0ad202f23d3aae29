"""CMS SignedData (RFC 5652 section 5) in one fixed form: a text, its signer's chain, a revocation list, a signature.

Ours to write rather than `cryptography`'s: its builder reads the clock, and takes no Ed25519 or ML-DSA key. The form:

    content        id-data, inside; no attributes, so the signature is over the text itself (RFC 5652 5.4)
    certificates   the signer's chain up to the root
    crls           one list
    signerInfos    one, named by issuer and serial number

Reading is writing backwards: what is read is written again and must come out byte for byte the same. So every byte is
either covered by the signature, or belongs to a certificate or list that the caller checks, or could not be another.
"""

import warnings
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from leafward.errors import EncodingError, RuleViolation
from leafward.pki.bulk import signature_maker
from leafward.pki.chain import Chain
from leafward.pki.der import CONTEXT_0, INTEGER, OBJECT_ID, OCTET_STRING, SEQUENCE, SET, contents, element, elements
from leafward.pki.extension import serial_number
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import KeyType, key_type_of
from leafward.pki.signed_object import algorithm, integer, is_signed_by, object_id, wrong_signature

_CONTEXT_1 = 0xA1
_SIGNED_DATA = object_id(x509.ObjectIdentifier("1.2.840.113549.1.7.2"))
_DATA = object_id(x509.ObjectIdentifier("1.2.840.113549.1.7.1"))
# The digest goes with the key; SHA-512 where the signature has its own (RFC 8419 3.1, RFC 9882 3.3). The algorithm has
# no parameters (RFC 5754 2).
_DIGESTS = {
    name: element(SEQUENCE, object_id(x509.ObjectIdentifier(oid)))
    for name, oid in (
        ("sha256", "2.16.840.1.101.3.4.2.1"),
        ("sha384", "2.16.840.1.101.3.4.2.2"),
        ("sha512", "2.16.840.1.101.3.4.2.3"),
    )
}
# A hostile file must not cost many signature checks: a chain has five certificates, and never more than this.
_MOST_CERTIFICATES = 16


@dataclass(frozen=True, slots=True)
class SignedData:
    """A signed text. `chain` is the signer's, itself first; `crl` is DER; nothing is checked here but the form."""

    content: bytes
    chain: Chain
    crl: bytes
    signature: bytes

    @property
    def is_signed(self) -> bool:
        """Whether the first certificate's key made the signature. Says nothing about the chain or the list."""
        return is_signed_by(self.chain.leaf.public_key(), self.signature, self.content)


def sign_data(content: bytes, issuer: Issuer, crl: bytes) -> SignedData:
    """Signs with a CA's own key, through its handle. Raises `RuleViolation` for a wrong signature, and what the key
    raises.
    """
    made = SignedData(content, issuer.chain, crl, signature_maker(issuer.key, issuer.key_type)(content))
    if not made.is_signed:
        raise wrong_signature("a document")
    return made


def encode(data: SignedData) -> bytes:
    """The ContentInfo as DER."""
    leaf = data.chain.leaf
    kind = key_type_of(leaf.public_key())
    signer = element(
        SEQUENCE,
        integer(1),
        element(SEQUENCE, leaf.issuer.public_bytes(), integer(serial_number(leaf))),
        _digest(kind),
        algorithm(kind),
        element(OCTET_STRING, data.signature),
    )
    certificates = sorted(one.public_bytes(Encoding.DER) for one in data.chain)  # a SET OF, X.690 11.6
    signed_data = element(
        SEQUENCE,
        integer(1),
        element(SET, _digest(kind)),
        element(SEQUENCE, _DATA, element(CONTEXT_0, element(OCTET_STRING, data.content))),
        element(CONTEXT_0, *certificates),
        element(_CONTEXT_1, data.crl),
        element(SET, signer),
    )
    return element(SEQUENCE, _SIGNED_DATA, element(CONTEXT_0, signed_data))


def decode(der: bytes) -> SignedData:
    """Reads the form that `encode` writes, and no other. Raises `EncodingError`."""
    wrapped = _parts(_contents(der, SEQUENCE), (OBJECT_ID, CONTEXT_0))[1]
    signed_data = _contents(_contents(wrapped, CONTEXT_0), SEQUENCE)
    fields = _parts(signed_data, (INTEGER, SET, SEQUENCE, CONTEXT_0, _CONTEXT_1, SET))
    _, _, holder, certificates, crls, signers = fields
    explicit = _parts(_contents(holder, SEQUENCE), (OBJECT_ID, CONTEXT_0))[1]
    signer = _parts(_contents(_contents(signers, SET), SEQUENCE), (INTEGER, *[SEQUENCE] * 3, OCTET_STRING))
    found = SignedData(
        content=_contents(_contents(explicit, CONTEXT_0), OCTET_STRING),
        chain=_chain(_contents(certificates, CONTEXT_0)),
        crl=_contents(crls, _CONTEXT_1),
        signature=_contents(signer[-1], OCTET_STRING),
    )
    if _again(found) != der:
        raise EncodingError("the signed data is not in the form that is written here", why=_CHANGED)
    return found


_CHANGED = "written again it comes out otherwise: it was changed, or made by another program"


def _again(found: SignedData) -> bytes | None:
    """What was read, written again; None where its first certificate is one that nothing here could have signed by."""
    try:
        return encode(found)
    except (RuleViolation, ValueError, OverflowError, UnsupportedAlgorithm):
        return None


def _chain(certificates: bytes) -> Chain:
    ders = [certificates[begin:end] for _, begin, end in elements(certificates, 0, len(certificates))]
    if len(ders) > _MOST_CERTIFICATES:
        why = f"got {len(ders)} certificates, expected {_MOST_CERTIFICATES} at most"
        raise EncodingError("the signed data holds too many certificates", why=why)
    try:
        with warnings.catch_warnings():
            # Of serial numbers that are zero or negative: the rules say it better.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return Chain.ordered([x509.load_der_x509_certificate(der) for der in ders])
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise EncodingError("a certificate in the signed data does not decode", why=str(error) or None) from error


def _digest(kind: KeyType) -> bytes:
    return _DIGESTS[kind.signature_hash.name if kind.signature_hash is not None else "sha512"]


def _contents(data: bytes, tag: int) -> bytes:
    """The contents of the one element that `data` is. Raises `EncodingError` for anything behind it."""
    begin, end = contents(data, 0, tag)
    if end != len(data):
        raise EncodingError("there is something behind the signed data", why="expected one element")
    return data[begin:end]


def _parts(data: bytes, tags: tuple[int, ...]) -> list[bytes]:
    """The elements that stand one after another in `data`, each whole, with exactly these tags."""
    found = list(elements(data, 0, len(data)))
    if tuple(tag for tag, _, _ in found) != tags:
        raise EncodingError("the signed data has another form", why=f"got {len(found)} parts, expected {len(tags)}")
    return [data[begin:end] for _, begin, end in found]
