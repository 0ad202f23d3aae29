"""Why somebody was refused, kept for the operator and never told to the peer.

A peer gets one negative answer whatever the reason, so that it cannot learn which device ids exist. The reason goes to
a counter, to a ring that later feeds the page, to the log as far as its budget goes, and, where it is a login, to the
list of who cannot connect (`failures.py`). How late the answer to a refused login comes is said here as well.
"""

import logging
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from leafward.hub.failures import Failure, Failures
from leafward.hub.failures_findings import is_login
from leafward.hub.gate import host_of
from leafward.hub.log_budget import LogBudgets
from leafward.hub.login_delay import LoginDelay
from leafward.hub.metrics import HubMetrics

logger = logging.getLogger(__name__)

# The newest refusals only: a misbehaving device that retries each second fills an hour of it.
RING_SIZE = 3600
# What a peer claims, and why it is refused, as logged: a line is not the peer's to fill. Cut after `repr`, which may
# make ten characters of one.
CLAIM_SIZE = 160
WHY_SIZE = 400


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused connection, request or message. `code` is one of the doctor's where one fits."""

    code: str
    why: str


@dataclass(frozen=True, slots=True)
class RefusalRecord:
    """A refusal with its circumstances. `at` is UTC; `claimed` is what the peer said it was; `address` its address."""

    at: datetime
    code: str
    why: str
    claimed: str
    address: str


class Refusals:
    """The ring of the newest refusals, oldest first; `failures` and `delay` are of those that are logins."""

    def __init__(
        self,
        metrics: HubMetrics,
        size: int = RING_SIZE,
        *,
        budgets: LogBudgets | None = None,
        failures: Failures | None = None,
        delay: LoginDelay | None = None,
    ) -> None:
        self._ring: deque[RefusalRecord] = deque(maxlen=size)
        self._metrics = metrics
        self._budgets = LogBudgets() if budgets is None else budgets
        self._failures = failures
        self._delay = delay

    def record(self, refusal: Refusal, *, claimed: str, address: str, at: datetime) -> float:
        """Keeps, counts and, as far as the budget goes, logs a refusal; how many seconds the answer to it must wait."""
        claimed, why = claimed[:CLAIM_SIZE], refusal.why[:WHY_SIZE]
        self._ring.append(RefusalRecord(at, refusal.code, why, claimed, address))
        self._metrics.refused[refusal.code] += 1
        if self._budgets.take(refusal.code):
            shown = repr(claimed)[:CLAIM_SIZE]
            logger.warning("refused %s from %s: %s (%s)", shown, address, _in_one_line(why), refusal.code)
        return (
            self._login(refusal.code, _in_one_line(why), claimed, host_of(address), at)
            if is_login(refusal.code)
            else 0.0
        )

    def admitted(self, client_id: str, *, address: str, at: datetime) -> None:
        """Somebody has come in: what failed in that name, or from there, is to be seen in that light."""
        host = host_of(address)
        if self._delay is not None:
            self._delay.succeeded(host, client_id)
        if self._failures is not None:
            self._failures.connected(host, client_id, at)

    def _login(self, code: str, why: str, claimed: str, host: str, at: datetime) -> float:
        if self._failures is not None:
            shown = claimed if claimed.isprintable() else repr(claimed)[1:-1][:CLAIM_SIZE]
            self._failures.note(Failure("login", host, shown, code, code, at, at, evidence={"why": why}))
        wait = 0.0 if self._delay is None else self._delay.failed(host, claimed)
        self._metrics.refusals_delayed += wait > 0.0
        return wait

    def tell_suppressed(self) -> None:
        """Logs how many refusals were not logged since the last time; called once a minute."""
        for code, count in self._budgets.suppressed().items():
            logger.warning("%d more refusals were not logged (%s)", count, code)

    def newest(self) -> RefusalRecord | None:
        """The last refusal, or None."""
        return self._ring[-1] if self._ring else None

    def all(self) -> list[RefusalRecord]:
        """Every refusal still held, oldest first."""
        return list(self._ring)


def _in_one_line(why: str) -> str:
    """What a peer sent may be in it: nothing that a terminal would obey or take for the next line."""
    return why if why.isprintable() else repr(why)[1:-1][:WHY_SIZE]
