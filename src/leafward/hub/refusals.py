"""Why somebody was refused, kept for the operator and never told to the peer.

A peer gets one negative answer whatever the reason, so that it cannot learn which device ids exist. The reason goes to
a counter, to a ring that later feeds the doctor and the page, and to the log, as far as its budget goes.
"""

import logging
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from leafward.hub.log_budget import LogBudgets
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
    """The ring of the newest refusals, oldest first."""

    def __init__(self, metrics: HubMetrics, size: int = RING_SIZE, *, budgets: LogBudgets | None = None) -> None:
        self._ring: deque[RefusalRecord] = deque(maxlen=size)
        self._metrics = metrics
        self._budgets = LogBudgets() if budgets is None else budgets

    def record(self, refusal: Refusal, *, claimed: str, address: str, at: datetime) -> None:
        """Keeps, counts and, as far as the budget goes, logs a refusal."""
        claimed, why = claimed[:CLAIM_SIZE], refusal.why[:WHY_SIZE]
        self._ring.append(RefusalRecord(at, refusal.code, why, claimed, address))
        self._metrics.refused[refusal.code] += 1
        if self._budgets.take(refusal.code):
            shown = repr(claimed)[:CLAIM_SIZE]
            logger.warning("refused %s from %s: %s (%s)", shown, address, _in_one_line(why), refusal.code)

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
