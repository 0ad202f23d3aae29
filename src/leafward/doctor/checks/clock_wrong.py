"""The clock of this machine is wrong.

What the evidence shows: every certificate of the chain, the root included, begins after the time on this clock; or
the clock is behind the day on which this program was made; or a server's own clock (the Date of an HTTP answer) says
otherwise. Then no certificate is at fault, and issuing anew would mend nothing.

Comes about: no battery behind the clock, no time server reached, a virtual machine that was suspended, a time zone
set as if it were UTC.

See: date -u; timedatectl status; chronyc tracking.

Mend: leaf: set the clock and keep it set: timedatectl set-ntp true. On a gateway without a clock leafward's manager
keeps a time floor, and says so: leafward manager status.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from leafward import __built__
from leafward.doctor.case import Case
from leafward.doctor.check import NOT_APPLICABLE, Check, Outcome, outcome
from leafward.doctor.finding import Finding
from leafward.pki.chain import fingerprint
from leafward.pki.rule import Context, Step

BUILT = datetime.fromisoformat(__built__).replace(tzinfo=UTC)
MOST_DIFFERENCE = timedelta(minutes=5)  # what Kerberos and many others allow
_FORM = "%Y-%m-%dT%H:%M:%SZ"


def _examine(case: Case) -> Outcome:
    if case.context is None:
        return NOT_APPLICABLE
    return outcome(list(_findings(case, case.context))[:1])


def _findings(case: Case, context: Context) -> Iterator[Finding]:
    """The surest evidence first; one is enough. An error where the clock is why a certificate is refused."""
    begins = [one.not_valid_before_utc for one in context.path]
    now = case.now.replace(microsecond=0)
    if case.clock_is_real and now < BUILT:
        expected = f"not before {BUILT:%Y-%m-%d}, when this program was made"
        yield _finding(case, context, expected, refused=now < max(begins))
    if case.peer_time is not None and abs(case.peer_time - now) > MOST_DIFFERENCE and _may_be_right(case, begins):
        refused = _outside(context, now) and not _outside(context, case.peer_time)
        found = _finding(case, context, f"{case.peer_time:{_FORM}}, as the server says", refused=refused)
        yield _of_two_clocks(found, early=now < max(begins)) if refused and now >= min(begins) else found
    if len(begins) > 1 and now < min(begins):
        expected = f"not before {min(begins):{_FORM}}, when the oldest certificate begins"
        yield _finding(case, context, expected, refused=True)


def _may_be_right(case: Case, begins: list[datetime]) -> bool:
    """Whether the server's clock can be the right one: it is not before what it shows, nor before this program."""
    known = max(begins) if not case.clock_is_real else max(BUILT, *begins)
    return case.peer_time is not None and case.peer_time >= known - MOST_DIFFERENCE


def _of_two_clocks(found: Finding, *, early: bool) -> Finding:
    """Two clocks disagree, and each may be the wrong one."""
    look = "a third clock (a phone's) beside date -u on both machines: the one that differs is wrong"
    other = "certificate-not-yet-valid" if early else "certificate-expired"
    return replace(found, evidence={**found.evidence, "look": look}, alternatives=(other,))


def _finding(case: Case, context: Context, expected: str, *, refused: bool) -> Finding:
    return CHECK.finding(
        "error" if refused else "warning",
        evidence={"got": f"{case.now:{_FORM}}", "expected": expected},
        certificate=fingerprint(context.path[-1]),
        who="leaf",
        fix="Set this machine's clock, then try again: timedatectl set-ntp true (or date -u -s TIME).",
    )


def _outside(context: Context, time: datetime) -> bool:
    time = time.replace(microsecond=0)
    return any(not one.not_valid_before_utc <= time <= one.not_valid_after_utc for one in context.path)


CHECK = Check(
    code="clock-wrong",
    family="time",
    title="this machine's clock is wrong",
    # Before the dates, at the root: the dates are its symptom.
    order=Step.SIGNATURE,
    examine=_examine,
    text=__doc__ or "",
)
