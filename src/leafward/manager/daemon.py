"""The manager as a running part: brings the hierarchy into order, serves the two APIs, renews and rotates.

run_manager      one home, until told to stop: what `leafward up` and `leafward manager run` call
Manager          the same in somebody else's loop, for tests
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from leafward import disk
from leafward.errors import NotFound
from leafward.manager.callers import Callers
from leafward.manager.enrolment_start import first_enrolment
from leafward.manager.hub_user import management_mode, share_home
from leafward.manager.listeners import Listeners
from leafward.manager.metrics import RequestCounts, exposition
from leafward.manager.metrics_address import parse_metrics_address
from leafward.manager.metrics_server import MetricsServer
from leafward.manager.renewal_loop import RenewalLoop, Wait, wait_for
from leafward.manager.rotation import HUB_SECONDS, Rotation
from leafward.manager.rotation_routes import metrics_route, rotate_route, verdict_route
from leafward.manager.settings import ManagerSettings, read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.status import warnings
from leafward.manager.time_floor import Clock, TimeFloor, system_clock
from leafward.manager.wipe_resume import resume_wipe
from leafward.store.home import Home
from leafward.store.lock import HomeLock

# Seconds between two looks at the device CA's files: some `stat` calls.
LOOK_EVERY = 10.0


async def run_manager(
    home: Home,
    *,
    clock: Clock = system_clock,
    stop: asyncio.Event,
    ready: Callable[[list[str]], None],
    settings: ManagerSettings | None = None,
    reload: asyncio.Event | None = None,
) -> None:
    """Runs the manager of `home` until `stop` is set; calls `ready` once both sockets answer, with its warnings.

    `clock` gives aware UTC times. `reload`, when set, has the device CA's files read anew. Raises what `Manager.start`
    raises, and what the renewal fails with: a manager that renews nothing any more must not look alive.
    """
    manager, told = Manager(home, clock=clock, settings=settings), asyncio.create_task(stop.wait())
    starting = asyncio.create_task(manager.start())  # a first enrolment may take for ever
    try:
        await asyncio.wait({told, starting}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return
        starting.result()
        reloading = asyncio.create_task(_reloads(manager, reload or asyncio.Event()))
        ready(warnings(manager.standing))
        await asyncio.wait({told, manager.renewal}, return_when=asyncio.FIRST_COMPLETED)
        reloading.cancel()
        if manager.renewal.done():
            manager.renewal.result()
    finally:
        told.cancel()
        await _cancelled(starting)
        await manager.close()


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
        look_every: float = LOOK_EVERY,
        hub_seconds: float = HUB_SECONDS,
    ) -> None:
        """`look_every`: seconds between looks at the device CA's files. `hub_seconds`: how long a rotation waits for
        the hub's verdict.
        """
        self.home = home
        self.requests = RequestCounts()
        self.metrics: MetricsServer | None = None
        self._look_every = look_every
        self._hub_seconds = hub_seconds
        self._rotation: Rotation | None = None
        self._loop: RenewalLoop | None = None
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

    @property
    def rotation(self) -> Rotation:
        """What changes certificates. Raises `NotFound` before the start."""
        if self._rotation is None:
            raise NotFound("the manager has not started")
        return self._rotation

    def reload(self) -> None:
        """Has the device CA's files and the trust bundle read anew, at once."""
        if self._loop is not None:
            self._loop.wake()

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
        time = TimeFloor(self.home.manager / LAST_SEEN, self._clock)
        if resume_wipe(self.home, time):
            settings = self._settings or read_settings(self.home.settings)
        share_home(self.home, settings.manager.hub_user)
        await first_enrolment(self.home, settings, time.now, wait=self._wait)
        self._standing = standing = bring_up(self.home, settings, time)
        self._closing.callback(standing.modules.close)
        self._rotation = rotation = Rotation(self.home, standing, hub_seconds=self._hub_seconds)
        self._closing.push_async_callback(rotation.close)
        await self._listen(standing, rotation)
        self._closing.callback(standing.events.close)
        self._loop = RenewalLoop(rotation, standing, wait=self._wait, after_turn=standing.time.save)
        self._renewal = self._background(self._loop.run(), "renewal")
        self._background(self._look(self._loop, standing), "look")

    async def _listen(self, standing: Standing, rotation: Rotation) -> None:
        listeners = Listeners(
            self.home,
            standing,
            self.callers,
            management_mode=management_mode(standing.settings.manager.hub_user),
            management_routes=(rotate_route(rotation), metrics_route(standing, self.requests)),
            workload_routes=(verdict_route(rotation),),
            requests=self.requests,
        )
        self._closing.push_async_callback(listeners.close)
        await listeners.open()
        address = standing.settings.manager.metrics
        if address is not None:
            self.metrics = MetricsServer(parse_metrics_address(address), lambda: exposition(standing, self.requests))
            self._closing.push_async_callback(self.metrics.close)
            await self.metrics.open()

    async def _look(self, loop: RenewalLoop, standing: Standing) -> None:
        """Wakes the renewal when the device CA's files were replaced."""
        while True:
            await asyncio.sleep(self._look_every)
            if standing.source.was_replaced():
                loop.wake()

    def _background(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._closing.push_async_callback(_cancelled, task)
        return task


async def _reloads(manager: Manager, reload: asyncio.Event) -> None:
    while True:
        await reload.wait()
        reload.clear()
        manager.reload()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
