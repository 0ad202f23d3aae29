"""Renews what is due, for as long as the manager runs.

Each turn asks a pure question of each certificate (`RenewalPolicy.decide`), acts, and says when to look again. The
clock and the waiting are arguments, so that a test turns years in no time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from leafward.errors import LeafwardError
from leafward.pki.renewal import Renew, RenewalPolicy

# However far away the next renewal is: the clock may be set meanwhile, and the last time seen is saved at each turn.
LONGEST_WAIT = timedelta(hours=1)
# A threshold passed while the answer was on its way must not make the loop spin.
SHORTEST_WAIT = timedelta(seconds=1)

Wait = Callable[[timedelta], Awaitable[None]]

_log = logging.getLogger(__name__)


class Renewable(Protocol):
    """A certificate in use that can be replaced. `renew` leaves the old one in use where it fails."""

    name: str

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate in use."""

    def due(self) -> str | None:
        """Why it is to be replaced now; None while it is good."""

    def renew(self) -> None:
        """Puts a new one in its place."""


async def wait_for(duration: timedelta) -> None:
    """Waits by the running loop's clock."""
    await asyncio.sleep(duration.total_seconds())


class RenewalLoop:
    """Looks after `things`, in their order: an issuer before what hangs below it."""

    def __init__(
        self,
        things: Sequence[Renewable],
        policy: RenewalPolicy,
        now: Callable[[], datetime],
        *,
        wait: Wait = wait_for,
        after_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._things = things
        self._policy = policy
        self._now = now
        self._wait = wait
        self._after_turn = after_turn

    async def run(self) -> None:
        """Turns until cancelled."""
        while True:
            await self._wait(self.turn())

    def turn(self) -> timedelta:
        """Renews what is due now; how long to wait until the next turn."""
        waits = [self._look_after(thing) for thing in self._things]
        try:
            self._after_turn()
        except LeafwardError as error:
            _log.warning("%s", error)
        return max(SHORTEST_WAIT, min([LONGEST_WAIT, *waits]))

    def _look_after(self, thing: Renewable) -> timedelta:
        """Renews one thing if it is due; how long it can be left alone."""
        reason = thing.due()
        if reason is not None:
            _log.info("renewing the %s: %s", thing.name, reason)
            try:
                thing.renew()
            except LeafwardError as error:
                _log.error("the %s was not renewed, the old one stays in use: %s", thing.name, error)
                return self._policy.retry_delay(thing.certificate)
        decision = self._policy.decide(thing.certificate, self._now())
        # Due by its age and yet left alone: it lives as long as its issuer, which somebody else has to replace.
        return LONGEST_WAIT if isinstance(decision, Renew) else decision.at - self._now()
