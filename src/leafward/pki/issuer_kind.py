"""Which kinds of CA a certificate can be, and whether one of them may sign a profile.

A certificate carries no label. Where the caller does not know the kind, what the certificate says narrows it: this
keeps a root from signing a hub's certificate, and leaves a CA from elsewhere the benefit of the doubt.
"""

from cryptography import x509

from leafward.errors import RuleViolation
from leafward.pki.chain import is_self_signed
from leafward.pki.names import common_name
from leafward.pki.profile import Profile
from leafward.pki.summary import WORKLOAD_CA_NAMES


def possible_kinds(certificate: x509.Certificate) -> frozenset[str]:
    """The kinds of CA that a certificate can be, by its signature, its path length and its name."""
    if is_self_signed(certificate):
        return frozenset({"root_ca"})
    if (common_name(certificate.subject) or "").lower().startswith(WORKLOAD_CA_NAMES):
        return frozenset({"workload_ca"})
    try:
        length = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except x509.ExtensionNotFound:
        return frozenset()
    if length == 0:
        return frozenset({"workload_ca", "intermediate_ca"})
    return frozenset({"device_ca", "intermediate_ca"})


def check_issuer_kind(profile: Profile, issuer: x509.Certificate, kind: str | None) -> None:
    """Raises `RuleViolation` ("wrong-issuer") where the issuer is none of the kinds that sign this profile."""
    kinds = possible_kinds(issuer) if kind is None else frozenset({kind})
    if kinds & profile.signed_by:
        return
    got = " or ".join(sorted(kinds)) or "no CA"
    expected = " or ".join(sorted(profile.signed_by))
    raise RuleViolation(
        "wrong-issuer",
        f"'{issuer.subject.rfc4514_string()}' may not sign a {profile.kind}",
        why=f"it is a {got}, expected a {expected}",
        hint="choose the CA that stands right above it in the hierarchy",
    )
