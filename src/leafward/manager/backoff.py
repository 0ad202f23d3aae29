"""How long to wait after a failure: longer each time, never all gateways at once, never longer than a bound.

A thousand gateways that lost the maker's server at the same instant must not come back at the same instant: each wait
is drawn between half of the step and the whole of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

# Gives a number in [0, 1), as `random.random` does; an argument, so that a test draws what it likes.
Random = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first` after one failure, twice as long after each further one, at most `longest`."""

    first: timedelta
    longest: timedelta

    def step(self, failures: int) -> timedelta:
        """The whole step after so many failures in a row; the first failure is 1."""
        doublings = min(max(failures, 1) - 1, 30)  # a gateway fails for months, and a time has a largest one
        return min(self.first * (1 << doublings), self.longest)

    def delay(self, failures: int, random: Random) -> timedelta:
        """How long to wait: between half of the step and the whole of it."""
        return self.step(failures) * (0.5 + random() / 2)


# What may mend itself: a network, a server, a token.
SOON = Backoff(timedelta(seconds=10), timedelta(hours=1))
# What somebody has to change first: a refusal, a wrong certificate. Asked again, because nobody may come to tell us.
SLOWLY = Backoff(timedelta(minutes=15), timedelta(hours=6))
