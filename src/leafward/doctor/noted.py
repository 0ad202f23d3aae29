"""What a room that gathers evidence notes as a fault: a server's, a leaf's settings', a gateway's.

Rules find faults in certificates; these faults are met while looking, and become findings of the check of their code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from leafward.doctor.case import Case
from leafward.doctor.check import NOT_APPLICABLE, Check, Family, Outcome, outcome
from leafward.doctor.finding import Finding, Severity, Who
from leafward.pki.rule import Step

# What a client meets when it has verified the chain: the server's own refusal of it.
AFTER_THE_CHAIN = Step.NAME_CONSTRAINTS + 5


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A fault with its code. `more` is further evidence beside got and expected, `certificate` a SHA-256; `look` says
    which look tells the code from its alternatives, where there are some.
    """

    code: str
    got: str
    expected: str
    who: Who
    fix: str
    severity: Severity = "error"
    alternatives: tuple[str, ...] = ()
    look: str = ""
    certificate: str | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.alternatives and not self.look:
            raise ValueError(f"{self.code} has alternatives, and nothing tells them apart")


def noted_check(code: str, family: Family, title: str, order: int, text: str | None) -> Check:
    """A check of the faults that were noted under its code."""

    def examine(case: Case) -> Outcome:
        if not case.noted:
            return NOT_APPLICABLE
        return outcome([finding_of(check, one) for one in case.noted if one.code == code])

    check = Check(code=code, family=family, title=title, order=order, examine=examine, text=text or "")
    return check


def finding_of(check: Check, fault: Noted) -> Finding:
    """The fault as a finding of a check."""
    look = {"look": fault.look} if fault.alternatives else {}
    return check.finding(
        fault.severity,
        evidence={"got": fault.got, "expected": fault.expected, **fault.more, **look},
        certificate=fault.certificate,
        who=fault.who,
        fix=fault.fix,
        alternatives=fault.alternatives,
    )
