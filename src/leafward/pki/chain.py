"""Chains, leaf first, and what joins two certificates: the issuer's name and its signature.

A `Chain` is an order, not a promise: one read from a file stands as the file has it, so that a diagnosis can say what
is wrong with it. `Chain.ordered` makes an order, and `verify` judges one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import EncodingError
from leafward.pki.encoding import certificates_to_pem, load_certificates


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the DER, 64 lower-case hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """True where the names match byte for byte and the issuer's key made the signature (RFC 5280 6.1.3 (a)).

    Says nothing about whether the issuer may sign, nor about dates.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    # A signature is whole octets. The library passes over a count of unused bits that says otherwise (one bit turned
    # over by a disk); OpenSSL cuts them off, and then no client accepts the certificate.
    return certificate.public_bytes(Encoding.DER)[-len(certificate.signature) - 1] == 0


def is_self_signed(certificate: x509.Certificate) -> bool:
    """True where issuer and subject are equal and the certificate's own key made its signature."""
    return is_issued_by(certificate, certificate)


@dataclass(frozen=True, slots=True)
class Chain:
    """Certificates, the leaf first; never empty."""

    certificates: tuple[x509.Certificate, ...]

    def __post_init__(self) -> None:
        if not self.certificates:
            raise EncodingError(
                "a chain without a certificate", hint="a chain file holds the leaf first, then its issuers"
            )

    @classmethod
    def of(cls, leaf: x509.Certificate, *others: x509.Certificate) -> Self:
        """A chain in the order given."""
        return cls((leaf, *others))

    @classmethod
    def from_pem(cls, data: bytes) -> Self:
        """A chain as a PEM bundle (or one DER certificate) has it, unjudged. Raises `EncodingError`."""
        return cls(tuple(load_certificates(data)))

    @classmethod
    def ordered(cls, certificates: Iterable[x509.Certificate]) -> Self:
        """The one chain that the certificates make, whatever their order; a certificate given twice counts once.

        The leaf is the one that issued none of the others. Raises `EncodingError` where they do not make one chain.
        """
        left = list(dict.fromkeys(certificates))
        leaves = [one for one in left if not any(one is not other and is_issued_by(other, one) for other in left)]
        if left and len(leaves) != 1:
            raise EncodingError(
                "these certificates make no single chain", why=f"{len(leaves)} of them could be the leaf"
            )
        chain = leaves
        while chain and (issuer := next(issuers_of(chain[-1], left), None)) and issuer not in chain:
            chain.append(issuer)
        if len(chain) != len(left):
            other = next(one for one in left if one not in chain)
            raise EncodingError("a certificate does not belong to the chain", why=other.subject.rfc4514_string())
        return cls(tuple(chain))

    @property
    def leaf(self) -> x509.Certificate:
        """The first certificate."""
        return self.certificates[0]

    @property
    def issuers(self) -> tuple[x509.Certificate, ...]:
        """All after the leaf, nearest first."""
        return self.certificates[1:]

    @property
    def top(self) -> x509.Certificate:
        """The last certificate."""
        return self.certificates[-1]

    @property
    def is_complete(self) -> bool:
        """True where the chain ends with a self-signed certificate."""
        return is_self_signed(self.top)

    def without_root(self) -> Self:
        """The chain as a server presents it: the self-signed top left out (RFC 8446 4.4.2). A lone root stays."""
        if len(self.certificates) == 1 or not self.is_complete:
            return self
        return type(self)(self.certificates[:-1])

    def to_pem(self) -> bytes:
        """A PEM bundle, leaf first."""
        return certificates_to_pem(self.certificates)

    def __len__(self) -> int:
        return len(self.certificates)

    def __iter__(self) -> Iterator[x509.Certificate]:
        return iter(self.certificates)


def issuers_of(certificate: x509.Certificate, candidates: Iterable[x509.Certificate]) -> Iterator[x509.Certificate]:
    """Those candidates that issued `certificate`, in their order; itself included where it is self-signed."""
    return (candidate for candidate in candidates if is_issued_by(certificate, candidate))
