"""CAs that somebody else signs: the key is made here, the request goes out, and the answer is imported.

So a maker's hierarchy hangs below a purchased or corporate root, and an offline root signs for a machine online.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward import disk
from leafward.authority.authorities import Authorities, Authority, Request
from leafward.errors import AlreadyExists, RuleViolation
from leafward.keys.key_store import KeyReference, PrivateKey, open_key
from leafward.pki.certification_request import certification_request
from leafward.pki.chain import Chain
from leafward.pki.constraints import Network
from leafward.pki.encoding import load_request
from leafward.pki.extension import path_length as path_length_of
from leafward.pki.extension import value
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import KeyType
from leafward.pki.names import common_name, parse_common_name, subject
from leafward.pki.profile import Profile
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.rules import rule, signing_certificate, violation

_NOT_AS_ASKED = "answer-not-as-asked"


@dataclass(frozen=True)
class Limits:
    """What a CA is held to: the names it may certify, the policies it works under, and the room below it.

    `gateways_below` is for a device CA: how many gateways, each with a device CA of its own, hang one below another.
    """

    permit_dns: tuple[str, ...] = ()
    permit_ip: tuple[Network, ...] = ()
    policies: tuple[x509.ObjectIdentifier, ...] = ()
    gateways_below: int = 0

    def profile(self, kind: str) -> Profile:
        """The profile of `kind` with the room that is wanted below it."""
        found = profile(kind)
        if not self.gateways_below or found.path_length is None:
            return found
        return replace(found, path_length=found.path_length + self.gateways_below)

    def on(self, request: CertificateRequest) -> CertificateRequest:
        """The request with these limits."""
        return replace(request, permit_dns=self.permit_dns, permit_ip=self.permit_ip, policies=self.policies)


NO_LIMITS = Limits()


def request_intermediate(
    authorities: Authorities,
    name: str,
    key_type: KeyType,
    *,
    path_length: int,
    limits: Limits = NO_LIMITS,
    at: KeyReference | None = None,
    copy: Path | None = None,
) -> Request:
    """Makes the key of a new intermediate CA and its request, and a `copy` of that for the signer.

    Raises `AlreadyExists` for a name in use or a copy that would be written over: nothing was made then.
    """
    wanted = parse_common_name(name)
    if copy is not None and copy.exists():
        raise AlreadyExists(f"{copy} exists", hint="choose another file with --csr-out")

    def ask(key: PrivateKey) -> bytes:
        data = _request_pem(key, subject(wanted), path_length, limits)
        if copy is not None:
            disk.write_file(copy, data, mode=disk.PUBLIC)
        return data

    return authorities.add_request(wanted, key_type, ask, at=at)


def request_again(authority: Authority) -> bytes:
    """A request (PEM) for a CA that has a certificate, to be signed by another issuer: renewed or cross-signed.

    The name is repeated whole, the path length and the constraints are those it has. Raises `KeyUnavailable`.
    """
    issuer = authority.issuer()  # proves that the key is the certificate's
    assert authority.key is not None
    leaf = authority.chain.leaf
    return _request_pem(open_key(authority.key), leaf.subject, path_length_of(issuer.chain.leaf), NO_LIMITS)


def check_answer(request: Request, chain: Chain, *, now: datetime) -> None:
    """Refuses a signed certificate that is not what was asked for; the key has been found to be the same.

    The signer may have added to the name (an organisation), set a larger path length and other dates. Raises
    `RuleViolation`: "answer-not-as-asked" for another common name or a fence left out, or what the rules find.
    """
    csr, leaf = load_request(request.csr), chain.leaf
    asked, got = common_name(csr.subject), common_name(leaf.subject)
    if asked != got:
        why = f"got the common name {got!r}, expected {asked!r}"
        raise RuleViolation(_NOT_AS_ASKED, "the certificate is not the one asked for", why=why, hint=_ASK_AGAIN)
    if _wanted(csr, x509.NameConstraints) and value(leaf, x509.NameConstraints) is None:
        why = "the request asks for name constraints, and the certificate has none"
        raise RuleViolation(_NOT_AS_ASKED, "the certificate is not fenced", why=why, hint=_ASK_AGAIN)
    constraints = _wanted(csr, x509.BasicConstraints)
    depth = (constraints.path_length or 0) if isinstance(constraints, x509.BasicConstraints) else 0
    refuse_unfit(chain, now=now, depth_below=depth)


def refuse_unfit(chain: Chain, *, now: datetime, depth_below: int) -> None:
    """Refuses a chain below which nothing would verify, here or elsewhere. Raises `RuleViolation` with the code."""
    for finding in signing_certificate(chain, now, depth_below=depth_below, anchors=(chain.top,)):
        if finding.severity == "error" or rule(finding.code).spoils_chain:
            raise violation(finding)


def is_answer(request: Request, certificate: x509.Certificate) -> bool:
    """Whether a certificate is for the key of a waiting request."""
    return load_request(request.csr).public_key() == certificate.public_key()


def prove_key(chain: Chain, key: KeyReference) -> None:
    """Raises `RuleViolation` ("key-mismatch"), or what opening the key raises, unless it is the chain's own."""
    Issuer(chain, open_key(key))


def _request_pem(key: PrivateKey, name: x509.Name, path_length: int | None, limits: Limits) -> bytes:
    request = limits.on(CertificateRequest(public_key=key.public_key()))
    csr = certification_request(key, profile("intermediate_ca"), request, name, path_length=path_length)
    return csr.public_bytes(Encoding.PEM)


def _wanted(csr: x509.CertificateSigningRequest, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    try:
        return csr.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


_ASK_AGAIN = "send the request (request.pem in the authority's folder) to the issuer again, and say what is missing"
