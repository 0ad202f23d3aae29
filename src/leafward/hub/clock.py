"""The hub's time: the system's, unless that is behind what is known.

A gateway whose clock has no battery starts in 1970. Every certificate would be "not yet valid" then, and a token that
expired years ago would be good. What is known: the chain that the hub serves was made, so that time has been; and the
manager keeps the last time that it saw. While the system's clock is behind the later of them, that is the time used.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import LeafwardError
from leafward.hub.log_budget import LogBudget

logger = logging.getLogger(__name__)

# The manager's file, below its folder.
LAST_SEEN = "last-seen"
TOLD_EVERY_SECONDS = 3600.0


class HubClock:
    """Call it for the time, aware, in UTC. `system` gives the system's; `last_seen` is the manager's file."""

    def __init__(self, system: Callable[[], datetime], last_seen: Path) -> None:
        self._system = system
        self._floor = _saved(last_seen)
        self._budget = LogBudget(1, TOLD_EVERY_SECONDS)

    def __call__(self) -> datetime:
        return max(self._system(), self._floor)

    def learn(self, certificates: Iterable[x509.Certificate]) -> None:
        """These certificates were made: the time is not before the newest of their notBefore dates."""
        self._floor = max([self._floor, *(certificate.not_valid_before_utc for certificate in certificates)])
        if self._system() < self._floor and self._budget.take():
            logger.warning("the system's clock is behind %s, which is used instead", self._floor.isoformat())


_NOTHING_KNOWN = datetime.min.replace(tzinfo=UTC)


def _saved(path: Path) -> datetime:
    """The time in the manager's file; one that cannot be read is passed over: a floor is a help, not a need."""
    try:
        saved = datetime.fromisoformat(disk.read_file(path, limit=64).decode("ascii"))
    except (LeafwardError, ValueError):
        return _NOTHING_KNOWN
    return saved.astimezone(UTC) if saved.tzinfo is not None else _NOTHING_KNOWN
