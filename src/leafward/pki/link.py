"""The link between a certificate and the one said to have issued it, looked at from four sides.

A chain holds where the issuer's name, the key identifiers and the signature all agree. Where they disagree, which of
them do tells the causes apart: another key under the same name is not a damaged signature.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.pki.extension import authority_key_id, serial_number, subject_key_id, value

# A hub checks many leaves under the same few CAs: their signatures are remembered, and no more than these.
REMEMBERED_SIGNATURES = 512
# A peer chooses the keys of the chain it sends; one check with a larger key, or with an exponent of the key's own size
# instead of 65537, takes milliseconds.
MOST_RSA_BITS = 8192
MOST_RSA_EXPONENT = 2**32

_PLAIN = (
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    mldsa.MLDSA44PublicKey,
    mldsa.MLDSA65PublicKey,
    mldsa.MLDSA87PublicKey,
)


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain: `child` names an issuer, and `issuer` is the certificate taken for it."""

    child: x509.Certificate
    issuer: x509.Certificate

    @property
    def names_match(self) -> bool:
        """Issuer and subject name are equal, byte for byte (RFC 5280 6.1.3 (a) (4), the strict way)."""
        return self.child.issuer.public_bytes() == self.issuer.subject.public_bytes()

    @property
    def names_match_loosely(self) -> bool:
        """Equal but for case, blanks and string type (RFC 5280 7.1): OpenSSL accepts this, other stacks refuse it."""
        return loose_name(self.child.issuer) == loose_name(self.issuer.subject)

    @property
    def key_ids_match(self) -> bool | None:
        """The child's authority key identifier is the issuer's (RFC 5280 4.2.1.1); None where they say nothing."""
        if not self._authority_serial_fits:
            return False
        asked, had = authority_key_id(self.child), subject_key_id(self.issuer)
        return None if asked is None or had is None else asked == had

    @property
    def signed(self) -> bool:
        """The issuer's key made the child's signature."""
        return _signed(_Pair(self.child, self.issuer))

    @property
    def holds(self) -> bool:
        """Names match and the signature verifies. Key identifiers are hints, and judged by their own rule."""
        return self.names_match and self.signed

    @property
    def _authority_serial_fits(self) -> bool:
        """False only where the child names its issuer by serial number too, and this is another."""
        found = value(self.child, x509.AuthorityKeyIdentifier)
        asked = None if found is None else found.authority_cert_serial_number
        return asked is None or asked == serial_number(self.issuer)


class _Pair:
    """What is remembered of a signature: two digests. Two certificates would be eight kilobytes, five hundred times."""

    __slots__ = ("certificates", "digests")

    def __init__(self, child: x509.Certificate, issuer: x509.Certificate) -> None:
        self.certificates: tuple[x509.Certificate, x509.Certificate] | None = (child, issuer)
        self.digests = (_digest(child), _digest(issuer))

    def __hash__(self) -> int:
        return hash(self.digests)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Pair) and self.digests == other.digests


def _digest(certificate: x509.Certificate) -> bytes:
    return sha256(certificate.public_bytes(Encoding.DER)).digest()


@lru_cache(maxsize=REMEMBERED_SIGNATURES)
def _signed(pair: _Pair) -> bool:
    assert pair.certificates is not None
    child, issuer = pair.certificates
    pair.certificates = None  # the pair stays; what it was made of need not
    try:
        _verify(child, issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _verify(child: x509.Certificate, issuer: x509.Certificate) -> None:
    key, signature, signed = issuer.public_key(), child.signature, child.tbs_certificate_bytes
    if isinstance(key, _PLAIN):
        if child.signature_algorithm_oid != issuer.public_key_algorithm_oid:
            raise InvalidSignature
        key.verify(signature, signed)
        return
    parameters, digest = child.signature_algorithm_parameters, child.signature_hash_algorithm
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
        key.verify(signature, signed, parameters)
    elif (
        isinstance(key, rsa.RSAPublicKey)
        and is_affordable(key)
        and isinstance(parameters, padding.PKCS1v15 | padding.PSS)
        and digest is not None
    ):
        key.verify(signature, signed, parameters, digest)
    else:
        raise InvalidSignature


def is_affordable(key: rsa.RSAPublicKey) -> bool:
    """Whether a check of a signature with this key is short, whoever chose the key."""
    return key.key_size <= MOST_RSA_BITS and key.public_numbers().e <= MOST_RSA_EXPONENT


def names_itself(certificate: x509.Certificate) -> bool:
    """True for a self-issued certificate: subject and issuer are the same whole name."""
    return Link(certificate, certificate).names_match


def signs_itself(certificate: x509.Certificate) -> bool:
    """True for a self-signed certificate: a root, or a server that vouches for itself."""
    return Link(certificate, certificate).holds


def loose_name(name: x509.Name) -> tuple[frozenset[tuple[str, str]], ...]:
    """A name for comparing as RFC 5280 7.1 does: case folded, runs of blanks as one, string types forgotten."""
    return tuple(frozenset((one.oid.dotted_string, _loose(one.value)) for one in part) for part in name.rdns)


def _loose(text: str | bytes) -> str:
    return text.hex() if isinstance(text, bytes) else " ".join(text.split()).casefold()
