"""The service's own door: `run/provisioning.sock`, 0600, where the kernel says whose process calls.

What the hub says there of a device's certificate is believed. So nobody but this user, who runs the hub as well, and
root may open it, and of those that could (a shared home's group, a socket whose mode was changed) the kernel's word
for the caller's user id is asked once more.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from leafward import disk
from leafward.store.home import Home
from leafward.wire import dps_door

SHUTDOWN_SECONDS = 2.0
_BACKLOG = 1024
_ROOT, _NOBODY = 0, -1


class LocalSocket:
    """Serves `routes` there. `open`, then `close`."""

    def __init__(self, home: Home, routes: Iterable[web.RouteDef], told: Middleware, *, body_limit: int) -> None:
        self._home = home
        self._made: os.stat_result | None = None
        application = web.Application(client_max_size=body_limit, middlewares=[told, _ours_only])
        application.add_routes(routes)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_SECONDS,
            max_field_size=dps_door.LONGEST_CHAIN + 1024,
        )

    async def open(self) -> None:
        """Binds, in a folder of this user's alone; a socket that a killed process left is replaced.

        Raises `StoreError` naming the path.
        """
        self._home.make_socket_folder()
        path = self._home.provisioning_socket
        await self._runner.setup()
        with disk.told(f"cannot listen on {path}"):
            path.unlink(missing_ok=True)
            await web.UnixSite(self._runner, str(path), backlog=_BACKLOG).start()
            path.chmod(disk.PRIVATE)
            self._made = path.lstat()

    async def close(self) -> None:
        """Answers what is being answered, then removes the socket file that we made, and no other of its name."""
        await self._runner.cleanup()
        with contextlib.suppress(OSError):
            if self._made is not None and os.path.samestat(self._home.provisioning_socket.lstat(), self._made):
                self._home.provisioning_socket.unlink()


@web.middleware
async def _ours_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if _caller(request) not in (os.geteuid(), _ROOT):
        raise web.HTTPForbidden(reason="this socket is another user's")
    return await handler(request)


def _caller(request: web.Request) -> int:
    """The user id of the process at the other end, as the kernel says (SO_PEERCRED)."""
    found = None if request.transport is None else request.transport.get_extra_info("socket")
    if found is None:
        return _NOBODY
    try:
        credentials = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return _NOBODY
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
