"""A clock that does not run behind what is known: gateways without a battery-backed clock start in 1970.

What is known, from the firmest to the weakest (docs/clock.md):

1. hard: this program was built, and the maker's certificates were made: before that it cannot be. Never given up.
2. firm: the clock said so while a time server set it.
3. weak: the clock said so, and nobody can vouch for it.

A clock that is behind all of this is the only evidence against it, so it is judged by what it contradicts:

    behind the hard floor                            it is wrong, whatever else
    behind what was seen, but by less than an hour   believed: certificates are back-dated by an hour
    behind what was seen, and a time server sets it  believed at once
    … and it was set back while the machine ran      believed when it has run on for ten minutes
    … and only weak evidence says otherwise          believed when it has run longer than the clock that it contradicts
    … otherwise                                      not believed

While it is not believed, the time is counted on from what was seen. A clock that is believed although it is behind puts
the saved time back at once, and `lowered` counts it: what was issued ahead of it is then issued anew.

A clock ahead of everything is believed: nothing tells a long time without power from a wrong clock. What is done by a
wrong one is undone when it is right again.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from leafward import __built__
from leafward.errors import StoreError
from leafward.manager.clock_state import ClockState, read_clock_state
from leafward.manager.steady_clock import boot_id, is_synchronised, since_boot, was_synchronised

Clock = Callable[[], datetime]

BUILT = datetime.fromisoformat(__built__).replace(tzinfo=UTC)
# Certificates are back-dated by an hour: a clock that is put back by less makes none of them "not yet valid".
SMALL = timedelta(hours=1)
# How long a clock that was set back has to run on.
SET_BACK = 600.0
# The least that a clock has to run before it wins against what an unvouched one said before the last start.
SHORTEST_PROOF = 86400.0

_log = logging.getLogger(__name__)


def system_clock() -> datetime:
    """The system's clock, in UTC and aware."""
    return datetime.now(UTC)


