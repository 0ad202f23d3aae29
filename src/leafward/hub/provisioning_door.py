"""The provisioning service's door on the hub's HTTPS port.

The SDKs' provisioning clients connect to the gateway's own ports. What is asked below an ID scope goes, as it is, to
the provisioning process on its unix socket, and its answer goes back as it is. The hub judges nothing of it.
"""

import asyncio
from pathlib import Path

import aiohttp
from aiohttp import web
from yarl import URL

from leafward.wire import dps

TIMEOUT_SECONDS = 10.0
# What the service reads of a request, and a device of an answer; nothing else passes in either direction.
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Accept", "User-Agent")
_ANSWER_HEADERS = ("Content-Type", "Retry-After", "x-ms-error-code")


class ProvisioningDoor:
    """Passes registrations on. One session for all requests; `close` at the end.

    `patience`: seconds for a request's body to come.
    """

    def __init__(self, socket: Path, *, patience: float) -> None:
        self._socket = socket
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None

    def routes(self) -> list[web.RouteDef]:
        """What the door answers for."""
        return [web.put(dps.REGISTER, self._pass_on), web.get(dps.OPERATION, self._pass_on)]

    async def close(self) -> None:
        """Ends the session."""
        if self._session is not None:
            await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
        try:
            async with asyncio.timeout(self._patience):
                body = await _body(request)
        except TimeoutError:
            return web.Response(status=408, headers={"Connection": "close"})
        try:
            async with self._opened().request(request.method, _inside(request), headers=headers, data=body) as answer:
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


async def _body(request: web.Request) -> bytes:
    """The whole body, whether its length was told or not."""
    told, body = request.content_length or 0, bytearray()
    if told <= dps.MAX_REQUEST_BODY:
        async for piece in request.content.iter_any():
            body += piece
            if len(body) > dps.MAX_REQUEST_BODY:
                break
    if (size := max(told, len(body))) > dps.MAX_REQUEST_BODY:
        raise web.HTTPRequestEntityTooLarge(dps.MAX_REQUEST_BODY, size)
    return bytes(body)


def _inside(request: web.Request) -> URL:
    """The same path and query at the service, byte for byte: what is decoded once too often is another path."""
    url = request.rel_url
    return URL.build(
        scheme="http", host="provisioning", path=url.raw_path, query_string=url.raw_query_string, encoded=True
    )
