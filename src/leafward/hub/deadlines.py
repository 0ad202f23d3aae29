"""One timer for all connections: each says when it is to be woken, and looks then what is due.

A timer of the event loop costs as much as all else that a connection needs at its start. Deadlines here are seconds to
hours away and nobody minds a tenth of a second, so those of one tenth wake together.
"""

import asyncio
import heapq
import logging
import math
from typing import Final, Protocol

logger = logging.getLogger(__name__)

PER_SECOND: Final = 10
# Seconds; what is further away is woken at a whole second, so that there are few moments to keep.
_NEAR: Final = 60.0


class Sleeper(Protocol):
    """Who is woken."""

    def due(self) -> None:
        """It is time: never too early, and a moment late."""


class Deadlines:
    """Moments, each a number from 1, with those who are woken then. For the loop's thread; times are the loop's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sleepers: dict[int, set[Sleeper]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def wake(self, sleeper: Sleeper, when: float, before: int) -> int:
        """Wakes it once, at `when` or a moment later; the moment. `before` is the one it has, 0 for none: where that is
        no later, it stays, because whoever wakes too early looks and asks again.
        """
        moment = math.ceil(when * PER_SECOND)
        if before and before <= moment:
            return before
        if when - self._loop.time() > _NEAR:
            moment = math.ceil(when) * PER_SECOND
            if before and before <= moment:
                return before
        self.forget(sleeper, before)
        sleepers = self._sleepers.get(moment)
        if sleepers is None:
            sleepers = self._sleepers[moment] = set()
            heapq.heappush(self._order, moment)
            if self._order[0] == moment:
                self._set()
        sleepers.add(sleeper)
        return moment

    def forget(self, sleeper: Sleeper, moment: int) -> None:
        """Does not wake it."""
        sleepers = self._sleepers.get(moment)
        if sleepers is not None:
            sleepers.discard(sleeper)

    def close(self) -> None:
        """Wakes nobody any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._order[0] / PER_SECOND, self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._order and self._order[0] / PER_SECOND <= now:
            for sleeper in self._sleepers.pop(heapq.heappop(self._order)):
                try:
                    sleeper.due()
                except Exception:  # it must not cost the others their turn
                    logger.exception("a fault of ours at a deadline")
        if self._order and self._timer is None:
            self._set()
