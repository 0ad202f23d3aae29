"""The operator's door: `run/hub.sock`, where the kernel says who calls.

0600: this user and root. Where two users share the home (docs/services.md) the socket is for their group, and the
home's owner may call too: it is he who adds the devices.
"""

import asyncio
import contextlib
import logging
import os
import socket
import stat
import struct
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from leafward import disk
from leafward.hub.http_guard import Guard, Guards
from leafward.hub.https_server import LINGER_SECONDS, LONGEST_HEADER, LONGEST_LINE, MOST_HEADERS
from leafward.hub.log_budget import bounded_logger
from leafward.hub.service_api import BODY_LIMIT, refused
from leafward.hub.service_dispatch import ServiceApi, response_of
from leafward.hub.settings import Limits
from leafward.store.home import SHARED_FOLDER, Home
from leafward.wire.service_api import Fault

logger = logging.getLogger(__name__)

SHARED = 0o660
_BACKLOG = 64
_NOBODY = -1


class ServiceSocket:
    """Serves the table to the operator. `open`, then `close`."""

    def __init__(self, api: ServiceApi, home: Home, *, limits: Limits) -> None:
        self._home = home
        self._made: os.stat_result | None = None
        self._guards = Guards(limits)
        known = _only_for(operators(home), self._guards)
        application = web.Application(client_max_size=BODY_LIMIT, middlewares=[known])
        application.add_routes(api.operator_routes())
        self._server: asyncio.Server | None = None
        # As on the HTTPS port: an operator's script that goes astray shall not hold or log more than a stranger.
        self._runner = web.AppRunner(
            application,
            access_log=None,
            logger=bounded_logger(logger, HttpProcessingError),
            handle_signals=False,
            lingering_time=LINGER_SECONDS,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
            shutdown_timeout=limits.shutdown_timeout,
        )

    async def open(self) -> None:
        """Binds; one that a killed hub left is replaced. Raises `StoreError` naming the path."""
        self._home.make_socket_folder()
        path = self._home.hub_socket
        await self._runner.setup()
        with disk.told(f"cannot listen on {path}"):
            listening = _bound(path, SHARED if is_shared(self._home) else disk.PRIVATE)
            loop = asyncio.get_running_loop()
            self._server = await loop.create_unix_server(self._protocol, sock=listening, backlog=_BACKLOG)
            self._made = path.lstat()

    async def close(self) -> None:
        """Answers what is being answered, then removes the socket, if it is still ours."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()
        with contextlib.suppress(OSError):
            if self._made is not None and os.path.samestat(self._home.hub_socket.lstat(), self._made):
                self._home.hub_socket.unlink()

    def _protocol(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        return Guard(server(), self._guards, lambda: None)


def _only_for(users: frozenset[int], guards: Guards) -> Middleware:
    """Answers 403 to another user's process, gives every error IoT Hub's form, and keeps the guard's time."""

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        if peer_uid(request.transport) not in users:
            return response_of(refused(Fault.FORBIDDEN, "forbidden"))
        guards.request_begins(request.transport)
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            allowed = {"Allow": error.headers.get("Allow", "")}
            return response_of(refused(Fault.METHOD_NOT_ALLOWED, "not this method", allowed))
        except web.HTTPNotFound:
            return response_of(refused(Fault.GENERIC_NOT_FOUND, "this hub knows no such call"))
        except ConnectionError:
            # Gone in the middle of its body: no fault of ours.
            if request.transport is None or request.transport.is_closing():
                return response_of(refused(Fault.ARGUMENT_INVALID, "the connection is closed"))
            raise
        finally:
            guards.request_ends(request.transport)

    return known


def operators(home: Home) -> frozenset[int]:
    """The user ids that may call: root, ours, and the home's owner where two users share it."""
    users = {0, os.geteuid()}
    if is_shared(home):
        with disk.told(f"cannot look at {home.root}"):
            users.add(home.root.stat().st_uid)
    return frozenset(users)


def is_shared(home: Home) -> bool:
    """Whether the folder of the sockets is two users' together (`manager/hub_user.py`)."""
    with contextlib.suppress(OSError):
        return home.sockets == home.run and stat.S_IMODE(home.run.stat().st_mode) == SHARED_FOLDER
    return False


def peer_uid(transport: asyncio.BaseTransport | None) -> int:
    """The user of the process at the other end (unix(7), SO_PEERCRED); -1 where the connection is gone."""
    own: Any = None if transport is None else transport.get_extra_info("socket")
    try:
        # A duplicate, because the loops give out their socket in forms of their own.
        with socket.fromfd(own.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except (OSError, AttributeError, ValueError):
        return _NOBODY
    uid: int = struct.unpack("3i", data)[1]
    return uid


def _bound(path: Path, mode: int) -> socket.socket:
    """Bound and not yet listening: nobody gets in before the mode is right."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(mode)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening
