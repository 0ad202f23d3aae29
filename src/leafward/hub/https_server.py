"""The hub's HTTPS surface, behind the same certificate as MQTT.

Telemetry, the service API, MQTT over WebSocket, health and counters, and the door to the provisioning service.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from leafward.hub.http_guard import Guard, Guards
from leafward.hub.http_telemetry import HttpTelemetry, answer
from leafward.hub.hub import Hub
from leafward.hub.log_budget import bounded_logger
from leafward.hub.metrics import exposition
from leafward.hub.mqtt_connection import MqttConnection
from leafward.hub.provisioning_door import ProvisioningDoor
from leafward.hub.service_dispatch import ServiceApi
from leafward.hub.websocket import PATH as WEBSOCKET_PATH
from leafward.hub.websocket import WebSocketEndpoint

logger = logging.getLogger(__name__)


LINGER_SECONDS = 1.0
# Of a request's head: bytes of its first line, bytes of one header, and headers. A SAS token has some 250 bytes.
LONGEST_LINE, LONGEST_HEADER, MOST_HEADERS = 4096, 8190, 64


class HttpsServer:
    """The application and its connections. `setup`, give `protocol` to a listener, `close`."""

    def __init__(
        self, hub: Hub, new_connection: Callable[[], MqttConnection], door: ProvisioningDoor, api: ServiceApi
    ) -> None:
        self._hub = hub
        self._door = door
        self._guards = Guards(hub.limits)
        self._runner = web.AppRunner(
            _application(hub, new_connection, self._guards, [*api.https_routes(), *door.routes()]),
            access_log=None,
            logger=bounded_logger(logger, HttpProcessingError),
            handle_signals=False,
            # How long what still comes of a refused body is read and thrown away; aiohttp's own is 10 s.
            lingering_time=LINGER_SECONDS,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
            max_headers=MOST_HEADERS,
            shutdown_timeout=hub.limits.shutdown_timeout,
        )

    async def setup(self) -> None:
        """Before the first connection."""
        await self._runner.setup()

    def protocol(self, lost: Callable[[], None]) -> asyncio.Protocol:
        """A new connection's protocol; `lost` is called when its transport is closed."""
        server = self._runner.server
        assert server is not None
        return Guard(server(), self._guards, lost)

    async def close(self) -> None:
        """Answers what is being answered, then closes every connection."""
        await self._runner.cleanup()
        await self._door.close()


def _application(
    hub: Hub, new_connection: Callable[[], MqttConnection], guards: Guards, others: Sequence[web.RouteDef]
) -> web.Application:
    application = web.Application(client_max_size=hub.limits.packet_size, middlewares=[_middleware(guards)])
    application.on_response_prepare.append(_unnamed)
    telemetry = HttpTelemetry(hub)
    websocket = WebSocketEndpoint(new_connection, hub.limits)
    application.add_routes(
        [
            web.post("/devices/{device_id}/messages/events", telemetry.post),
            web.post("/devices/{device_id}/modules/{module_id}/messages/events", telemetry.post),
            web.get(WEBSOCKET_PATH, websocket.serve),
            web.get("/health", _health),
            web.get("/metrics", _Metrics(hub).show),
            *others,
        ]
    )
    return application


def _middleware(guards: Guards) -> Middleware:
    """Keeps the guard's time, and gives every error IoT Hub's form."""

    @web.middleware
    async def watched(request: web.Request, handler: Handler) -> web.StreamResponse:
        guards.request_begins(request.transport)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return answer(error.status, error.reason)
        except ConnectionError:
            # Gone in the middle of its body: a client's habit, not a fault of ours.
            if request.transport is None or request.transport.is_closing():
                return answer(400, "the connection is closed")
            raise
        finally:
            guards.request_ends(request.transport)

    return watched


async def _unnamed(_request: web.Request, response: web.StreamResponse) -> None:
    """Takes away which Python and which library this is: nobody's business before they are let in."""
    response.headers.pop("Server", None)


async def _health(_request: web.Request) -> web.StreamResponse:
    """200 as long as the loop turns."""
    return web.json_response({"status": "ok"})


class _Metrics:
    """Prometheus text, for this machine only: counts say who is refused and how often."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def show(self, request: web.Request) -> web.StreamResponse:
        if not _is_loopback(request.remote):
            raise web.HTTPNotFound
        return web.Response(body=exposition(self._hub.metrics), headers={"Content-Type": "text/plain; version=0.0.4"})


def _is_loopback(address: str | None) -> bool:
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False
