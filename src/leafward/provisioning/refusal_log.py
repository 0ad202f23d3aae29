"""Who a service refuses that listens itself: for its operator, in the log. Beside a hub, the hub keeps it.

A device that is refused comes again, for ever. So many lines a minute are written, and how many were left out.
"""

import logging
import time
from collections.abc import Callable

from leafward.provisioning.refused import Refused

logger = logging.getLogger(__name__)

MOST_LINES = 30
SECONDS = 60.0


class RefusalLog:
    """For one event loop. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since = monotonic()
        self._written = 0
        self._left_out = 0

    def note(self, registration_id: str, error: Refused) -> None:
        """One more."""
        now = self._monotonic()
        if now - self._since >= SECONDS:
            if self._left_out:
                logger.warning("%d more registrations were refused", self._left_out)
            self._since, self._written, self._left_out = now, 0, 0
        if self._written >= MOST_LINES:
            self._left_out += 1
            return
        self._written += 1
        logger.warning("refused %s: %s: %s", _shown(registration_id), error.code, error.why)


def _shown(claimed: str) -> str:
    """What a stranger calls itself, in one line."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in claimed[:128])
