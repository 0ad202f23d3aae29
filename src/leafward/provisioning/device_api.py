"""The device API of the provisioning service over HTTP: paths, bodies, error bodies (`wire/dps.py`)."""

import secrets
from collections.abc import Callable
from datetime import datetime

from aiohttp import web
from aiohttp.typedefs import Handler

from leafward.errors import AccessDenied, InputError, LeafwardError, NotFound
from leafward.provisioning.registrations import Registrations
from leafward.wire import dps
from leafward.wire.dps import Operation, ServiceError

# The first kind that fits decides; the first three digits of a code are its HTTP status.
CODES: tuple[tuple[type[LeafwardError], int], ...] = (
    (AccessDenied, dps.UNAUTHORIZED),
    (NotFound, dps.NOT_FOUND),
    (InputError, dps.BAD_REQUEST),
)
INTERNAL_ERROR = 500000


class DeviceApi:
    """The handlers. `clock` gives aware UTC times."""

    def __init__(self, registrations: Registrations, clock: Callable[[], datetime]) -> None:
        self._registrations = registrations
        self._clock = clock

    def application(self) -> web.Application:
        """The routes, with their error bodies."""
        application = web.Application(client_max_size=dps.MAX_REQUEST_BODY, middlewares=[self._errors])
        application.add_routes(
            [
                web.put(dps.REGISTER, self._register),
                web.get(dps.OPERATION, self._operation),
                web.get("/health", _health),
            ]
        )
        return application

    async def _register(self, request: web.Request) -> web.Response:
        path = request.match_info
        authorization = request.headers.get("Authorization")
        found = self._registrations.register(path["scope"], path["registration"], authorization, self._clock())
        dps.RegisterRequest.parse(await request.read(), path["registration"])
        return _answer(found)

    async def _operation(self, request: web.Request) -> web.Response:
        path = request.match_info
        authorization = request.headers.get("Authorization")
        return _answer(
            self._registrations.operation(
                path["scope"], path["registration"], path["operation"], authorization, self._clock()
            )
        )

    @web.middleware
    async def _errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.path != "/health" and request.query.get("api-version") not in dps.API_VERSIONS:
                raise InputError("the api-version is not known", why=f"expected one of {', '.join(dps.API_VERSIONS)}")
            return await handler(request)
        except LeafwardError as error:
            code = next((code for kind, code in CODES if isinstance(error, kind)), INTERNAL_ERROR)
            return self._refusal(code, str(error))
        except web.HTTPException as error:
            return self._refusal(error.status * 1000, error.reason)

    def _refusal(self, code: int, message: str) -> web.Response:
        error = ServiceError(code, message, secrets.token_hex(16), self._clock())
        headers = {"x-ms-error-code": str(code)}
        return web.Response(
            status=error.http_status, body=error.to_json(), content_type="application/json", headers=headers
        )


def _answer(operation: Operation) -> web.Response:
    headers = {"Retry-After": str(dps.RETRY_AFTER)} if operation.status == "assigning" else {}
    return web.Response(
        status=operation.http_status, body=operation.to_json(), content_type="application/json", headers=headers
    )


async def _health(_request: web.Request) -> web.StreamResponse:
    return web.json_response({"status": "ok"})
