"""`cryptography`'s path validation with its own defaults, no policy of ours: what our `verify` says, it says."""

from ipaddress import ip_address

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    Subject,
    VerificationError,
)

from leafward.pki.names import parse_host
from leafward.pki.verify import verify
from tests.oracles.case import ACCEPTED, Case
from tests.oracles.trial import hold

# Its client verifier wants a SAN; most of our client certificates have none, as IoT Hub's have none.
MAY_HAVE_A_SAN = ExtensionPolicy.webpki_defaults_ee().may_be_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)


def pyca(case: Case) -> str:
    """Its verdict on one case."""
    policy = PolicyBuilder().store(Store([case.anchor])).time(case.now)
    between = list(case.chain.issuers)
    try:
        if case.host is not None:
            policy.build_server_verifier(_subject(case.host)).verify(case.chain.leaf, between)
        else:
            policies = {"ca_policy": ExtensionPolicy.webpki_defaults_ca(), "ee_policy": MAY_HAVE_A_SAN}
            policy.extension_policies(**policies).build_client_verifier().verify(case.chain.leaf, between)
    except VerificationError as refused:
        return str(refused)
    return ACCEPTED


def _subject(host: str) -> Subject:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def test_every_chain(docket):
    """Each kind, key type and depth that it knows: **valid**; each control: **refused**"""
    hold("pyca", docket, lambda cases: list(map(pyca, cases)))


def ours(case: Case) -> str:
    """Our own `verify` on it."""
    name = parse_host(case.host) if case.host else None
    verdict = verify(case.chain, [case.anchor], now=case.now, name=name, purpose=case.purpose)
    return verdict.reason or ACCEPTED


def test_our_own_verdict(docket):
    """The same; and a trusted intermediate is no root to us: **refused**"""
    hold("leafward", docket, lambda cases: list(map(ours, cases)))
