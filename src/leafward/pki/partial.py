"""Path validation up to CAs that somebody vouches for, roots or not: what a provisioning service is told to admit.

A TLS client trusts self-signed roots and nothing else (`verify.py`). A provisioning service trusts CAs whose owner has
proved to hold their keys, and RFC 5280 6.1.1 (d) lets any CA be a trust anchor. The judges are the same two: our rules,
and `cryptography.x509.verification`, with the vouched CA in the place of the root.

What the caller still must do: prove that the peer holds the private key (TLS does), and give a true time.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from leafward.pki.chain import Chain
from leafward.pki.extension import says_ca, unreadable
from leafward.pki.library_policy import client_policies, code_of, message_of
from leafward.pki.link import Link
from leafward.pki.paths import MAX_PATH, Path, Pool, public_key_bytes
from leafward.pki.rule import Context
from leafward.pki.rules import check
from leafward.pki.verify import Verdict

# What one peer's chain may cost: signature checks, and paths that are judged.
MAX_STEPS = 64
MAX_PATHS = 8


def verify_below(
    leaf: x509.Certificate,
    presented: Sequence[x509.Certificate],
    vouched: Sequence[x509.Certificate],
    *,
    now: datetime,
    crls: Sequence[x509.CertificateRevocationList] = (),
) -> Verdict:
    """Judges a TLS client's `leaf`. `presented` is what came with it, in any order.

    The path of the verdict ends with the uppermost of the `vouched` CAs that it can; those it leads to need not be
    presented themselves. `now` is aware UTC. Never raises for bad certificates.
    """
    if now.tzinfo is None:
        raise ValueError("expected an aware time, got one without a zone")
    refusal = _refuse_leaf(leaf, presented)
    if refusal is not None:
        return refusal
    anchors = Pool(one for one in vouched if not unreadable(one))
    material = Pool(one for one in presented if not unreadable(one))
    first: Verdict | None = None
    for path in _paths(leaf, material, anchors):
        verdict = _judge(path, now, tuple(crls))
        if verdict.valid:
            return verdict
        first = first or verdict
    return first or _unanchored(leaf, material)


def _refuse_leaf(leaf: x509.Certificate, presented: Sequence[x509.Certificate]) -> Verdict | None:
    if why := unreadable(leaf):
        return Verdict(False, f"the certificate cannot be read: got {why}, expected RFC 5280", "certificate-malformed")
    if says_ca(leaf):
        return Verdict(False, "a CA certificate is no device's own", "end-entity-is-a-ca")
    if len(presented) >= MAX_PATH:
        reason = f"the chain is too long: got {len(presented) + 1} certificates, expected at most {MAX_PATH}"
        return Verdict(False, reason, "chain-too-deep")
    return None


def _paths(leaf: x509.Certificate, material: Pool, anchors: Pool) -> Iterator[Path]:
    """Paths whose names and signatures hold and that end with a vouched CA; of one way up the longest first."""
    steps, found = MAX_STEPS, 0
    waiting: list[Path] = [(leaf,)]
    while waiting:
        path = waiting.pop()
        further: list[Path] = []
        for issuer in _named(path, material, anchors):
            steps -= 1
            if steps < 0:
                break
            if Link(path[-1], issuer).signed:
                further.append((*path, issuer))
        if further and len(path) < MAX_PATH:
            waiting.extend(reversed(further))
            continue
        for end in range(len(path), 1, -1):
            if path[end - 1] in anchors:
                found += 1
                yield path[:end]
                if found >= MAX_PATHS:
                    return


def _named(path: Path, material: Pool, anchors: Pool) -> list[x509.Certificate]:
    """Certificates of the issuer's name whose CA is not on the path yet, vouched ones first."""
    seen = {(one.subject.public_bytes(), public_key_bytes(one)) for one in path}
    named = dict.fromkeys((*anchors.named(path[-1].issuer), *material.named(path[-1].issuer)))
    return [one for one in named if (one.subject.public_bytes(), public_key_bytes(one)) not in seen]


def _judge(path: Path, now: datetime, crls: tuple[x509.CertificateRevocationList, ...]) -> Verdict:
    context = Context(chain=Chain(path), now=now, purpose="client", crls=crls)
    for finding in check(context):
        if finding.severity == "error":
            return Verdict(False, finding.reason, finding.code)
    ca_policy, ee_policy = client_policies()
    builder = PolicyBuilder().store(Store([path[-1]])).time(now).max_chain_depth(MAX_PATH)
    try:
        client = builder.extension_policies(ca_policy=ca_policy, ee_policy=ee_policy).build_client_verifier()
        client.verify(path[0], list(path[1:-1]))
    except (VerificationError, ValueError) as error:
        reason = f"the path is refused: got {message_of(str(error))}, expected a path without fault"
        return Verdict(False, reason, code_of(str(error), "client"))
    return Verdict(True, path=path)


def _unanchored(leaf: x509.Certificate, material: Pool) -> Verdict:
    """No way up leads to a vouched CA: where it ends is what to look at."""
    path: Path = (leaf,)
    while len(path) < MAX_PATH:
        issuer = next((one for one in _named(path, material, Pool(())) if Link(path[-1], one).signed), None)
        if issuer is None:
            break
        path = (*path, issuer)
    reason = (
        f"the chain ends at {path[-1].subject.rfc4514_string() or 'a nameless certificate'}, expected a verified CA"
    )
    return Verdict(False, reason, "root-not-trusted" if len(path) > 1 else "intermediate-missing")
