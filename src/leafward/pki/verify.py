"""Path validation with our policies: is this chain good, for this name, at this time, under these roots?

Two judges look at each path, and both must accept it: our rules (`rules/`), and `cryptography.x509.verification`. The
first explain, and know what the second does not (equal names, key identifiers, nested purposes, revocation); the second
is somebody else's code. The steps:

1. Refuse what is too large, what cannot be read, and an empty set of anchors.
2. Build the paths to a self-signed anchor whose names and signatures hold, a bounded number.
3. Accept the first that the rules find no error in and the library accepts.
4. Otherwise explain the likeliest path by the first error in OpenSSL's order, or by the library's refusal.

What the caller still must do: prove that the peer holds the private key (TLS does), and give a true time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from leafward.pki.chain import Chain
from leafward.pki.extension import unreadable
from leafward.pki.library_policy import client_policies, code_of, library_subject, message_of
from leafward.pki.names import Host
from leafward.pki.paths import MAX_PATH, Path, Pool, candidate_paths, is_anchor, likeliest_path
from leafward.pki.rule import Context, Finding, Purpose, Step
from leafward.pki.rules import RULES, check, rule

MAX_CHAIN = MAX_PATH
MAX_ANCHORS = 1000  # a system's store has 150 or so
MAX_INTERMEDIATES = 1000
MAX_CRLS = 1000
REMEMBERED_ANCHORS = 8
# Without those that only advise, and neither refuse nor stop an issuer: a hub asks at every connection.
_DECISIVE = tuple(one for one in RULES if one.at_issue or one.step is not Step.ADVICE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer. A refusal has a `reason` (a sentence with got and expected) and a `rule` (a code); `path` is the
    accepted path, leaf first, root included, and None in a refusal: nobody shall use one that was refused."""

    valid: bool
    reason: str | None = None
    rule: str | None = None
    path: Path | None = None


def verify(
    chain: Chain,
    anchors: Sequence[x509.Certificate],
    *,
    now: datetime,
    name: Host | None = None,
    purpose: Purpose = "server",
    intermediates: Sequence[x509.Certificate] = (),
    crls: Sequence[x509.CertificateRevocationList] = (),
) -> Verdict:
    """Judges `chain.leaf`. The rest of the chain and `intermediates` are only material, in any order, unrelated
    certificates included. `now` is aware UTC. Without a `name` none is compared. Never raises for bad certificates.

    Raises ValueError for a `now` without a time zone and a purpose that is not a TLS peer's.
    """
    if now.tzinfo is None:
        raise ValueError("expected an aware time, got one without a zone")
    if purpose not in ("server", "client"):
        raise ValueError("expected the purpose server or client")
    refusal = _refuse_input(chain, anchors, intermediates, crls)
    if refusal is not None:
        return refusal
    roots = _trusted(tuple(anchors))
    material = Pool(one for one in (*chain.issuers, *intermediates) if not unreadable(one))
    if not roots.certificates:
        return Verdict(False, "no trust anchor can be read: got only damaged certificates", "root-not-trusted")
    question = Context(chain=chain, now=now, anchors=roots.certificates, host=name, purpose=purpose, crls=tuple(crls))
    return _judge(question, material, roots)


@lru_cache(maxsize=REMEMBERED_ANCHORS)
def _trusted(anchors: Path) -> Pool:
    """The anchors as a pool. The same few sets are asked about again and again: a hub's, a batch's."""
    return Pool(one for one in anchors if not unreadable(one))


def _judge(question: Context, material: Pool, roots: Pool) -> Verdict:
    leaf = question.chain.leaf
    first: Verdict | None = None
    for path in candidate_paths(leaf, material, roots):
        verdict = _judge_path(question, path, roots)
        if verdict.valid:
            return verdict
        first = first or verdict
    return first or _judge_path(question, likeliest_path(leaf, material, roots), roots)


def _judge_path(question: Context, path: Path, roots: Pool) -> Verdict:
    """Both judges on one path, which may end anywhere."""
    # A path that ends well is judged by its own root alone: 150 others have nothing to say about it.
    anchors = path[-1:] if is_anchor(path[-1], roots) else roots.certificates
    context = replace(question, chain=Chain(path), anchors=anchors)
    findings = check(context, _DECISIVE)
    error = next((finding for finding in findings if finding.severity == "error"), None)
    if error is not None:
        return Verdict(False, error.reason, error.code)
    if not context.anchored:
        # No rule found the fault, and yet the path does not end at a root: refuse all the same.
        return Verdict(False, "the path does not end at a trusted root", "root-not-trusted")
    refused = _ask_library(context)
    return _library_verdict(context, findings, refused) if refused else Verdict(True, path=path)


def _ask_library(context: Context) -> str | None:
    """Why `cryptography` refuses the path; None where it accepts it."""
    path = context.path
    builder = PolicyBuilder().store(Store([path[-1]])).time(context.now).max_chain_depth(MAX_PATH)
    try:
        if context.purpose == "client":
            ca_policy, ee_policy = client_policies()
            client = builder.extension_policies(ca_policy=ca_policy, ee_policy=ee_policy).build_client_verifier()
            client.verify(path[0], list(path[1:-1]))
            return None
        subject = library_subject(context.host, context.leaf)
        if subject is None:
            return "the certificate has no subject alternative name that a server can be called by"
        builder.build_server_verifier(subject).verify(path[0], list(path[1:-1]))
    except (VerificationError, ValueError) as error:
        return str(error)
    return None


def _library_verdict(context: Context, findings: Sequence[Finding], refused: str) -> Verdict:
    """The library's refusal in our words: a warning of ours that says the same, or else its own message."""
    code = code_of(refused, context.purpose)
    # The library tells the last thing it tried, which need not be the fault; what spoils a chain comes second.
    same = [finding for finding in findings if finding.code == code]
    spoilt = [finding for finding in findings if rule(finding.code).spoils_chain]
    for finding in (*same, *spoilt):
        return Verdict(False, finding.reason, finding.code)
    return Verdict(False, f"the path is refused: got {message_of(refused)}, expected a path without fault", code)


def _refuse_input(
    chain: Chain,
    anchors: Sequence[x509.Certificate],
    intermediates: Sequence[x509.Certificate],
    crls: Sequence[x509.CertificateRevocationList],
) -> Verdict | None:
    """Step 1."""
    if not anchors:
        return Verdict(False, "no trust anchor was given: got none, expected at least one root", "root-not-trusted")
    if len(chain) > MAX_CHAIN:
        reason = f"the chain is too long: got {len(chain)} certificates, expected at most {MAX_CHAIN}"
        return Verdict(False, reason, "chain-too-deep")
    for what, given, most in (
        ("trust anchors", len(anchors), MAX_ANCHORS),
        ("intermediates", len(intermediates), MAX_INTERMEDIATES),
        ("revocation lists", len(crls), MAX_CRLS),
    ):
        if given > most:
            return Verdict(False, f"too many {what}: got {given}, expected at most {most}", "too-many-certificates")
    if why := unreadable(chain.leaf):
        return Verdict(False, f"the certificate cannot be read: got {why}, expected RFC 5280", "certificate-malformed")
    return None
