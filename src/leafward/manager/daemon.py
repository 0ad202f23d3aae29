"""The manager as a running part: brings the hierarchy into order, serves the two APIs, renews what is due.

run_manager      one home, until told to stop: what `leafward up` and `leafward manager run` call
Manager          the same in somebody else's loop, for tests
"""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from leafward import disk
from leafward.errors import NotFound
from leafward.manager.callers import Callers
from leafward.manager.connection_limits import ConnectionLimits
from leafward.manager.management_server import ManagementApi
from leafward.manager.module_secrets import MASTER_KEY, MasterKey
from leafward.manager.renewal_loop import RenewalLoop, Wait, wait_for
from leafward.manager.settings import ManagerSettings, read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.status import warnings
from leafward.manager.time_floor import Clock, TimeFloor, system_clock
from leafward.manager.unix_socket import MANAGEMENT_MODE, WORKLOAD_MODE, identity_of, listen, remove
from leafward.manager.workload_server import WorkloadApi
from leafward.store.home import Home
from leafward.store.lock import HomeLock

# How long a request that runs when we stop may take to end.
_SHUTDOWN_SECONDS = 2.0


async def run_manager(
    home: Home,
    *,
    clock: Clock = system_clock,
    stop: asyncio.Event,
    ready: Callable[[list[str]], None],
    settings: ManagerSettings | None = None,
) -> None:
    """Runs the manager of `home` until `stop` is set; calls `ready` once both sockets answer, with its warnings.

    `clock` gives aware UTC times. Raises what `Manager.start` raises, and what the renewal fails with: a manager that
    renews nothing any more must not look alive.
    """
    async with Manager(home, clock=clock, settings=settings) as manager:
        ready(warnings(manager.standing))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({told, manager.renewal}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if manager.renewal.done():
            manager.renewal.result()


class Manager:
    """The manager of one home.

    >>> async with Manager(home) as manager:            # doctest: +SKIP
    ...     manager.standing.hub.certificate
    """

    def __init__(
        self,
        home: Home,
        *,
        clock: Clock = system_clock,
        settings: ManagerSettings | None = None,
        wait: Wait = wait_for,
    ) -> None:
        self.home = home
        self.callers = Callers()
        self._clock = clock
        self._settings = settings
        self._wait = wait
        self._lock = HomeLock(home.manager / "lock")
        self._standing: Standing | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._closing = contextlib.AsyncExitStack()

    @property
    def standing(self) -> Standing:
        """What stands after the start. Raises `NotFound` before it."""
        if self._standing is None:
            raise NotFound("the manager has not started")
        return self._standing

    @property
    def renewal(self) -> asyncio.Task[None]:
        """The task that renews; it ends only by failing. Raises `NotFound` before the start."""
        if self._renewal is None:
            raise NotFound("the manager has not started")
        return self._renewal

    async def start(self) -> None:
        """Brings everything into order and listens.

        Raises `SettingsError`, `RuleViolation`, `NotFound` and `StoreError` with the file named and what to do, `Busy`
        where another manager holds the home; then nothing listens, and nothing is held.
        """
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stops listening, lets running requests end, releases the home. May be repeated."""
        await self._closing.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _start(self) -> None:
        settings = self._settings or read_settings(self.home.settings)
        disk.make_folder(self.home.manager)
        self._lock.acquire("manager")
        self._closing.callback(self._lock.release)
        self._standing = standing = bring_up(self.home, settings, TimeFloor(self.home.manager / LAST_SEEN, self._clock))
        self._closing.callback(standing.modules.close)
        await self._listen(standing)
        self._renewal = asyncio.create_task(self._renewals(standing).run(), name="renewal")
        self._closing.push_async_callback(_cancelled, self._renewal)

    async def _listen(self, standing: Standing) -> None:
        self.home.make_socket_folder()
        master = MasterKey(self.home.manager / MASTER_KEY)
        workload = WorkloadApi(standing, self.callers, master).application()
        management = ManagementApi(self.home, standing, self.callers).application()
        await self._serve(management, self.home.management_socket, MANAGEMENT_MODE)
        await self._serve(workload, self.home.workload_socket, WORKLOAD_MODE)

    async def _serve(self, application: web.Application, path: Path, mode: int) -> None:
        runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        self._closing.push_async_callback(runner.cleanup)
        assert runner.server is not None
        server = await listen(path, mode, ConnectionLimits().guarded(runner.server))
        self._closing.callback(remove, path, identity_of(path))
        self._closing.callback(server.close)

    def _renewals(self, standing: Standing) -> RenewalLoop:
        return RenewalLoop(
            (standing.workload_ca, standing.hub),
            standing.settings.renewal.policy,
            standing.time.now,
            wait=self._wait,
            after_turn=standing.time.save,
        )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
