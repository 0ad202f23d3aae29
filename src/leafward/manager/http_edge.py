"""Where our errors become HTTP: one table, and the two middlewares around every handler of both APIs.

    answers    an error of ours -> its status and {"message": "…"}; nothing that we did not mean to say gets out
    gate       at most 10 simultaneous requests a process; its further connections are closed without an answer

IoT Edge has one workload socket a module and counts by socket. Here all modules share one, so the count is by the
calling process: a greedy module keeps nobody else out.
"""

import logging
from collections import Counter

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from leafward.errors import (
    AccessDenied,
    AlreadyExists,
    Busy,
    InputError,
    LeafwardError,
    NotFound,
    PeerUnavailable,
)
from leafward.manager.connection_limits import Guard
from leafward.manager.peers import peer_of
from leafward.wire.api_fields import error_body

MOST_REQUESTS = 10
# The first kind that fits decides. Whatever is not here is a fault on our side: 500.
STATUS: tuple[tuple[type[LeafwardError], int], ...] = (
    (InputError, 400),
    (AccessDenied, 403),
    (NotFound, 404),
    (AlreadyExists, 409),
    (Busy, 503),
    (PeerUnavailable, 503),
)

_log = logging.getLogger(__name__)


def status_of(error: LeafwardError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def json_answer(status: int, body: bytes) -> web.Response:
    """A JSON answer; without a body for 204."""
    if status == 204:
        return web.Response(status=status)
    return web.Response(status=status, body=body, content_type="application/json")


@web.middleware
async def answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns what a handler raises into an answer. A message of ours never holds a key."""
    try:
        return await handler(request)
    except LeafwardError as error:
        status = status_of(error)
        if status >= 500:
            _log.error("%s %s: %s", request.method, request.path, error)
        return json_answer(status, error_body(_sentence(error)))
    except web.HTTPException as error:
        answer = json_answer(error.status, error_body(error.reason.lower()))
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except TimeoutError:
        return json_answer(408, error_body("the request took too long"))
    except Exception:
        _log.exception("%s %s failed", request.method, request.path)
        return json_answer(500, error_body("internal error"))


def gate() -> Middleware:
    """The middleware that bounds how much one process can have us do at once."""
    running: Counter[int] = Counter()

    @web.middleware
    async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
        guard = request.transport.get_protocol() if request.transport is not None else None
        if isinstance(guard, Guard):
            guard.request_begins()
        caller = peer_of(request).pid
        if running[caller] >= MOST_REQUESTS:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        running[caller] += 1
        try:
            return await handler(request)
        finally:
            running[caller] -= 1
            if not running[caller]:
                del running[caller]

    return bounded


def _sentence(error: LeafwardError) -> str:
    return str(error) if error.hint is None else f"{error}; {error.hint}"
