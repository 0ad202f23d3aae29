"""The failures of a hub in the light of the doctor: what clients said, and what is wrong with what they were shown.

An alert says that a client was displeased, and the doctor, looking at the same chain, says with what. Where the alert
is one that the fault explains, the two are one cause; where the chain is good, what only a broken one explains goes.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leafward.doctor.finding import Finding
    from leafward.doctor.runner import Report

_CERTIFICATES = frozenset({"chain", "time", "name", "CA", "identifiers", "strength", "files"})
# What a client can have meant by its alert: families of faults, or single codes. Others say "certificate" and no more.
_MEANT: dict[str, frozenset[str]] = {
    "unknown_ca": frozenset({"chain", "CA", "identifiers", "files"}),
    "certificate_expired": frozenset({"certificate-expired"}),
    "unsupported_certificate": frozenset({"CA", "strength"}),
    "decrypt_error": frozenset({"identifiers", "root-same-name-different-key", "stale-workload-ca", "key-mismatch"}),
    "bad_certificate": _CERTIFICATES,
    "certificate_unknown": _CERTIFICATES,
    "handshake_failure": frozenset({"strength", "key-usage-missing-digital-signature"}),
    "closed": _CERTIFICATES,
    "left-without-a-word": _CERTIFICATES,
}
# Explanations that a look at the chain settles.
_SETTLED = frozenset({"intermediate-missing", "signature-invalid", "eku-missing-server-auth", "certificate-malformed"})


def in_the_light_of(facts: Mapping[str, Any], report: "Report") -> dict[str, Any]:
    """The facts of `hub failures` with the doctor's verdict in `diagnosis`, and each handshake told with its cause."""
    from leafward.doctor.report import as_json

    told = [_told(one, report) for one in facts["failures"]]
    return {**facts, "failures": told, "diagnosis": as_json(report)}


def _told(failure: Mapping[str, Any], report: "Report") -> dict[str, Any]:
    if failure["kind"] != "handshake":
        return dict(failure)
    if report.cause is None and report.case.presented:
        others = [code for code in failure["alternatives"] if code not in _SETTLED or _found(report, code)]
        return {**failure, "alternatives": others}
    if report.cause is not None and _explains(report.cause, failure["symptom"]):
        return _explained(failure, report.cause)
    return dict(failure)


def _found(report: "Report", code: str) -> bool:
    return not report.case.anchors or any(one.code == code for one in report.findings)


def _explains(cause: "Finding", symptom: str) -> bool:
    from leafward.doctor.checks import check

    known, meant = check(cause.code), _MEANT.get(symptom, frozenset())
    return known is not None and known.family in _CERTIFICATES and bool({known.family, cause.code} & meant)


def _explained(failure: Mapping[str, Any], cause: "Finding") -> dict[str, Any]:
    evidence = {**failure["evidence"], **{key: cause.evidence[key] for key in ("got", "expected")}}
    others = [code for code in (*cause.alternatives, failure["code"], *failure["alternatives"]) if code != cause.code]
    return {
        **failure,
        "code": cause.code,
        "severity": cause.severity,
        "title": cause.title,
        "who": cause.who,
        "fix": cause.fix,
        "evidence": evidence,
        "alternatives": list(dict.fromkeys(others)),
    }


def verdict_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """What the doctor says of the chain that clients are shown now, in a paragraph."""
    diagnosis = facts["diagnosis"]
    cause = diagnosis["cause"]
    if cause is None and diagnosis["chain"] is None:
        return
    yield ""
    if cause is None:
        yield "The chain of this gateway is good, as the doctor sees it."
        yield "A client that refuses it has another root, name or clock."
        return
    yield f"The chain of this gateway has a fault, as the doctor sees it: {cause['title']}  [{cause['code']}]"
    yield f"  got {_text(cause['evidence']['got'])}; expected {_text(cause['evidence']['expected'])}"
    yield f"  {cause['who']}: {cause['fix']}"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
