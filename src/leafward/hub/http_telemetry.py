"""Telemetry over HTTPS, in the form of IoT Hub's REST API: one message a request, 204 once it is durable.

`POST /devices/{id}[/modules/{m}]/messages/events?api-version=…` with the SAS token in Authorization, or a client
certificate. Whoever is not let in gets 401 and no reason.
"""

import asyncio

from aiohttp import web

from leafward.errors import InputError
from leafward.hub.hub import Hub
from leafward.hub.link import presented_by
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.wire.property_bag import check_forwardable
from leafward.wire.service_api_headers import ACK, read_headers

# Several messages in one body: IoT Hub's other form, which nothing here has asked for.
_BATCH = "application/vnd.microsoft.iothub.json"


class HttpTelemetry:
    """The HTTP handler of both paths."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Judges first and reads the body after: a stranger's bytes are not taken."""
        if not request.query.get("api-version"):
            return answer(400, "the query has no api-version")
        peer = self._admit(request)
        if isinstance(peer, Refusal):
            await asyncio.sleep(
                self._hub.refusals.record(
                    peer, claimed=_claimed(request), address=str(request.remote or "?"), at=self._hub.clock()
                )
            )
            return answer(401, "unauthorized")
        address = str(request.remote or "?")
        self._hub.refusals.admitted(peer.client_id, address=address, at=self._hub.clock())
        if request.content_type == _BATCH:
            return answer(415, "one message a request")
        if self._hub.intake.full:
            return answer(503, "the message store is busy", {"Retry-After": "1"})
        try:
            async with asyncio.timeout(self._hub.limits.packet_timeout):
                body = await request.read()
        except TimeoutError:
            return answer(408, "the body did not come in time", {"Connection": "close"})
        return await self._take(peer, request, body)

    def _admit(self, request: web.Request) -> Peer | Refusal:
        return self._hub.authenticator.credential(
            request.match_info["device_id"],
            request.match_info.get("module_id"),
            request.headers.get("Authorization"),
            lambda: presented_by(request.transport),
            self._hub.clock(),
        )

    async def _take(self, peer: Peer, request: web.Request, body: bytes) -> web.StreamResponse:
        properties, system = read_headers(request.headers.items())
        system.pop(ACK, None)  # a word of messages to devices
        try:
            check_forwardable(properties, system)
        except InputError as error:
            return answer(400, error.what)
        waiter = _Waiter()
        self._hub.intake.take(peer, body, waiter, 0, output=None, properties=properties, system=system)
        if await waiter.done:
            return web.Response(status=204)
        return answer(503, "the message is not kept", {"Retry-After": "10"})


def _claimed(request: web.Request) -> str:
    """Who the path names, as an MQTT client id."""
    return "/".join(filter(None, (request.match_info["device_id"], request.match_info.get("module_id"))))


class _Waiter:
    """A sender whose `done` is True when the message is durable, and False when it is not kept."""

    def __init__(self) -> None:
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def stored(self, token: int) -> None:
        """Durable."""
        self._finish(kept=True)

    def not_stored(self, token: int, error: Exception) -> None:
        """Not kept; the reason is in our log."""
        self._finish(kept=False)

    def room_again(self) -> None:
        """A request brings one message: there is nothing to go on with."""

    def _finish(self, *, kept: bool) -> None:
        # The client may have gone meanwhile, and the handler with it.
        if not self.done.done():
            self.done.set_result(kept)


def answer(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """An error in IoT Hub's form."""
    return web.json_response({"Message": message, "ExceptionMessage": ""}, status=status, headers=headers)
