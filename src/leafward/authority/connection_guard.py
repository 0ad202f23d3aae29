"""Bounds on the authority's connections: aiohttp waits for a request's header for ever, and counts nothing.

A guard stands between a connection and aiohttp's own protocol. There are so many connections and no more, and each must
bring a whole request in time; who only holds one is cut off.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

MOST_CONNECTIONS = 2000
# Seconds from the handshake, or the last answer, to a whole request. A device behind a slow radio needs some ten.
REQUEST_TIMEOUT = 75.0

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class ConnectionGuard:
    """The open connections of a listener. Its loop's thread only."""

    def __init__(self, *, most: int = MOST_CONNECTIONS, timeout: float = REQUEST_TIMEOUT) -> None:
        self.most = most
        self._timeout = timeout
        self._timers: dict[object, asyncio.TimerHandle | None] = {}

    def guarded(self, protocol: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """A factory of the same protocols, each behind the guard."""
        return lambda: _Guarded(protocol(), self)

    def watched(self, handler: Handle) -> Handle:
        """The same handler; while it answers, its connection's clock stands still."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            transport = request.transport
            self._stop(transport)
            try:
                return await handler(request)
            finally:
                self._start(transport)

        return handle

    def opened(self, transport: Any) -> None:
        """A connection stands; one too many is closed at once."""
        self._timers[transport] = None
        self._start(transport)
        if len(self._timers) > self.most:
            transport.abort()

    def closed(self, transport: object) -> None:
        """It is gone."""
        self._stop(transport)
        self._timers.pop(transport, None)

    def _start(self, transport: Any) -> None:
        if transport in self._timers:
            self._timers[transport] = asyncio.get_running_loop().call_later(self._timeout, transport.abort)

    def _stop(self, transport: object) -> None:
        if (timer := self._timers.get(transport)) is not None:
            timer.cancel()


class _Guarded(asyncio.Protocol):
    """Passes a transport's events on to `inner`."""

    __slots__ = ("_guard", "_inner", "_transport")

    def __init__(self, inner: asyncio.Protocol, guard: ConnectionGuard) -> None:
        self._inner = inner
        self._guard = guard
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._guard.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.closed(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
