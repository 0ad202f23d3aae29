"""A service on a machine of its own: MQTT, HTTPS and MQTT over WebSocket, with a certificate from files.

Every device may open a connection and bring any certificate: what it is worth is judged with its registration.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from leafward.errors import Busy, LeafwardError, StoreError
from leafward.provisioning.connection_count import ConnectionCount, Counted, room_for
from leafward.provisioning.desk import Desk
from leafward.provisioning.device_api import DeviceApi
from leafward.provisioning.faults import told_as_faults
from leafward.provisioning.handshake import credential_of, credential_of_request
from leafward.provisioning.listen_on import ListenOn
from leafward.provisioning.mqtt_registration import MqttRegistration
from leafward.provisioning.server_certificate import ServerCertificate
from leafward.provisioning.service import Clock
from leafward.provisioning.settings import ProvisioningTable
from leafward.provisioning.websocket_registration import PATH, WebSocketRegistrations
from leafward.store.home import Home
from leafward.wire import dps

BACKLOG = 1024
HANDSHAKE_SECONDS, SHUTDOWN_SECONDS = 30.0, 2.0


@contextlib.asynccontextmanager
async def listening(
    home: Home,
    settings: ProvisioningTable,
    desk: Desk,
    clock: Clock,
    wanted: ListenOn,
    *,
    reload: asyncio.Event | None = None,
) -> AsyncIterator[ListenOn]:
    """Listens until the end of the block; gives the ports as they are. `reload` has the certificate read anew.

    Raises `SettingsError` without a certificate that can be served, `Busy` and `StoreError` for a port that cannot be
    had.
    """
    certificate = ServerCertificate(home.settings.parent, settings.listen, clock)
    count = ConnectionCount(room_for(settings.connections))
    async with contextlib.AsyncExitStack() as stack:
        runner = web.AppRunner(
            _application(desk, clock), access_log=None, handle_signals=False, shutdown_timeout=SHUTDOWN_SECONDS
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        requests = runner.server
        assert requests is not None
        ports = []
        for port, protocol, option in (
            (wanted.mqtt_port, lambda: _MqttProtocol(desk), "--mqtt-port"),
            (wanted.https_port, requests, "--https-port"),
        ):
            bound = _bound(wanted.bind, port, option)
            server = await _serve(bound, protocol, count, certificate)
            stack.callback(server.close)
            ports.append(bound.getsockname()[1])
        watch = asyncio.create_task(certificate.run(reload))
        stack.callback(watch.cancel)
        yield ListenOn(wanted.bind, *ports)


async def _serve(
    bound: socket.socket,
    protocol: Callable[[], asyncio.Protocol],
    count: ConnectionCount,
    certificate: ServerCertificate,
) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(
        lambda: Counted(protocol(), count),
        sock=bound,
        ssl=certificate.context,
        backlog=BACKLOG,
        ssl_handshake_timeout=HANDSHAKE_SECONDS,
        ssl_shutdown_timeout=SHUTDOWN_SECONDS,
    )


def _application(desk: Desk, clock: Clock) -> web.Application:
    application = web.Application(client_max_size=dps.MAX_REQUEST_BODY, middlewares=[told_as_faults(clock)])
    application.add_routes(DeviceApi(desk, credential_of_request, tells_why=False).routes())
    application.add_routes([web.get(PATH, WebSocketRegistrations(desk).serve)])
    return application


class _MqttProtocol(asyncio.Protocol):
    """MQTT over TLS."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._registration: MqttRegistration | None = None

    def connection_made(self, transport: Any) -> None:
        self._registration = MqttRegistration(
            self._desk, lambda token: credential_of(token, transport), send=transport.write, close=transport.close
        )

    def data_received(self, data: bytes) -> None:
        if self._registration is not None:
            self._registration.receive(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, RUF100
        if self._registration is not None:
            self._registration.over()


def _bound(bind: str, port: int, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    # By its number: asyncio sends small answers at once (TCP_NODELAY) only where it reads that this is TCP.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setblocking(False)
        made.bind((bind, port))
    except OSError as error:
        made.close()
        kind: Callable[..., LeafwardError] = Busy if error.errno == errno.EADDRINUSE else StoreError
        what = f"cannot listen on {bind} port {port}"
        raise kind(what, why=os.strerror(error.errno or errno.EIO), hint=f"choose another with {option}") from error
    return made
