"""The provisioning service as a process: the device API on its own unix socket.

The SDKs connect to the gateway's HTTPS port; the hub, which listens there, passes what begins with an ID scope on to
this socket. Only processes of this user reach it.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from aiohttp import web

from leafward import disk
from leafward.provisioning.device_api import DeviceApi
from leafward.provisioning.registrations import Registrations
from leafward.provisioning.settings import read_settings
from leafward.store.device_settings import read_device
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from leafward.store.registry import Registry

SHUTDOWN_SECONDS = 2.0
# In the home's run folder: two services of one home would take each other's socket.
LOCK = "provisioning.lock"


async def run_provisioning(
    home: Home, *, clock: Callable[[], datetime], stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Runs the service of `home` until `stop` is set; calls `ready` once its socket answers.

    Raises `SettingsError` naming every wrong key, `Busy` when another one holds the home, `StoreError` when the
    registry or the socket cannot be had.
    """
    settings = read_settings(home.settings)
    hub = str(read_device(home.settings).hostname)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(HomeLock(home.run / LOCK).hold("provisioning"))
        registry = stack.enter_context(Registry.open(home.registry))
        registrations = Registrations(registry, id_scope=settings.id_scope, hub=hub)
        runner = web.AppRunner(
            DeviceApi(registrations, clock).application(),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_SECONDS,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        made = await _listen(runner, home)
        stack.callback(_remove, home.provisioning_socket, made)
        ready()
        await stop.wait()


async def _listen(runner: web.AppRunner, home: Home) -> os.stat_result:
    """Binds the socket, in a folder of this user's alone; one that a killed process left is replaced.

    Returns what tells this very socket file from one that another process makes later.
    """
    home.make_socket_folder()
    with disk.told(f"cannot listen on {home.provisioning_socket}"):
        home.provisioning_socket.unlink(missing_ok=True)
        await web.UnixSite(runner, str(home.provisioning_socket)).start()
        home.provisioning_socket.chmod(disk.PRIVATE)
        return home.provisioning_socket.lstat()


def _remove(path: Path, made: os.stat_result) -> None:
    """Removes the socket file that we made, and no other of its name."""
    with contextlib.suppress(OSError):
        if os.path.samestat(path.lstat(), made):
            path.unlink()
