"""Registrations by MQTT over WebSocket, with a service that listens itself."""

import asyncio

from aiohttp import WSMsgType, web

from leafward.provisioning.desk import Desk
from leafward.provisioning.handshake import credential_of
from leafward.provisioning.mqtt_registration import PACKET_SIZE, MqttRegistration

PATH, SUBPROTOCOL = "/$iothub/websocket", "mqtt"


class WebSocketRegistrations:
    """The HTTP handler of `PATH`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Upgrades and serves; 400 for a request that is no WebSocket of MQTT."""
        socket = web.WebSocketResponse(protocols=(SUBPROTOCOL,), max_msg_size=PACKET_SIZE, compress=False)
        if not socket.can_prepare(request).ok:
            raise web.HTTPBadRequest(reason="a WebSocket with the subprotocol mqtt is expected")
        await socket.prepare(request)
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        registration = MqttRegistration(
            self._desk,
            lambda token: credential_of(token, request.transport),
            send=waiting.put_nowait,
            close=lambda: waiting.put_nowait(None),
        )
        writer = asyncio.create_task(_write_frames(socket, waiting))
        try:
            async for message in socket:
                if message.type is not WSMsgType.BINARY:
                    break
                registration.receive(message.data)
        finally:
            registration.over()
            writer.cancel()
        return socket


async def _write_frames(socket: web.WebSocketResponse, waiting: "asyncio.Queue[bytes | None]") -> None:
    while (data := await waiting.get()) is not None:
        await socket.send_bytes(data)
    await socket.close()
