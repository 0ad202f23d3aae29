"""Renews what is due, for as long as the manager runs.

Each turn looks at the device CA's files, asks a pure question of each certificate (`RenewalPolicy.decide`), acts, tells
what modules and people should know, and says when to look again. The clock and the waiting are arguments, so that a
test turns years in no time.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from leafward.errors import LeafwardError
from leafward.manager.rotation import ROLES, Rotation
from leafward.manager.schedule import moments, offline_end
from leafward.manager.start import Standing
from leafward.manager.time_floor import SET_BACK
from leafward.pki.chain import fingerprint
from leafward.pki.renewal import Renew, warning_days
from leafward.wire.api_fields import moment
from leafward.wire.rotation import Level

# However far away the next renewal is: the clock may be set meanwhile, and the last time seen is saved at each turn.
LONGEST_WAIT = timedelta(hours=1)
# A threshold passed while the answer was on its way must not make the loop spin.
SHORTEST_WAIT = timedelta(seconds=1)

IDENTITY = "device_identity"

Wait = Callable[[timedelta], Awaitable[None]]

_log = logging.getLogger(__name__)


async def wait_for(duration: timedelta) -> None:
    """Waits by the running loop's clock."""
    await asyncio.sleep(duration.total_seconds())


class RenewalLoop:
    """Looks after one manager's certificates: an issuer before what hangs below it."""

    def __init__(
        self,
        rotation: Rotation,
        standing: Standing,
        *,
        wait: Wait = wait_for,
        after_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self._rotation = rotation
        self._standing = standing
        self._wait = wait
        self._after_turn = after_turn
        self._woken = asyncio.Event()
        self._reread = False
        self._warned: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Turns until cancelled."""
        while True:
            await self._wait_or_wake(await self.turn())

    def wake(self) -> None:
        """Has the next turn begin now, and read the device CA's files anew whatever they look like."""
        self._reread = True
        self._woken.set()

    async def turn(self) -> timedelta:
        """Renews what is due now; how long to wait until the next turn."""
        with contextlib.suppress(LeafwardError):  # told where it happened; the next thing is looked after all the same
            await self._look_at_device_ca()
        with contextlib.suppress(LeafwardError):
            await self._tend_identity()
        for level, due in self._questions():
            await self._look_after(level, due)
        self._tell_modules()
        self._warn()
        try:
            self._after_turn()
        except LeafwardError as error:
            _log.warning("%s", error)
        now = self._standing.time.now()
        waits = [one.at - now for one in moments(self._standing) if one.what != "ends" and one.at > now]
        # A clock that is not believed is looked at again when it may have proved itself.
        longest = timedelta(seconds=SET_BACK) if self._standing.time.in_use else LONGEST_WAIT
        return max(SHORTEST_WAIT, min([longest, *waits]))

    def _questions(self) -> tuple[tuple[Level, Callable[[], str | None]], ...]:
        return (
            ("device", self._device_ca_due),
            ("workload", self._standing.workload_ca.due),
            ("hub", self._standing.hub.due),
        )

    async def _look_after(self, level: Level, due: Callable[[], str | None]) -> None:
        """Renews from a level down if it is due, unless it failed only just now."""
        standing, role = self._standing, ROLES[level]
        reason = due()
        if not standing.journal.of(role).may_try(standing.time.now()):
            return
        if reason is None:
            self._forget_failure(level)
            return
        with contextlib.suppress(LeafwardError):
            await self._rotation.renew(level, reason)
            if due() is not None:
                # The maker gave one that ends no later. Asking again at once would get the same.
                self._postpone(role)

    def _forget_failure(self, level: Level) -> None:
        """What was tried before its time, failed, and is not due either: there is nothing to warn of any more.

        A device CA from files is left out: that a person's new files are refused is said until they are mended.
        """
        if level != "device" or self._standing.source.enrolment is not None:
            self._standing.journal.of(ROLES[level]).last_failure = None

    async def _look_at_device_ca(self) -> None:
        reread, self._reread = self._reread, False
        if self._standing.source.was_replaced() or reread:
            await self._rotation.take_device_ca("its files were replaced")

    async def _tend_identity(self) -> None:
        """The enrolled identity that asks for the device CA, where there is one."""
        standing, enrolment = self._standing, self._standing.source.enrolment
        if enrolment is None or not standing.journal.of(IDENTITY).may_try(standing.time.now()):
            return
        try:
            await self._rotation.tend_identity()
        except LeafwardError as error:
            now = standing.time.now()
            failures = standing.journal.failed(IDENTITY, str(error), now)
            standing.journal.postpone(IDENTITY, now, enrolment.next_attempt(failures))
            _log.warning("the device identity was not renewed: %s", error)

    def _device_ca_due(self) -> str | None:
        """Only an enrolled one can be renewed here; for files a person is warned in time."""
        if self._standing.source.enrolment is None:
            return None
        policy, now = self._standing.settings.renewal.policy, self._standing.time.now()
        decision = policy.decide(self._standing.device_ca.chain.leaf, now)
        return decision.reason if isinstance(decision, Renew) else None

    def _postpone(self, role: str) -> None:
        standing = self._standing
        pause = standing.settings.renewal.policy.retry_delay(standing.device_ca.chain.leaf)
        standing.journal.postpone(role, standing.time.now(), max(pause, LONGEST_WAIT))

    def _tell_modules(self) -> None:
        for one in self._standing.held.take_due(self._standing.time.now()):
            facts = {"name": one.module_id, "sha256": one.sha256, "not_after": moment(one.not_after)}
            self._standing.events.publish("certificate", **facts, reason="due")

    def _warn(self) -> None:
        """Once for each certificate and threshold."""
        end = offline_end(self._standing.device_ca.chain)
        days = warning_days(end.at, self._standing.time.now())
        key = (fingerprint(end.certificate), days or 0)
        if days is None or key in self._warned:
            return
        self._warned.add(key)
        text = (
            f"{end.sentence}, in less than {days} day{'s' if days > 1 else ''}: then no leaf device connects any more"
        )
        _log.warning("%s", text)
        self._standing.events.publish("warning", code="chain-ends", days=days, at=moment(end.at), text=text)

    async def _wait_or_wake(self, duration: timedelta) -> None:
        """The wait, cut short by `wake`."""
        both = [asyncio.ensure_future(self._wait(duration)), asyncio.ensure_future(self._woken.wait())]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in both:
                one.cancel()
        self._woken.clear()
