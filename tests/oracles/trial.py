"""The trial: a judge sees every case that it can judge, in one go, and must be right about each of them."""

from collections.abc import Callable, Sequence

from tests.oracles.case import ACCEPTED, Case
from tests.oracles.limits import limit_of

Ask = Callable[[Sequence[Case]], Sequence[str]]


def asked_of(judge: str, docket: Sequence[Case]) -> list[Case]:
    """The cases within the limits of a judge."""
    return [case for case in docket if limit_of(judge, case.traits) is None]


def hold(judge: str, docket: Sequence[Case], ask: Ask) -> None:
    """Every good case accepted and every control refused, the limits of the judge aside.

    `ask` gives a verdict for each case: ACCEPTED, or the reason of the refusal.
    """
    cases = asked_of(judge, docket)
    verdicts = ask(cases)
    assert len(verdicts) == len(cases), f"{judge} said {len(verdicts)} times something of {len(cases)} cases"
    asked = {case.good for case in cases}
    assert asked == {True, False}, f"{judge} was not asked for both verdicts"
    wrong = {
        case.label: verdict or "accepted"
        for case, verdict in zip(cases, verdicts, strict=True)
        if (verdict == ACCEPTED) != case.good
    }
    assert not wrong, f"{judge} on {len(wrong)} of {len(cases)} cases: {wrong}"
