"""One table of routes an API, and the one function that carries every request through its steps.

1. `api-version` (400), before anything else is looked at, as IoT Edge's daemon does.
2. Who calls, and may they (403). Nothing of the body is read before.
3. The body, bounded in size (413) and time (408).
4. The route's own function: bytes in, bytes out, no HTTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from aiohttp import web

from leafward.errors import NotFound
from leafward.manager.callers import Peer
from leafward.manager.http_edge import answers, gate, json_answer
from leafward.manager.peers import peer_of
from leafward.wire.api_version import check_api_version
from leafward.wire.management_api import module_name

BODY_SECONDS = 10.0


@dataclass(frozen=True)
class Call:
    """One request: who, about which module (empty where the path names none), and its body."""

    peer: Peer
    module_id: str = ""
    generation_id: str | None = None
    body: bytes = field(default=b"", repr=False)


# Raises `AccessDenied` for a call that may not be.
Admit = Callable[[Call], None]


@dataclass(frozen=True)
class Route:
    """A method and path pattern, the function that answers, the status of success, who may (None: the API's rule)."""

    method: str
    path: str
    answer: Callable[[Call], bytes]
    status: int = 200
    admit: Admit | None = None


def anybody(_call: Call) -> None:
    """The `admit` of a route that is for everybody who reaches the socket."""


def application(routes: Iterable[Route], admit: Admit, *, body_limit: int) -> web.Application:
    """An application of `routes`, with the rule for those that have none of their own. `body_limit` is in bytes."""
    app = web.Application(middlewares=[answers, gate()], client_max_size=body_limit)
    for route in routes:
        # IoT Edge takes "/modules/" as well.
        for path in (route.path, f"{route.path}/"):
            app.router.add_route(route.method, path, _handler(route, admit))
    return app


def _handler(route: Route, admit: Admit) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        check_api_version(request.query.get("api-version"))
        call = _call(request)
        (route.admit or admit)(call)
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
        return json_answer(route.status, route.answer(Call(call.peer, call.module_id, call.generation_id, body)))

    return handle


def _call(request: web.Request) -> Call:
    """The path's parts are percent-decoded by the router: `%24edgeHub` and `$edgeHub` are one module."""
    segment = request.match_info.get("name")
    module_id = "" if segment is None else module_name(segment)
    if module_id is None:
        raise NotFound("no such module")
    return Call(peer_of(request), module_id, request.match_info.get("genid"))
