"""What part a certificate plays among others: an end-entity or a CA, a server's or a client's."""

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.pki.extension import addresses, common_names, dns_names, purposes, says_ca, value
from leafward.pki.link import Link
from leafward.pki.rule import Purpose

# Beyond so many certificates the names alone say who issued whom: a bundle needs no signatures checked.
MOST_SIGNATURES = 40


def is_end_entity(certificate: x509.Certificate) -> bool:
    """Whether a certificate that issued no other is a peer's: no CA, or one that has a peer's names or uses."""
    if not says_ca(certificate):
        return True
    uses = purposes(certificate) or frozenset()
    return bool(dns_names(certificate) or addresses(certificate)) or bool(
        uses & {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    )


def issued_another(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> bool:
    """Whether one of the others names this one as its issuer, or was signed by it."""
    links = [Link(other, certificate) for other in others if other != certificate]
    if any(link.names_match_loosely for link in links):
        return True
    return len(others) <= MOST_SIGNATURES and any(link.signed for link in links)


def purpose_of(certificate: x509.Certificate) -> Purpose:
    """What a certificate is for, by what it says itself.

    A client's: for clients and not for servers, and without a DNS name. Modules' have a URI beside.
    """
    if not is_end_entity(certificate):
        return "ca"
    uses = purposes(certificate)
    if uses is not None and ExtendedKeyUsageOID.OCSP_SIGNING in uses:
        return "responder"
    for_clients = uses is not None and ExtendedKeyUsageOID.CLIENT_AUTH in uses
    for_servers = uses is None or ExtendedKeyUsageOID.SERVER_AUTH in uses
    a_host = bool(dns_names(certificate)) and not _has_uri(certificate)
    return "client" if for_clients and not for_servers and not a_host else "server"


def _has_uri(certificate: x509.Certificate) -> bool:
    names = value(certificate, x509.SubjectAlternativeName)
    return names is not None and bool(names.get_values_for_type(x509.UniformResourceIdentifier))


def short_name(certificate: x509.Certificate) -> str:
    """The common name, or whatever there is to call it by."""
    return next(iter(common_names(certificate)), "") or next(iter(dns_names(certificate)), "(no name)")
