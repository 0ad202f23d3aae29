"""The device API of the provisioning service over HTTP: paths, and who a request comes from."""

from collections.abc import Callable

from aiohttp import web

from leafward.provisioning.admission import Credential
from leafward.provisioning.desk import Desk, DeskAnswer
from leafward.wire import dps, dps_door

# Raises `EncodingError` for a chain that cannot be read.
CredentialOf = Callable[[web.Request], Credential]


class DeviceApi:
    """The handlers. `credential_of` says what a request brings; `tells_why`: who asks is the hub, which keeps why a
    device was refused."""

    def __init__(self, desk: Desk, credential_of: CredentialOf, *, tells_why: bool) -> None:
        self._desk = desk
        self._credential_of = credential_of
        self._tells_why = tells_why

    def routes(self) -> list[web.RouteDef]:
        """What it answers for."""
        return [
            web.put(dps.REGISTER, self._register),
            web.get(dps.OPERATION, self._operation),
            web.get("/health", _health),
        ]

    async def _register(self, request: web.Request) -> web.Response:
        path, credential, body = request.match_info, self._credential_of(request), await request.read()
        version = request.query.get("api-version")
        answer = await self._desk.register(path["scope"], path["registration"], credential, body, version=version)
        return self._response(answer)

    async def _operation(self, request: web.Request) -> web.Response:
        path, credential = request.match_info, self._credential_of(request)
        version = request.query.get("api-version")
        return self._response(
            await self._desk.operation(
                path["scope"], path["registration"], path["operation"], credential, version=version
            )
        )

    def _response(self, answer: DeskAnswer) -> web.Response:
        headers = {}
        if answer.retry_after is not None:
            headers["Retry-After"] = str(answer.retry_after)
        if answer.code is not None:
            headers["x-ms-error-code"] = str(answer.code)
        if self._tells_why and answer.why is not None:
            headers[dps_door.WHY] = _one_line(answer.why)
        return web.Response(status=answer.status, body=answer.body, content_type="application/json", headers=headers)


def told_by_hub(request: web.Request) -> Credential:
    """What the hub hands on (`wire/dps_door.py`): for the socket that nobody but the hub's own user can open."""
    chain = request.headers.get(dps_door.CHAIN)
    certificates = dps_door.read_chain(chain) if chain else ()
    opens = request.headers.get(dps_door.OPENS_HUB) == "1"
    return Credential(request.headers.get("Authorization"), certificates, opens_hub=opens)


def _one_line(text: str) -> str:
    """As a header may hold it."""
    return "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in text)[:400]


async def _health(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "ok"})
