"""`leafward hub failures` with the doctor's engine: an alert and a fault of the served chain are one cause."""

import pytest

from leafward.cli.hub_verdict import in_the_light_of, verdict_lines
from leafward.doctor.case import Case
from leafward.doctor.runner import Report, diagnose
from tests.doctor.stack_cases import CASES, NOW


def failed(symptom: str, code: str, *alternatives: str, kind: str = "handshake") -> dict[str, object]:
    return {
        "code": code,
        "severity": "error",
        "title": "as the hub has it",
        "evidence": {"alert": symptom},
        "who": "leaf",
        "fix": "as the hub has it",
        "kind": kind,
        "symptom": symptom,
        "alternatives": list(alternatives),
    }


def told(report: Report, *failures: dict[str, object]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = in_the_light_of({"failures": failures}, report)["failures"]
    return found


def seen(label: str) -> Report:
    return diagnose(CASES[label]().case)


@pytest.mark.parametrize(
    ("label", "symptom", "code"),
    [
        ("leaf alone", "unknown_ca", "intermediate-missing"),
        ("path length exceeded", "unknown_ca", "path-length-exceeded"),
        ("workload CA expired", "certificate_expired", "certificate-expired"),
        ("for clients only", "unsupported_certificate", "eku-missing-server-auth"),
        ("wrong name", "bad_certificate", "hostname-mismatch"),
        ("stale workload CA", "left-without-a-word", "stale-workload-ca"),
    ],
)
def test_the_fault_is_the_cause_of_the_alert(label: str, symptom: str, code: str) -> None:
    """One cause, who and fix of the doctor; what the hub thought stands beside it, and its evidence stays."""
    report = seen(label)
    assert report.cause is not None
    (one,) = told(report, failed(symptom, "clock-wrong"))
    assert (one["code"], one["who"], one["fix"]) == (code, report.cause.who, report.cause.fix)
    assert "clock-wrong" in one["alternatives"]  # type: ignore[operator]
    assert {"alert", "got", "expected"} <= set(one["evidence"])  # type: ignore[call-overload]


def test_what_the_fault_does_not_explain_stays() -> None:
    """A wrong name in the certificate; a clock that is ahead, a login, an old client: they have causes of their own."""
    report = seen("wrong name")
    failures = [
        failed("certificate_expired", "clock-wrong"),
        failed("unknown_ca", "root-not-trusted"),
        failed("protocol_version", "tls-version-unsupported"),
        failed("sas-expired", "sas-expired", kind="login"),
    ]
    assert told(report, *failures) == failures


def test_a_good_chain_settles_what_only_a_broken_one_explains() -> None:
    """root -> … -> hub, whole: no certificate is missing; the root of the leaf stays in question"""
    report = seen("healthy")
    (one,) = told(
        report, failed("certificate_unknown", "root-not-trusted", "hostname-mismatch", "intermediate-missing")
    )
    assert (one["code"], one["alternatives"]) == ("root-not-trusted", ["hostname-mismatch"])
    facts = in_the_light_of({"failures": []}, report)
    assert "is good" in " ".join(verdict_lines(facts))


def test_nothing_is_said_of_a_chain_that_is_not_there() -> None:
    report = diagnose(Case(target="home", now=NOW))
    failure = failed("unknown_ca", "root-not-trusted", "intermediate-missing")
    facts = in_the_light_of({"failures": [failure]}, report)
    assert facts["failures"] == [failure]
    assert not list(verdict_lines(facts))


def test_a_fault_in_words() -> None:
    lines = list(verdict_lines(in_the_light_of({"failures": []}, seen("leaf alone"))))
    assert "[intermediate-missing]" in lines[1]
    assert lines[3].startswith("  operator: ")
