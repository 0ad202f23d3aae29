"""Makes guessing slow: a refusal is answered late, and later each time.

Failures are counted for each source of connections, and for each identity from each source. The answer to the next
refusal there waits twice as long as the one before. Only refusals wait. A right credential is let in at once wherever
it comes from, so nobody locks a device out by failing in its name, or from behind the address it shares.

    address                8 failures are free, as a line of devices behind one router has them; then 0.25 s, 0.5 s, …
    identity from address  1 is free; then 0.25 s, 0.5 s, …

A connection that waits counts as open, and one address may have so many and no more (`gate.py`): that, over the longest
delay, is how many guesses a second one address has in the end. What is remembered is bounded: the sources that failed
longest ago are forgotten first. A failure counts half after a while, so that yesterday's mistakes cost nothing.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from leafward.hub.gate import network_of

FIRST_SECONDS = 0.25
# Less than any client waits for its CONNACK (30 s and more), and than `connect_timeout` as it is usually set.
LONGEST_SECONDS = 10.0
FREE_OF_ADDRESS, FREE_OF_IDENTITY = 8, 1
# An hour of silence makes 64 failures of one address one.
HALVED_EVERY_SECONDS = 600.0
# About 200 bytes each.
MOST_ADDRESSES, MOST_IDENTITIES = 8192, 16_384
# Of an identity as it was claimed: the longest real one has 257 characters.
_CLAIM = 300


class LoginDelay:
    """Counts failures. `monotonic` gives seconds. For one thread."""

    def __init__(
        self,
        *,
        longest: float = LONGEST_SECONDS,
        first: float = FIRST_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first = min(first, longest)
        self._longest = longest
        self._addresses = _Failures(MOST_ADDRESSES, monotonic)
        self._identities = _Failures(MOST_IDENTITIES, monotonic)

    def failed(self, address: str, claimed: str) -> float:
        """One more failure of somebody at `address` who said he was `claimed`: how many seconds his answer waits."""
        source = network_of(address)
        here = self._addresses.add(source) - FREE_OF_ADDRESS
        so = self._identities.add((source, claimed[:_CLAIM])) - FREE_OF_IDENTITY
        return max(self._delay(here), self._delay(so))

    def succeeded(self, address: str, identity: str) -> None:
        """Who failed before has come in: a device whose key was corrected owes nothing. Its address still does."""
        self._identities.forget((network_of(address), identity[:_CLAIM]))

    def __len__(self) -> int:
        """How many sources and identities are remembered."""
        return len(self._addresses) + len(self._identities)

    def _delay(self, beyond: float) -> float:
        if beyond <= 0:
            return 0.0
        # Beyond 2^32 it is the longest in any case, and a float is no place for 2^100000.
        return min(self._longest, self._first * math.exp2(min(beyond - 1.0, 32.0)))


class _Failures:
    """How often each key has failed, the newest last; a count halves with time."""

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._counts: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def add(self, key: Hashable) -> float:
        now = self._monotonic()
        count, since = self._counts.pop(key, (0.0, now))
        count = count * math.exp2((since - now) / HALVED_EVERY_SECONDS) + 1.0
        self._counts[key] = (count, now)
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return count

    def forget(self, key: Hashable) -> None:
        self._counts.pop(key, None)

    def __len__(self) -> int:
        return len(self._counts)
