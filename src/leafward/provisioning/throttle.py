"""How many registrations this service has under way at once (`wire/dps_retry.py`), by its own clock and chance."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator

from leafward.provisioning.refused import Throttled
from leafward.wire.dps_retry import Places


class Throttle:
    """For one event loop. `monotonic` gives seconds; `jitter` a number from 0 to 1."""

    def __init__(
        self,
        most: int,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._monotonic = monotonic
        self._jitter = jitter
        self._places = Places(most, monotonic())

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place until the end of the block. Raises `Throttled` where there is none."""
        wait = self._places.enter(self._monotonic(), self._jitter())
        if wait:
            raise Throttled(wait)
        try:
            yield
        finally:
            self._places.leave(self._monotonic())
