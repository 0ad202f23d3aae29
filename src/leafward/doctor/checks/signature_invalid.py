"""A signature does not verify.

Names and key identifiers fit, and yet the issuer's key did not make this signature: the certificate was altered or
damaged, or forged. OpenSSL: "certificate signature failure" (7), Node CERT_SIGNATURE_FAILURE.

Without key identifiers two CAs of one name cannot be told apart: then the likelier explanation is that another CA of
that name signed (`root-same-name-different-key`, `stale-workload-ca`), and this code stands beside it.

Comes about: a file was damaged on disk or edited; two hierarchies with the same names and no key identifiers were
mixed.

See: openssl verify -partial_chain -trusted ISSUER CERTIFICATE; compare the fingerprint with the issuer's records
(leafward ca show).

Mend: copy the certificate again from where it was issued; if it stays so, issue it again, and ask how it came there.
"""

from dataclasses import replace

from cryptography import x509

from leafward.doctor.case import Case
from leafward.doctor.check import Failed, Outcome, rule_check
from leafward.doctor.finding import NAMES_ALONE, Finding
from leafward.pki.chain import fingerprint
from leafward.pki.extension import unreadable
from leafward.pki.link import Link
from leafward.pki.rule import Context
from leafward.pki.rules import rule
from leafward.pki.rules.stale_workload_ca import is_workload_ca

_BY_RULE = rule_check("signature-invalid", "identifiers", __doc__)
_LOOK = (
    "the fingerprint of the issuer in its own records (leafward ca show): another one means another CA of that name, "
    "the same one a damaged certificate"
)


def _examine(case: Case) -> Outcome:
    found, context = _BY_RULE.examine(case), case.context
    if not isinstance(found, Failed) or context is None:
        return found
    return Failed(tuple(_by_another_key(one, case, context) for one in found.findings))


def _by_another_key(finding: Finding, case: Case, context: Context) -> Finding:
    """The finding told as another CA of the same name, where names alone led to the issuer."""
    link = next((one for one in context.links if fingerprint(one.child) == finding.certificate), None)
    if link is None or link.key_ids_match is not None:
        return finding
    others = [one for one in (*case.anchors, *case.presented) if one != link.issuer and not unreadable(one)]
    namesakes = [one for one in others if Link(link.child, one).holds]
    if link.issuer in context.anchors:
        return _by_another_root(finding, link, namesakes)
    if link == context.links[0] and context.purpose != "ca" and is_workload_ca(link):
        fix = "Issue the hub's certificate anew, then restart the hub: leafward manager rotate"
        return _told_as("stale-workload-ca", finding, fix=fix, who="operator")
    return replace(finding, evidence={**finding.evidence, "key_identifiers": NAMES_ALONE, "look": _LOOK})


def _by_another_root(finding: Finding, link: Link, namesakes: list[x509.Certificate]) -> Finding:
    if not namesakes:
        fix = (
            "Two roots share one name: an old one, or another maker's. Give the leaf the root certificate of this "
            "chain (--root, or its trusted certificates), got from the maker."
        )
        return _told_as("root-same-name-different-key", finding, fix=fix, who="leaf")
    fix = (
        f"Take the root {fingerprint(link.issuer)[:16]}… out of the leaf's trusted certificates: the one that signed, "
        f"{fingerprint(namesakes[0])[:16]}…, is at hand, and clients that go by names take the first."
    )
    told = _told_as("root-same-name-different-key", finding, fix=fix, who="leaf")
    return replace(
        told, alternatives=(), evidence={key: value for key, value in told.evidence.items() if key != "look"}
    )


def _told_as(code: str, finding: Finding, **changes: str) -> Finding:
    evidence = {**finding.evidence, "key_identifiers": NAMES_ALONE, "look": _LOOK}
    told = replace(finding, code=code, title=rule(code).title, evidence=evidence, alternatives=("signature-invalid",))
    return replace(told, **changes)  # type: ignore[arg-type]  # fix and who


CHECK = replace(_BY_RULE, examine=_examine)
