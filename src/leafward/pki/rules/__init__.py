"""All rules, one file each. A new rule is a new file here that sets `RULE` (or `RULES`), and its page in the docs.

The files are found by their being here; their order is that of `Step`, then of their codes.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from cryptography import x509

from leafward.errors import RuleViolation
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.extension import unreadable
from leafward.pki.key_types import PublicKey
from leafward.pki.rule import Context, Finding, Rule

# A device CA with no more than this left is refused: what it signs would be dead before it is deployed.
LEAST_TIME_LEFT = timedelta(minutes=5)


def _found() -> Iterator[Rule]:
    for module in pkgutil.iter_modules(__path__):
        room = importlib.import_module(f"{__name__}.{module.name}")
        yield from getattr(room, "RULES", ()) or (room.RULE,)


RULES: tuple[Rule, ...] = tuple(sorted(_found(), key=lambda rule: (rule.step, rule.code)))
_BY_CODE = {rule.code: rule for rule in RULES}


def rule(code: str) -> Rule:
    """The rule of a code. Raises KeyError for a code that is none of ours."""
    return _BY_CODE[code]


def check(context: Context, rules: Sequence[Rule] = RULES) -> list[Finding]:
    """Everything the rules find, in the order in which OpenSSL would meet it: the first error is the cause."""
    malformed = list(_BY_CODE["certificate-malformed"].check(context))
    if malformed:
        return malformed
    context = replace(context, anchors=tuple(one for one in context.anchors if not unreadable(one)))
    place = {fingerprint(certificate): depth for depth, certificate in enumerate(context.path)}
    found: list[tuple[tuple[int, int, int], Finding]] = []
    for one in rules:
        for finding in one.check(context):
            depth = place.get(finding.certificate or "", 0)
            up_or_down = -depth if one.step.from_the_root_down else depth
            found.append(((one.step // 10, up_or_down, one.step), finding))
    return [finding for _, finding in sorted(found, key=lambda item: item[0])]


def refuse(context: Context, rules: Sequence[Rule] = RULES, *, issuing: bool = True) -> None:
    """Raises `RuleViolation` for the first finding that is a refusal; returns where there is none.

    When `issuing`, warnings of rules with `refused_at_issue` (about the first certificate, the new one) or
    `spoils_chain` (about any) are refusals too, and rules that need the verifier's anchors are left out.
    """
    asked = [one for one in rules if one.at_issue] if issuing else rules
    for finding in check(context, asked):
        if finding.severity == "error" or (issuing and refused_when_issuing(context, finding)):
            raise violation(finding)


def refused_when_issuing(context: Context, finding: Finding) -> bool:
    """Whether a finding that is a warning elsewhere stops us from making, or from signing with, `context.leaf`."""
    is_new = finding.certificate in (None, fingerprint(context.leaf))
    found_by = _BY_CODE[finding.code]
    return found_by.refused_at_issue if is_new else found_by.spoils_chain


def violation(finding: Finding) -> RuleViolation:
    """A finding as the error to raise."""
    subject = finding.evidence.get("subject")
    where = f"{subject}: " if subject else ""
    why = where + finding.reason.removeprefix(finding.title).removeprefix(f" ({subject})").removeprefix(": ")
    return RuleViolation(finding.code, finding.title, why=why, hint=finding.fix)


def signing_certificate(
    chain: Chain,
    now: datetime,
    *,
    depth_below: int = 1,
    key: PublicKey | None = None,
    anchors: Sequence[x509.Certificate] = (),
) -> list[Finding]:
    """What is wrong with a CA that is about to sign: the manager asks this of its device CA at every start.

    `chain` is the CA's own, itself first; `depth_below` is how many CAs will hang below it (1: the workload CA);
    `key` is the public half of the private key at hand. Rules 2, 3, 4, 6, 7 and 8; with `anchors` also rule 9.
    """
    context = Context(chain=chain, now=now, anchors=tuple(anchors), purpose="ca", key=key, depth_below=depth_below)
    found = check(context)
    left = chain.leaf.not_valid_after_utc - now
    if timedelta(0) <= left <= LEAST_TIME_LEFT:
        found.insert(0, _about_to_expire(context, left))
    return found


def _about_to_expire(context: Context, left: timedelta) -> Finding:
    return Finding(
        code="device-ca-expiring",
        severity="error",
        title="the signing certificate is about to expire",
        evidence={
            "got": f"{int(left.total_seconds())} s left",
            "expected": f"more than {int(LEAST_TIME_LEFT.total_seconds())} s",
            "subject": context.leaf.subject.rfc4514_string(),
        },
        certificate=fingerprint(context.leaf),
        who="maker",
        fix=f"Ask the maker for a new certificate, made with: {context.reissue(context.leaf)}",
    )
