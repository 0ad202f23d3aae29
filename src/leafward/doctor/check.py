"""Checks: each looks at a case for one fault, and answers ok, failed, not applicable or could not tell.

One file a check in `checks/`. Those about certificates are thin over the rules of `pki/rules`: a rule is written once,
and the check adds when it can be asked, and the page that explains it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, TypeAlias

from leafward.doctor.case import Case, FileFault
from leafward.doctor.finding import Finding
from leafward.pki.rule import Context
from leafward.pki.rules import rule

Family: TypeAlias = Literal[
    "reach", "chain", "time", "name", "CA", "identifiers", "strength", "files", "settings", "device", "revocation"
]
Need: TypeAlias = Literal["anchors", "host", "key", "crls", "presented"]


class Stage(IntEnum):
    """What a client meets before it looks at a chain; the steps of that look (`pki.rule.Step`) begin at 10."""

    FILES = 0
    SETTINGS = 2
    REACH = 4


@dataclass(frozen=True, slots=True)
class Ok:
    """Looked at, and nothing found."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Found, once or several times; a finding's own severity says how bad it is."""

    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The case has nothing that this could be wrong with."""


@dataclass(frozen=True, slots=True)
class CouldNotTell:
    """The evidence is not at hand; `why` says what would be needed."""

    why: str


Outcome: TypeAlias = Ok | Failed | NotApplicable | CouldNotTell
OK, NOT_APPLICABLE = Ok(), NotApplicable()


@dataclass(frozen=True, kw_only=True)
class Check:
    """One diagnosis. `order` is a `Stage` or a `Step`: when a client meets the fault; `text` is its page."""

    code: str
    family: Family
    title: str
    order: int
    examine: Callable[[Case], Outcome] = field(repr=False)
    text: str = field(repr=False)

    def finding(self, severity: Literal["error", "warning", "info"], **details: object) -> Finding:
        """A finding of this check; `details` are the other fields of `Finding`, the certificate None by default."""
        return Finding(**{"code": self.code, "title": self.title, "severity": severity, "certificate": None, **details})  # type: ignore[arg-type]  # the callers name fields


def outcome(findings: Iterator[Finding] | list[Finding]) -> Outcome:
    """Failed with the findings; ok where there are none."""
    found = tuple(findings)
    return Failed(found) if found else OK


def rule_check(
    code: str,
    family: Family,
    text: str | None,
    *,
    needs: tuple[Need, ...] = (),
    adapt: Callable[[Finding], Finding] = lambda finding: finding,
) -> Check:
    """A check that asks the rule of the same code. `adapt` may change a finding for a diagnosis."""
    asked = rule(code)

    def examine(case: Case) -> Outcome:
        context = case.context
        if context is None:
            return NOT_APPLICABLE if not case.presented else CouldNotTell("the certificate cannot be read")
        for need in needs:
            if not _has(context, need):
                return _NEEDED[need]
        return outcome([adapt(finding) for finding in asked.check(context)])

    return Check(code=code, family=family, title=asked.title, order=asked.step, examine=examine, text=text or "")


def _has(context: Context, need: Need) -> bool:
    if need == "host":
        return context.host is not None or context.purpose != "server"
    return bool(getattr(context, need))


_NEEDED: dict[Need, Outcome] = {
    "anchors": CouldNotTell("it is not known which roots the leaf trusts: give them with --root FILE"),
    "host": CouldNotTell("it is not known by which name the leaf connects: give it with --name HOST"),
    "key": NOT_APPLICABLE,
    "crls": NOT_APPLICABLE,
    "presented": NOT_APPLICABLE,
}


def file_check(code: str, title: str, text: str | None) -> Check:
    """A check for a fault that shows when a file is read (`doctor/file_contents.py`)."""

    def examine(case: Case) -> Outcome:
        if not case.files:
            return NOT_APPLICABLE
        return outcome([file_finding(check, fault) for fault in case.file_faults if fault.code == code])

    check = Check(code=code, family="files", title=title, order=Stage.FILES, examine=examine, text=text or "")
    return check


def file_finding(check: Check, fault: FileFault) -> Finding:
    """A fault of a file as a finding that names the file."""
    evidence: dict[str, object] = {"file": fault.path, "got": fault.got, "expected": fault.expected}
    if fault.line is not None:
        evidence["line"] = fault.line
    return check.finding(fault.severity, evidence=evidence, who=fault.who, fix=fault.fix)
