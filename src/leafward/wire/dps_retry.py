"""How many registrations are under way at once, and when those come back who are too many.

A site's ten thousand devices start in the same second after a power cut. What is more than can be served soon would
only wait, and time out while it waits. Told "in two seconds" they would all be back in the same second again; told
each its turn, at the rate at which registrations really end, they come back as a steady stream.
"""

import math

# Seconds; a device that is told to wait for longer is told so again.
LONGEST = 120.0
# Registrations a second: the first guess, and what a measure may say.
_GUESS, _SLOWEST, _FASTEST = 250.0, 10.0, 2000.0
# How much the newest second counts.
_WEIGHT = 0.3
_LONGEST_SECOND = 5.0


class Places:
    """So many places. `now` is of any steady clock, in seconds."""

    __slots__ = ("_ended", "_last", "_most", "_since", "_was_full", "rate", "taken")

    def __init__(self, most: int, now: float = 0.0) -> None:
        self.taken = 0
        self.rate = _GUESS
        self._most = most
        self._last = now
        self._since = now
        self._ended = 0
        self._was_full = False

    def enter(self, now: float, jitter: float) -> int:
        """0 for a place, to be left again; else the whole seconds until its turn. `jitter` (0 to 1) parts those.

        >>> places = Places(1)
        >>> [places.enter(0.0, 0.0) for _ in range(3)]
        [0, 1, 1]
        """
        if self.taken < self._most:
            self.taken += 1
            return 0
        self._was_full = True
        self._last = min(max(self._last, now) + 1.0 / self.rate, now + LONGEST)
        return max(1, math.ceil(self._last - now + jitter))

    def leave(self, now: float) -> None:
        """One is through."""
        self.taken -= 1
        self._ended += 1
        passed = now - self._since
        if passed < 1.0:
            return
        # A second in which there was room for more says nothing about how many there could be; nor does a pause.
        if self._was_full and passed < _LONGEST_SECOND:
            measured = min(max(self._ended / passed, _SLOWEST), _FASTEST)
            self.rate += _WEIGHT * (measured - self.rate)
        self._since, self._ended, self._was_full = now, 0, False
