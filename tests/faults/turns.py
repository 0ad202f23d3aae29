"""A running manager whose renewal goes on when a test says so: years pass in no time, and no turn is missed."""

import asyncio
from datetime import datetime, timedelta

from leafward.manager.daemon import Manager
from leafward.pki.verify import verify


class Turns:
    """The `wait` of a manager: each wait ends with `turn`."""

    def __init__(self) -> None:
        self._waits: asyncio.Queue[timedelta] = asyncio.Queue()
        self._go_on = asyncio.Event()

    async def __call__(self, duration: timedelta) -> None:
        await self._waits.put(duration)
        await self._go_on.wait()
        self._go_on.clear()

    async def waiting(self) -> timedelta:
        """When the first turn is over: how long it would wait."""
        return await asyncio.wait_for(self._waits.get(), 30)

    async def turn(self) -> timedelta:
        """One more turn; how long it would wait after that."""
        self._go_on.set()
        return await self.waiting()


def serves(manager: Manager, now: datetime) -> None:
    """The hub's chain verifies for the gateway's name."""
    standing = manager.standing
    name = standing.settings.hostname
    verdict = verify(standing.hub.pair.chain, standing.anchors, now=now, name=name, purpose="server")
    assert verdict.valid, verdict.reason
