"""What the authority publishes over plain HTTP: routes, found by method and path, answered beside the loop's work."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from leafward.authority.serve_http import Answer, Reply, Request, text_answer

logger = logging.getLogger(__name__)

# The named groups of the path are the second argument.
RouteHandler = Callable[[Request, Mapping[str, str]], Awaitable[Answer]]


@dataclass(frozen=True)
class Route:
    """`path` is a regular expression for the whole path as it is sent, percent-encoded. HEAD is asked like GET."""

    method: str
    path: str
    handler: RouteHandler = field(repr=False)


class Tasks:
    """Answers that take their time: one task each, which is kept until it ends."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def answer(self, work: Awaitable[Answer], reply: Reply) -> None:
        """Calls `reply` with what `work` gives; a fault of ours is logged and answered as one."""
        task = asyncio.ensure_future(_answered(work, reply))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


class Routes:
    """The handler of a listener (`serve_http.Handler`)."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, re.compile(route.path)) for route in routes]
        self._tasks = Tasks()

    def __call__(self, request: Request, reply: Reply) -> None:
        """Answers by the first route that fits; 404 and 405 where none does."""
        method = "GET" if request.method == "HEAD" else request.method
        others: set[str] = set()
        for route, pattern in self._routes:
            if (found := pattern.fullmatch(request.path)) is not None:
                if route.method == method:
                    self._tasks.answer(route.handler(request, found.groupdict()), reply)
                    return
                others.add(route.method)
        if others:
            reply(text_answer(405, "use another method", {"Allow": ", ".join(sorted(others))}))
        else:
            reply(text_answer(404, "there is nothing at this path"))


async def _answered(work: Awaitable[Answer], reply: Reply) -> None:
    try:
        answer = await work
    except Exception:
        logger.exception("a request could not be answered")
        answer = text_answer(500, "the authority has a fault; its log says which")
    reply(answer)