class TimeFloor:
    """The time the manager uses. `clock` gives aware UTC times; `path` is where the last one seen is kept.

    `steady` gives seconds since the machine's start, `synchronised` whether a time server sets the clock; a clock other
    than the system's has none.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock = system_clock,
        *,
        steady: Callable[[], float] = since_boot,
        synchronised: Callable[[], bool] | None = None,
        boot: str | None = None,
    ) -> None:
        self.path = path
        self.lowered = 0
        self._clock = clock
        self._steady = steady
        of_the_system = clock is system_clock
        self._synchronised = synchronised or (is_synchronised if of_the_system else _nobody_says_so)
        self._vouched_for = synchronised or (was_synchronised if of_the_system else _nobody_says_so)
        self._boot = boot_id() if boot is None else boot
        self._hard = BUILT
        state = read_clock_state(path)
        self._kept = state is not None
        self._state = state or ClockState(BUILT)
        # The newest time that is known, and when (steady) it was: from there it is counted on.
        self._line = max(self._state.seen, BUILT), steady()
        self._last: tuple[datetime, float] | None = None
        self._rival: tuple[datetime, float] | None = None
        self._needed = self._proof_needed(state)

    @property
    def in_use(self) -> bool:
        """Whether the system's clock is not believed, so that another time is used."""
        return self._look(self._clock()) is not None

    def now(self) -> datetime:
        """The system's time, or the one that is used instead. Aware, UTC."""
        system = self._clock()
        instead = self._look(system)
        return system if instead is None else instead

    def facts(self) -> dict[str, Any]:
        """For the status: the time used, the system's, and the floors."""
        system = self._clock()
        instead = self._look(system)
        return {
            "now": system if instead is None else instead,
            "system": system,
            "hard_floor": self._hard,
            "seen": self._state.seen,
            "vouched_for": self._state.firm,
        }

    def learn(self, certificates: Iterable[x509.Certificate]) -> None:
        """Raises the hard floor to the newest notBefore of the maker's certificates: whoever made them had a clock."""
        self._hard = max([self._hard, *(one.not_valid_before_utc for one in certificates)])
        self._count_from(self._hard)

    def learn_end(self, end: datetime) -> None:
        """`end`: when the device CA ends. What nobody vouched for, and says that it has ended, loses against a clock
        that says it has not: a manager that refuses to start has no time to find out which of the two is right.
        """
        now = self._clock(), self._steady()
        if not self._state.firm and self._hard <= now[0] < end < self._state.seen:
            self._lower(now)

    def learn_own(self, certificates: Iterable[x509.Certificate]) -> None:
        """Certificates of our own making say when our own clock was, which the saved time says as well. They count
        where that is lost, and as little as it would.
        """
        if not self._kept:
            seen = max([self._state.seen, *(one.not_valid_before_utc for one in certificates)])
            self._state = replace(self._state, seen=seen)
            self._count_from(seen)

    def save(self) -> None:
        """Keeps the time for the next start; one that is counted on while the clock is not believed as well."""
        system = self._clock()
        instead = self._look(system)
        if instead is None:
            self._state = replace(self._state, firm=self._state.firm or self._vouched_for())
        else:
            _log.warning("the system's clock says %s; %s is used instead", system.isoformat(), instead.isoformat())
        self._write(self._state if instead is None else replace(self._state, seen=instead))

    def _look(self, system: datetime) -> datetime | None:
        """Judges the clock: None where it is believed, the time to use where it is not."""
        now = system, self._steady()
        if self._last is not None and not _is_same_line(self._last, now):
            self._needed = SET_BACK  # set by somebody while we ran
        self._last = now
        counted_on = self._counted_on(now[1])
        if system >= max(self._hard, counted_on - SMALL):
            self._believe(now)
            return None
        if system >= self._hard and self._has_proved_itself(now):
            self._lower(now)
            return None
        return counted_on

    def _believe(self, now: tuple[datetime, float]) -> None:
        runs_on = _is_same_line(self._line, now)
        # `seen` never goes back here: a clock put back by a little, again and again, must not carry it away.
        seen = max(now[0], self._state.seen)
        weight = self._state.weight + max(0.0, now[1] - self._line[1]) if runs_on else 0.0
        firm = runs_on and self._state.firm
        self._state = ClockState(seen, firm=firm, weight=weight, boot=self._boot)
        self._line, self._rival, self._needed = (seen, now[1]), None, SET_BACK

    def _has_proved_itself(self, now: tuple[datetime, float]) -> bool:
        if self._synchronised():
            return True
        if self._rival is None or not _is_same_line(self._rival, now):
            self._rival = now
        return now[1] - self._rival[1] >= self._needed

    def _lower(self, now: tuple[datetime, float]) -> None:
        _log.warning(
            "the clock was ahead: %s was seen, and it is %s; what was issued since is issued anew",
            self._state.seen.isoformat(),
            now[0].isoformat(),
        )
        ran = 0.0 if self._rival is None else now[1] - self._rival[1]
        self._state = ClockState(now[0], firm=self._synchronised(), weight=ran, boot=self._boot)
        self._line, self._rival, self._needed = now, None, SET_BACK
        self._kept = True
        self.lowered += 1
        self._write(self._state)

    def _counted_on(self, steady: float) -> datetime:
        return self._line[0] + timedelta(seconds=max(0.0, steady - self._line[1]))

    def _count_from(self, known: datetime) -> None:
        steady = self._steady()
        if known > self._counted_on(steady):
            self._line = known, steady

    def _write(self, state: ClockState) -> None:
        try:
            replace(state, steady=self._steady()).write(self.path)
        except StoreError as error:  # a full disk must not stop a gateway that has all it needs
            _log.warning("the time is not kept for the next start: %s", error)

    def _proof_needed(self, state: ClockState | None) -> float:
        """How long a clock behind `seen` has to run before it is believed, where no time server speaks for it."""
        if state is None:
            return SHORTEST_PROOF
        if state.boot and state.boot == self._boot:
            # Since this start of the machine the clock was believed, and now it is behind: somebody has set it.
            return SET_BACK
        return float("inf") if state.firm else max(SHORTEST_PROOF, state.weight)


def _nobody_says_so() -> bool:
    return False


def _is_same_line(one: tuple[datetime, float], other: tuple[datetime, float]) -> bool:
    """Whether a clock that was at `one` has run on to `other`."""
    return abs((other[0] - one[0]).total_seconds() - (other[1] - one[1])) < SMALL.total_seconds()
