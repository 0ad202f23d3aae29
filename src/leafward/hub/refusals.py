"""Why somebody was refused, kept for the operator and never told to the peer.

A peer gets one negative answer whatever the reason, so that it cannot learn which device ids exist. The reason goes to
the log, to a counter, and to a ring that later feeds the doctor and the page.
"""

import logging
from collections import deque
from dataclasses import dataclass
from datetime import datetime

from leafward.hub.metrics import HubMetrics

logger = logging.getLogger(__name__)

# The newest refusals only: a misbehaving device that retries each second fills an hour of it.
RING_SIZE = 3600
# What a peer claims is cut to this many characters: a log line is not the peer's to fill.
CLAIM_SIZE = 160


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

    def __init__(self, metrics: HubMetrics, size: int = RING_SIZE) -> None:
        self._ring: deque[RefusalRecord] = deque(maxlen=size)
        self._metrics = metrics

    def record(self, refusal: Refusal, *, claimed: str, address: str, at: datetime) -> None:
        """Keeps, counts and logs a refusal."""
        claimed = claimed[:CLAIM_SIZE]
        self._ring.append(RefusalRecord(at, refusal.code, refusal.why, claimed, address))
        self._metrics.refused[refusal.code] += 1
        logger.warning("refused %r from %s: %s (%s)", claimed, address, refusal.why, refusal.code)

    def newest(self) -> RefusalRecord | None:
        """The last refusal, or None."""
        return self._ring[-1] if self._ring else None

    def all(self) -> list[RefusalRecord]:
        """Every refusal still held, oldest first."""
        return list(self._ring)
