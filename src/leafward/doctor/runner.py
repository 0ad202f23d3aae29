"""The engine: asks every check about a case, and picks the one cause in the order in which a TLS client meets faults.

A symptom that follows from the cause is no second cause: `consequences.py` says what follows from what. The rest are
findings, the worst first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from leafward.doctor.case import Case
from leafward.doctor.check import Check, CouldNotTell, Failed
from leafward.doctor.checks import CHECKS, check
from leafward.doctor.consequences import follows
from leafward.doctor.finding import NAMES_ALONE, Finding
from leafward.doctor.noted import finding_of
from leafward.pki.chain import fingerprint
from leafward.pki.rule import Step

Verdict: TypeAlias = Literal["ok", "warning", "failed"]

_BAD = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Report:
    """The answer about one case. `cause` is None unless the verdict is failed; `untold` is (code, why) of what could
    not be told."""

    case: Case
    verdict: Verdict
    cause: Finding | None
    findings: tuple[Finding, ...]
    untold: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a client would refuse, or something named cannot be used at all."""
        return self.verdict == "failed"


def diagnose(case: Case, checks: Sequence[Check] = CHECKS) -> Report:
    """Looks at everything, once. Never raises for what others made: certificates, files, settings."""
    found, untold = list[Finding](), list[tuple[str, str]]()
    found += [finding_of(known, one) for one in case.noted if (known := check(one.code))]
    for one in checks:
        match one.examine(case):
            case Failed(findings):
                found += findings
            case CouldNotTell(why):
                untold.append((one.code, why))
            case _:
                pass
    found += _unexplained(case, found)
    return report(case, found, untold)


def report(case: Case, found: Sequence[Finding], untold: Sequence[tuple[str, str]] = ()) -> Report:
    """The findings put in order: the first error is the cause, and what follows from it is left out."""
    ordered = sorted(dict.fromkeys(map(_hashable, found)), key=lambda item: _met(case, item.finding))
    findings = [item.finding for item in ordered]
    cause = next((one for one in findings if one.severity == "error"), None)
    rest = [one for one in findings if one is not cause and not (cause and follows(one, cause, findings))]
    if cause is not None and _is_no_ca(case, cause):
        rest = [one for one in rest if one.code != "path-length-exceeded"]
    rest.sort(key=lambda one: _BAD.index(one.severity))
    worst: Verdict = "warning" if any(one.severity == "warning" for one in rest) else "ok"
    return Report(case, "failed" if cause else worst, cause, tuple(rest), tuple(untold))


def _is_no_ca(case: Case, cause: Finding) -> bool:
    """Whether what was put in place of a CA is none: how many CAs it would be too many says nothing then."""
    judged = case.context
    return (
        judged is not None
        and case.purpose == "ca"
        and (cause.code, cause.certificate) == ("not-a-ca", fingerprint(judged.leaf))
    )


@dataclass(frozen=True, slots=True)
class _Item:
    """A finding that compares by what it says, so that two rooms may find the same and it is told once."""

    key: tuple[str, str | None, str]
    finding: Finding

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Item) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def _hashable(finding: Finding) -> _Item:
    return _Item((finding.code, finding.certificate, repr(sorted(finding.evidence.items()))), finding)


def _met(case: Case, finding: Finding) -> tuple[int, int, int]:
    """When OpenSSL meets a fault: its pass, then the place on the path (one pass begins at the root), then the step."""
    known = check(finding.code)
    order = known.order if known else Step.ADVICE
    if finding.evidence.get("key_identifiers") == NAMES_ALONE:
        order = Step.SIGNATURE  # whoever goes by names comes as far as the signature
    context = case.context
    place = [] if context is None else [fingerprint(one) for one in context.path]
    depth = place.index(finding.certificate) if finding.certificate in place else 0
    up_or_down = -depth if order in (Step.SIGNATURE, Step.DATES) else depth
    return order // 10 if order >= Step.PATH else order - Step.PATH, up_or_down, order


def _unexplained(case: Case, found: Sequence[Finding]) -> list[Finding]:
    """No check found the fault, and yet OpenSSL reaches no trusted root: said all the same."""
    context = case.context
    if context is None or not context.anchors or any(one.severity == "error" for one in found):
        return []
    if case.openssl_finds_a_path:
        return []
    known = check("root-not-trusted")
    assert known is not None
    top = context.path[-1]
    return [
        known.finding(
            "error",
            certificate=fingerprint(top),
            evidence={
                "got": f"a path that ends at {top.subject.rfc4514_string()}",
                "expected": "a path to a trusted root, each step told by names and key identifiers",
                "subject": top.subject.rfc4514_string(),
            },
            who="maker",
            fix="Have the CAs issued again with key identifiers (leafward ca intermediate, leafward ca device).",
        )
    ]
