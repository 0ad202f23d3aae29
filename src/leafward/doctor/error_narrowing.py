"""An error text beside the evidence: it confirms a cause, chooses among explanations, or names one by itself."""

from dataclasses import replace

from leafward.doctor.case import Case
from leafward.doctor.checks import check
from leafward.doctor.error_texts import ErrorReading
from leafward.doctor.finding import Finding, Who
from leafward.doctor.noted import Noted
from leafward.doctor.runner import Report, Verdict, diagnose

_SHOWN = 400
# Explanation -> who mends it and how, where it takes the place of another.
_MENDED: dict[str, tuple[Who, str]] = {
    "root-not-trusted": (
        "leaf",
        "Give the leaf the root certificate of this chain (--root, or its trusted certificates), got from the maker.",
    ),
    "intermediate-missing": (
        "operator",
        "Add the issuer's certificate to the chain file that is presented, after the one it signed (leaf first).",
    ),
}
_LOOK = "leafward doctor HOST:PORT --root FILE looks which of them it is; --explain CODE says more of each"


def report_of_text(reading: ErrorReading, base: Case) -> Report:
    """The text alone, with nothing to look at: the likeliest code as the cause, the others beside it."""
    if not reading.codes:
        return diagnose(base)
    return diagnose(replace(base, noted=(*base.noted, _noted(reading, "error"))))


def narrowed(report: Report, reading: ErrorReading) -> Report:
    """The report in the light of the text."""
    if not reading.codes:
        return report
    cause = report.cause
    if cause is not None and reading.general:
        return replace(report, cause=_told(cause, reading))
    if cause is not None and cause.code in reading.codes:
        kept = tuple(code for code in cause.alternatives if code in reading.codes)
        return replace(report, cause=replace(_told(cause, reading), alternatives=kept))
    if cause is not None:
        return _chosen(report, cause, reading)
    refused = next((one for one in report.findings if one.code in reading.codes), None)
    if refused is None:
        return _added(report, reading)
    rest = tuple(one for one in report.findings if one is not refused)
    return replace(report, verdict="failed", cause=replace(_told(refused, reading), severity="error"), findings=rest)


def _chosen(report: Report, cause: Finding, reading: ErrorReading) -> Report:
    """The text speaks against the likelier explanation: another takes its place, or a second finding stands beside."""
    other = next((code for code in cause.alternatives if code in reading.codes), None)
    known = None if other is None else check(other)
    if known is None:
        return _added(report, reading)
    told = _told(cause, reading)
    who, fix = _MENDED.get(known.code, (cause.who, f"leafward doctor --explain {known.code} says how to mend it."))
    evidence = {"look": _LOOK, **told.evidence}
    chosen = replace(told, code=known.code, title=known.title, who=who, fix=fix, evidence=evidence)
    return replace(report, cause=replace(chosen, alternatives=(cause.code,)))


def _added(report: Report, reading: ErrorReading) -> Report:
    """The evidence at hand does not show what the text says: said as a warning."""
    known = check(reading.codes[0])
    if known is None:
        return report
    finding = known.finding(
        "warning",
        evidence={
            "got": reading.text[:_SHOWN],
            "expected": "what was looked at shows no such fault",
            **({"look": _LOOK} if len(reading.codes) > 1 else {}),
        },
        who="leaf",
        fix="Look at the same server, with the root and the name that the leaf has, and with its clock (--at): the "
        "text speaks of something else than what was seen here.",
        alternatives=reading.codes[1:],
    )
    verdict: Verdict = "failed" if report.failed else "warning"
    return replace(report, verdict=verdict, findings=(*report.findings, finding))


def _told(finding: Finding, reading: ErrorReading) -> Finding:
    return replace(finding, evidence={**finding.evidence, "error": reading.text[:_SHOWN]})


def _noted(reading: ErrorReading, severity: str) -> Noted:
    return Noted(
        code=reading.codes[0],
        severity="error" if severity == "error" else "warning",
        got=reading.text[:_SHOWN],
        expected="a connection",
        who="leaf",
        fix=f"{_LOOK}." if len(reading.codes) > 1 else f"leafward doctor --explain {reading.codes[0]} says how.",
        alternatives=reading.codes[1:],
        look=_LOOK,
    )
