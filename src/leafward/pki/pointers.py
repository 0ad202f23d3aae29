"""Pointers: where it is told whether a certificate is revoked. They stand in the certificate and never change.

The list that a certificate names is the only one that may be taken for it: the list says the same name of itself, in a
critical extension (RFC 5280 5.2.5, 6.3.3 (b) (2)). So the list is chosen before the certificate is signed.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from leafward.pki.extension import value


@dataclass(frozen=True, slots=True)
class Pointers:
    """The address of the certificate's revocation list, and of who answers for it; None where there is none."""

    crl: str | None = None
    ocsp: str | None = None

    @property
    def distribution_points(self) -> x509.CRLDistributionPoints | None:
        """cRLDistributionPoints (RFC 5280 4.2.1.13)."""
        if self.crl is None:
            return None
        name = x509.UniformResourceIdentifier(self.crl)
        return x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None)])

    @property
    def information_access(self) -> x509.AuthorityInformationAccess | None:
        """authorityInfoAccess with the responder alone (RFC 6960 3.1)."""
        if self.ocsp is None:
            return None
        name = x509.UniformResourceIdentifier(self.ocsp)
        return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, name)])


NO_POINTERS = Pointers()


def list_names(certificate: x509.Certificate) -> frozenset[x509.GeneralName]:
    """Under which names a certificate says that its list can be had, for all reasons; none where it does not say."""
    points = value(certificate, x509.CRLDistributionPoints) or ()
    return frozenset(name for point in points if point.reasons is None for name in point.full_name or ())


def list_addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    """The addresses among `list_names`, in order."""
    points = value(certificate, x509.CRLDistributionPoints) or ()
    names = (name for point in points for name in point.full_name or ())
    return tuple(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))
