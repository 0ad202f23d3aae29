"""`GET` and `DELETE /hub/failures` on the operator's socket: the list, with what to do about each line."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from leafward.hub.failures import Failure, Failures
from leafward.hub.failures_file import as_json
from leafward.hub.failures_findings import finding_of
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, json_answer

PATH = "/hub/failures"


class FailuresService:
    """The two routes, for the operator alone."""

    def __init__(self, failures: Failures, clock: Callable[[], datetime]) -> None:
        self._failures = failures
        self._clock = clock

    def routes(self) -> list[ServiceRoute]:
        """What is answered here."""
        return [ServiceRoute("GET", PATH, self._show), ServiceRoute("DELETE", PATH, self._clear)]

    async def _show(self, _call: ServiceCall) -> Answer:
        return json_answer(report(self._failures.all(), self._failures.since))

    async def _clear(self, _call: ServiceCall) -> Answer:
        return json_answer({"cleared": self._failures.clear(self._clock())})


def report(failures: list[Failure], since: datetime) -> dict[str, Any]:
    """The answer: each line a finding as the doctor has them, with its facts; the latest first."""
    return {"since": since.isoformat(), "failures": [described(one) for one in failures]}


def described(failure: Failure) -> dict[str, Any]:
    """One line with its title, who can mend it, and how."""
    finding = finding_of(failure)
    facts = as_json(failure)
    who = facts.pop("who") or None
    handshake = failure.kind == "handshake"
    return {
        "code": facts.pop("code"),
        "severity": finding.severity,
        "title": finding.title,
        "evidence": facts.pop("evidence"),
        "certificate": facts.pop("certificate"),
        "who": finding.who,
        "fix": finding.fix,
        **facts,
        "server_name": who if handshake else None,
        "claimed": None if handshake else who,
    }
