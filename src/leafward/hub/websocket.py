"""MQTT over WebSocket (`/$iothub/websocket`, subprotocol `mqtt`): the same connection behind another transport.

The connection asks little of its transport (`Link`); here that little is given by a WebSocket: one task reads its
frames, one writes what has collected. Frame boundaries mean nothing to MQTT (3.1.1, 6.0.0-4).
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from aiohttp import ClientError, WSMsgType, web

from leafward.hub.mqtt_connection import MqttConnection
from leafward.hub.settings import Limits

PATH = "/$iothub/websocket"
SUBPROTOCOL = "mqtt"


class WebSocketLink:
    """A `Link` over one WebSocket. Writes are collected; `run` moves frames until either side has had enough."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.BaseTransport | None, *, close_timeout: float
    ) -> None:
        """`close_timeout`: seconds for the last bytes and the closing handshake of a peer that does not answer."""
        self._socket = socket
        self._close_timeout = close_timeout
        self._transport = transport
        self._connection: MqttConnection | None = None
        self._out = bytearray()
        self._high = 65_536
        self._paused = False
        self._something = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._closing = False
        self._patience: asyncio.TimerHandle | None = None
        self._aborted = asyncio.Event()

    async def run(self, connection: MqttConnection) -> None:
        """Serves the connection from its beginning to its end."""
        self._connection = connection
        connection.connection_made(self)
        writer = asyncio.create_task(self._write_frames())
        reader = asyncio.create_task(self._read_frames(connection))
        aborted = asyncio.create_task(self._aborted.wait())
        try:
            await asyncio.wait({writer, reader, aborted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, reader, aborted):
                task.cancel()
            await asyncio.gather(writer, reader, aborted, return_exceptions=True)
            connection.connection_lost(None)
            await self._close_socket()

    def write(self, data: bytes) -> None:
        """Queues bytes; tells the connection when too many wait."""
        if self._closing:
            return
        self._out += data
        self._something.set()
        if len(self._out) > self._high and not self._paused and self._connection is not None:
            self._paused = True
            self._connection.pause_writing()

    def close(self) -> None:
        """Ends the connection when everything is written, or soon, if the peer does not read it."""
        self._closing = True
        self._something.set()
        self._patience = asyncio.get_running_loop().call_later(self._close_timeout, self.abort)

    def abort(self) -> None:
        """Ends it now."""
        self._closing = True
        self._out.clear()
        self._aborted.set()

    def pause_reading(self) -> None:
        """No more frames until `resume_reading`; the peer is held back by its socket's buffer."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Frames again."""
        self._may_read.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002, RUF100
        """How many bytes may wait before the connection is told."""
        self._high = 65_536 if high is None else high

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the transport below: the peer's address, and its TLS connection; "websocket" tells it from that one."""
        if name == "websocket":
            return True
        return default if self._transport is None else self._transport.get_extra_info(name, default)

    async def _write_frames(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._out:
                data, self._out = bytes(self._out), bytearray()
                await self._socket.send_bytes(data)
            if self._closing:
                return
            if self._paused and self._connection is not None:
                self._paused = False
                self._connection.resume_writing()

    async def _read_frames(self, connection: MqttConnection) -> None:
        while True:
            await self._may_read.wait()
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                # Text is not MQTT (6.0.0-1); anything else is the end.
                return
            connection.data_received(message.data)

    async def _close_socket(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if self._aborted.is_set():
            if isinstance(self._transport, asyncio.WriteTransport):
                self._transport.abort()
            return
        with contextlib.suppress(ConnectionError, ClientError, TimeoutError, RuntimeError):
            async with asyncio.timeout(self._close_timeout):
                await self._socket.close()


class WebSocketEndpoint:
    """The HTTP handler of `PATH`. `make` gives a new connection."""

    def __init__(self, make: Callable[[], MqttConnection], limits: Limits) -> None:
        self._make = make
        self._limits = limits

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Upgrades and serves; 400 for a request that is no WebSocket of MQTT."""
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), max_msg_size=self._limits.packet_size, compress=False)
        if not socket.can_prepare(request).ok or SUBPROTOCOL not in _asked(request):
            return web.json_response({"Message": "a WebSocket with the subprotocol mqtt is expected"}, status=400)
        await socket.prepare(request)
        link = WebSocketLink(socket, request.transport, close_timeout=self._limits.shutdown_timeout)
        await link.run(self._make())
        return socket


def _asked(request: web.Request) -> set[str]:
    return {name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")}
