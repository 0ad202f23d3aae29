"""Signatures as stacks see them that take SHA-1: our own library checks none, which does not make them wrong."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from leafward.pki.link import Link


def has_weak_hash(certificate: x509.Certificate) -> bool:
    """Whether the signature is over SHA-1 or MD5."""
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    return digest is not None and digest.name in ("sha1", "md5")


def is_signed(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key made the signature; one over a weak hash is taken to be good."""
    return has_weak_hash(child) or Link(child, issuer).signed
