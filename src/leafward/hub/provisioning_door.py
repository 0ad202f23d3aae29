"""The provisioning service's door on the hub's HTTPS port.

The SDKs' provisioning clients connect to the gateway's own ports. What is asked below an ID scope goes, as it is, to
the provisioning process on its unix socket, and its answer goes back as it is. The hub judges nothing of it.
"""

from pathlib import Path

import aiohttp
from aiohttp import web

from leafward.wire import dps

TIMEOUT_SECONDS = 10.0
# What the service reads of a request, and a device of an answer; nothing else passes in either direction.
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Accept", "User-Agent")
_ANSWER_HEADERS = ("Content-Type", "Retry-After", "x-ms-error-code")


class ProvisioningDoor:
    """Passes registrations on. One session for all requests; `close` at the end."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        """What the door answers for."""
        return [web.put(dps.REGISTER, self._pass_on), web.get(dps.OPERATION, self._pass_on)]

    async def close(self) -> None:
        """Ends the session."""
        if self._session is not None:
            await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if request.content_length is not None and request.content_length > dps.MAX_REQUEST_BODY:
            raise web.HTTPRequestEntityTooLarge(dps.MAX_REQUEST_BODY, request.content_length)
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
        body = await request.read()
        try:
            async with self._opened().request(
                request.method, f"http://provisioning{request.raw_path}", headers=headers, data=body
            ) as answer:
                kept = {name: answer.headers[name] for name in _ANSWER_HEADERS if name in answer.headers}
                return web.Response(status=answer.status, body=await answer.read(), headers=kept)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return web.Response(status=503, headers={"Retry-After": str(dps.RETRY_AFTER)})

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self._socket)),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                auto_decompress=False,
            )
        return self._session
