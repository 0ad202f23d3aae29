"""The first start of a gateway that enrols: it keeps asking until there is a device CA, and says so meanwhile.

Nothing can be served before: every certificate hangs below the device CA. So the manager waits here, for months if it
must, and is not a crash in the log of its service manager.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from leafward.errors import LeafwardError
from leafward.manager.settings import ManagerSettings
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.manager.enrolment import Enrolment

_log = logging.getLogger(__name__)


async def first_enrolment(
    home: Home,
    settings: ManagerSettings,
    now: Callable[[], datetime],
    *,
    wait: Callable[[timedelta], Awaitable[None]],
    enrolment: "Enrolment | None" = None,
) -> None:
    """Returns when there is a device CA that has not ended, at once without `[enrolment]`. `now` gives aware UTC times.

    Raises `SettingsError`, and what reading the files named by the settings raises: those mend by nothing but an
    operator, who stands beside it at a first start. Everything else is tried again (`Enrolment.next_attempt`). May be
    cancelled; it then returns as soon as the request under way is given up.
    """
    if settings.enrolment is None:
        return
    from leafward.manager.enrolment import Enrolment  # noqa: PLC0415 - its libraries are for gateways that enrol

    enrolment = enrolment or Enrolment(
        home,
        settings.enrolment,
        settings.device,
        now=now,
        rekey=settings.renewal.rekey,
        policy=settings.renewal.policy,
    )
    if enrolment.current() is None:
        enrolment.check()
    failures = 0
    while (reason := enrolment.needed()) is not None:  # asked each time: it may have been a wrong clock
        try:
            await enrolled(enrolment)
            return
        except LeafwardError as error:
            failures += 1
            pause = enrolment.next_attempt(failures)
            _log.warning("%s, asking again in %s: %s", reason, _rounded(pause), _in_full(error))
        await wait(pause)


async def enrolled(enrolment: "Enrolment") -> None:
    """`Enrolment.enrol` on a thread. When cancelled it ends the request under way, and waits for the thread."""
    running = asyncio.ensure_future(asyncio.to_thread(enrolment.enrol))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        enrolment.stop()
        # The thread still has the home in its hands: whoever releases the lock must not do so before it is done.
        await asyncio.wait([running])
        raise


def _rounded(pause: timedelta) -> timedelta:
    return timedelta(seconds=round(pause.total_seconds()))


def _in_full(error: LeafwardError) -> str:
    return str(error) if error.hint is None else f"{error} ({error.hint})"
