"""The provisioning service's door on the hub's ports: over HTTPS here, over MQTT in `provisioning_mqtt.py`.

The SDKs' provisioning clients connect to the gateway's own ports. What is asked below an ID scope goes, as it is, to
the provisioning process on its unix socket, and its answer goes back as it is. The hub judges nothing of it. It adds
what it alone knows (`wire/dps_door.py`): the certificate that the device has proved in the handshake, and whether that
chain would open the hub. And it keeps why a device was refused, with who else could not connect.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from cryptography import x509
from yarl import URL

from leafward.errors import EncodingError
from leafward.hub.hub import Hub
from leafward.hub.link import presented_by
from leafward.hub.refusals import Refusal
from leafward.wire import dps, dps_door
from leafward.wire.dps_retry import Places

# Below the 30 seconds after which the SDKs give a question up.
TIMEOUT_SECONDS = 25.0
# Questions under way and waiting for a connection; those beyond are told when to come back.
MOST_AT_ONCE = 256
CONNECTIONS = 32
# What the service reads of a request, and a device of an answer; nothing else passes in either direction.
_REQUEST_HEADERS = ("Authorization", "Content-Type", "Accept", "User-Agent")
_ANSWER_HEADERS = ("Content-Type", "Retry-After", "x-ms-error-code")


@dataclass(frozen=True, slots=True)
class DoorAnswer:
    """What goes back. `wait`: seconds that a refusal is to wait before."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str]
    wait: float = 0.0


class ProvisioningDoor:
    """Passes registrations on. One session for all requests; `close` at the end."""

    def __init__(self, hub: Hub, socket: Path) -> None:
        self._hub = hub
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None
        self._loop = asyncio.get_running_loop()
        self._places = Places(MOST_AT_ONCE, self._loop.time())

    def routes(self) -> list[web.RouteDef]:
        """What the door answers for."""
        return [web.put(dps.REGISTER, self._pass_on), web.get(dps.OPERATION, self._pass_on)]

    async def close(self) -> None:
        """Ends the session."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes,
        certificates: Sequence[x509.Certificate],
        claimed: str,
        address: str,
    ) -> DoorAnswer:
        """Asks the service. `certificates` are those that TLS has proved, leaf first; `claimed` and `address` say for
        the log who asks. Never raises."""
        turn = self._places.enter(self._loop.time(), secrets.randbelow(1000) / 1000)
        if turn:
            return self._refused(dps.THROTTLED, "too many registrations at once", turn)
        try:
            sent = {**headers, **self._told(certificates, is_first=method == "PUT")}
            async with self._opened().request(method, url, headers=sent, data=body) as answer:
                kept = {name: answer.headers[name] for name in _ANSWER_HEADERS if name in answer.headers}
                wait = self._noted(answer.headers.get(dps_door.WHY), claimed, address)
                return DoorAnswer(answer.status, await answer.read(), kept, wait)
        except EncodingError as error:
            return self._refused(dps.BAD_REQUEST, str(error))
        except (aiohttp.ClientError, OSError, TimeoutError):
            return self._refused(dps.UNAVAILABLE, "unavailable", dps.RETRY_AFTER)
        finally:
            self._places.leave(self._loop.time())

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
        try:
            async with asyncio.timeout(self._hub.limits.packet_timeout):
                body = await _body(request)
            certificates = () if "Authorization" in headers else presented_by(request.transport)
        except TimeoutError:
            return web.Response(status=408, headers={"Connection": "close"})
        except EncodingError:
            certificates = ()
        answer = await self.ask(
            request.method,
            inside(request.rel_url),
            headers=headers,
            body=body,
            certificates=certificates,
            claimed=request.match_info["registration"],
            address=str(request.remote or "?"),
        )
        await asyncio.sleep(answer.wait)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)

    def _told(self, certificates: Sequence[x509.Certificate], *, is_first: bool) -> dict[str, str]:
        if not certificates:
            return {}
        told = {dps_door.CHAIN: dps_door.write_chain(certificates)}
        if is_first and self._hub.authenticator.opens(certificates, self._hub.clock()):
            told[dps_door.OPENS_HUB] = "1"
        return told

    def _noted(self, why: str | None, claimed: str, address: str) -> float:
        """Keeps why the service refused; how many seconds the answer waits."""
        if why is None:
            return 0.0
        code, _, sentence = why.partition(";")
        refusal = Refusal(code, f"registration: {sentence}")
        return self._hub.refusals.record(refusal, claimed=claimed, address=address, at=self._hub.clock())

    def _refused(self, code: int, message: str, retry_after: int | None = None) -> DoorAnswer:
        error = dps.ServiceError(code, message, secrets.token_hex(16), self._hub.clock())
        headers = {"Content-Type": "application/json", "x-ms-error-code": str(code)}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        return DoorAnswer(error.http_status, error.to_json(), headers)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(path=str(self._socket), limit=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                auto_decompress=False,
            )
        return self._session


def inside(url: URL) -> URL:
    """The same path and query at the service, byte for byte: what is decoded once too often is another path."""
    return URL.build(
        scheme="http", host="provisioning", path=url.raw_path, query_string=url.raw_query_string, encoded=True
    )


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
