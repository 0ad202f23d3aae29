"""The provisioning service as a process.

    hub ── run/provisioning.sock ──> device API ──> Registrations ──> Assignments ──> databases
    operator's programs ───────────> service API                          `─> initial twins ──> hub

The SDKs connect to the gateway's ports; the hub, which listens there, passes what begins with an ID scope on to this
socket. On a machine of its own the service listens itself (`listening.py`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from leafward.provisioning.desk import Desk
from leafward.provisioning.device_api import DeviceApi, told_by_hub
from leafward.provisioning.enrolment_json import LARGEST_BODY
from leafward.provisioning.faults import told_as_faults
from leafward.provisioning.listen_on import ListenOn
from leafward.provisioning.local_socket import LocalSocket
from leafward.provisioning.opening import Opening
from leafward.provisioning.refusal_log import RefusalLog
from leafward.provisioning.service import Clock, Service
from leafward.provisioning.service_api import ServiceApi
from leafward.provisioning.settings import read_settings
from leafward.store.device_settings import read_device
from leafward.store.home import Home
from leafward.store.lock import HomeLock

# In the home's run folder: two services of one home would take each other's socket.
LOCK = "provisioning.lock"


async def run_provisioning(
    home: Home,
    *,
    clock: Clock,
    stop: asyncio.Event,
    ready: Callable[[ListenOn | None], None],
    listen: ListenOn | None = None,
    reload: asyncio.Event | None = None,
) -> None:
    """Runs the service of `home` until `stop` is set; calls `ready` once everything answers, with the ports it has.

    `reload`, when it is set, has the server certificate of a service that listens read anew.

    A shared database that is away is waited for: everybody is told to come back until then. Raises `SettingsError`
    naming every wrong key, `Busy` when another one holds the home or a port, `StoreError` when the home's own database
    or the socket cannot be had.
    """
    settings = read_settings(home.settings)
    hub = str(read_device(home.settings).hostname)
    doors = _Doors(Desk(clock), Desk(clock, refusals=RefusalLog()), ServiceApi(clock))
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(HomeLock(home.run / LOCK).hold("provisioning"))
        opening = Opening(home, settings, hub, clock)
        service = await opening.at_once(stack)
        # Before the doors: what they are still asked while they close is answered.
        running = [] if service is None else await doors.open(service, stack)
        socket = _local_socket(home, doors, clock)
        stack.push_async_callback(socket.close)
        await socket.open()
        found: ListenOn | None = None
        if listen is not None:
            # Only here: TLS brings its libraries along, which a service behind a hub has no use for.
            from leafward.provisioning.listening import listening  # noqa: PLC0415

            found = await stack.enter_async_context(
                listening(home, settings, doors.alone, clock, listen, reload=reload)
            )
        ready(found)
        if service is None:
            service = await opening.later(stack, stop)
            running = [] if service is None else await doors.open(service, stack)
        await _until(stop, running)


@dataclass(frozen=True, slots=True)
class _Doors:
    """Who asks: the hub, devices themselves, the operator's programs."""

    hub: Desk
    alone: Desk
    service: ServiceApi

    async def open(self, service: Service, stack: contextlib.AsyncExitStack) -> list[asyncio.Task[None]]:
        """Opens them, until the end of `stack`; what runs beside them."""
        running = await stack.enter_async_context(_running(service.tasks))
        self.hub.open(service.registrations)
        self.alone.open(service.registrations)
        self.service.open(service.books)
        stack.callback(self.shut)
        return running

    def shut(self) -> None:
        """Devices are told to come back."""
        self.hub.shut()
        self.alone.shut()


def _local_socket(home: Home, doors: _Doors, clock: Clock) -> LocalSocket:
    routes = [
        *DeviceApi(doors.hub, told_by_hub, tells_why=True).routes(),
        *doors.service.routes(),
    ]
    return LocalSocket(home, routes, told_as_faults(clock), body_limit=LARGEST_BODY)


@contextlib.asynccontextmanager
async def _running(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(stop: asyncio.Event, running: Sequence[asyncio.Task[None]]) -> None:
    """Waits for `stop`. A task that ends by itself is a fault of ours, and ends the service with it."""
    told = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {told}:
            task.result()
    finally:
        told.cancel()
