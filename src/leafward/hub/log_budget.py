"""How much of the log a peer may fill: a bucket of lines that refills slowly.

Whatever a stranger can make us say he can make us say a million times, and a log is on a disk. What is not said is
counted, and the count is said.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable

Monotonic = Callable[[], float]

# All that peers may have said of them: 30 lines at once, then one a second, which is some 40 MB a day.
BURST, EVERY_SECONDS = 30, 1.0
# Of one kind: so that one kind alone does not use it all up.
BURST_OF_A_KIND, EVERY_SECONDS_OF_A_KIND = 10, 2.0


class LogBudget:
    """`burst` lines at once, and one more each `every` seconds. `monotonic` gives seconds."""

    def __init__(
        self, burst: int = BURST, every: float = EVERY_SECONDS, *, monotonic: Monotonic = time.monotonic
    ) -> None:
        self._burst = burst
        self._every = every
        self._monotonic = monotonic
        self._lines = float(burst)
        self._since = monotonic()

    def take(self) -> bool:
        """Whether a line may be said now; if so, it is used up."""
        now = self._monotonic()
        self._lines = min(float(self._burst), self._lines + (now - self._since) / self._every)
        self._since = now
        if self._lines < 1.0:
            return False
        self._lines -= 1.0
        return True


class LogBudgets:
    """A budget for each kind of line, and one for all of them together. Kinds are ours: there are few."""

    def __init__(self, *, monotonic: Monotonic = time.monotonic) -> None:
        self._monotonic = monotonic
        self._all = LogBudget(monotonic=monotonic)
        self._kinds: dict[str, LogBudget] = {}
        self._suppressed: Counter[str] = Counter()

    def take(self, kind: str) -> bool:
        """Whether a line of that kind may be said now; if not, it is counted."""
        budget = self._kinds.get(kind)
        if budget is None:
            budget = LogBudget(BURST_OF_A_KIND, EVERY_SECONDS_OF_A_KIND, monotonic=self._monotonic)
            self._kinds[kind] = budget
        if budget.take() and self._all.take():
            return True
        self._suppressed[kind] += 1
        return False

    def suppressed(self) -> dict[str, int]:
        """How many lines of each kind were not said since this was last asked."""
        counted, self._suppressed = self._suppressed, Counter()
        return dict(counted)


def bounded_logger(
    parent: logging.Logger, expected: type[Exception], *, monotonic: Monotonic = time.monotonic
) -> logging.Logger:
    """A logger for a library that says a traceback for whatever a peer sends: within a budget, to `parent`'s handlers.

    Errors of the type `expected` are the peers' and get one line each, as a warning; others keep their traceback.
    """
    # None that `getLogger` would keep: each server has its own budget.
    bounded = logging.Logger(parent.name)  # noqa: LOG001
    bounded.parent = parent
    budget = LogBudget(BURST_OF_A_KIND, EVERY_SECONDS_OF_A_KIND, monotonic=monotonic)
    suppressed = 0

    def within_budget(record: logging.LogRecord) -> bool:
        nonlocal suppressed
        if not budget.take():
            suppressed += 1
            return False
        error = record.exc_info[1] if record.exc_info else None
        said = record.getMessage()
        if isinstance(error, expected):
            said, record.exc_info = f"{said}: {error!r:.200}", None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "%s%s", (said, f" ({suppressed} more were not logged)" if suppressed else "")
        suppressed = 0
        return True

    bounded.addFilter(within_budget)
    return bounded
