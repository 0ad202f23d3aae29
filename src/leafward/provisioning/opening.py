"""Opens the service, at once or when its database is back.

A shared database may be away when a gateway starts: a site without its uplink. Manager and hub must come up all the
same, so this service does too, and answers that registrations wait.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from leafward.errors import Damaged, NotFound, StoreError
from leafward.provisioning.service import Clock, Service, open_service
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.home import Home

logger = logging.getLogger(__name__)

# Seconds between two attempts: the first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Opening:
    """Of the service of `home`. `hub` is the name of this gateway's hub."""

    home: Home
    settings: ProvisioningTable
    hub: str
    clock: Clock

    async def at_once(self, stack: contextlib.AsyncExitStack) -> Service | None:
        """The service, closed with `stack`; None where a shared database cannot be had now. Raises as `open_service`
        for all else."""
        try:
            return await self._opened(stack)
        except StoreError as error:
            if not self._is_away(error):
                raise
            logger.error("registrations wait, devices that are registered do not: %s", error)
            return None

    async def later(self, stack: contextlib.AsyncExitStack, stop: asyncio.Event) -> Service | None:
        """The service once it can be opened; None when `stop` is set before."""
        pause = FIRST_PAUSE
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()
            if stop.is_set():
                return None
            try:
                service = await self._opened(stack)
            except StoreError as error:
                if not self._is_away(error):
                    raise
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            logger.warning("the database is back, and registrations go on")
            return service

    async def _opened(self, stack: contextlib.AsyncExitStack) -> Service:
        return await stack.enter_async_context(open_service(self.home, self.settings, hub=self.hub, clock=self.clock))

    def _is_away(self, error: StoreError) -> bool:
        return self.settings.database is not None and not isinstance(error, Damaged | NotFound)
