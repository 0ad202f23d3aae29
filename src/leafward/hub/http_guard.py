"""Keeps slow HTTPS clients from holding connections: aiohttp waits for a request's header for ever.

A guard stands between the transport and aiohttp's own protocol. It passes everything on and keeps one deadline: a
client that has no request being answered must complete one in time.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from leafward.hub.settings import Limits

# Seconds between two requests on one connection.
IDLE_TIMEOUT = 75.0


class Guards:
    """The open connections of one HTTPS listener, by transport."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: dict[object, Guard] = {}

    def add(self, transport: object, guard: "Guard") -> None:
        """The handshake is done."""
        self._open[transport] = guard

    def remove(self, transport: object) -> None:
        """The connection is closed."""
        self._open.pop(transport, None)

    def request_begins(self, transport: object) -> None:
        """A whole header has come: from here on the handler keeps the time."""
        if (guard := self._open.get(transport)) is not None:
            guard.stop_timer()

    def request_ends(self, transport: object) -> None:
        """The answer is given."""
        if (guard := self._open.get(transport)) is not None:
            guard.start_timer(IDLE_TIMEOUT)


class Guard(asyncio.Protocol):
    """Passes a transport's events on to `inner`, and closes the transport when no request comes in time."""

    __slots__ = ("_guards", "_inner", "_lost", "_timer", "_transport")

    def __init__(self, inner: asyncio.Protocol, guards: Guards, lost: Callable[[], None]) -> None:
        """`lost` is called when the transport is closed."""
        self._inner = inner
        self._guards = guards
        self._lost = lost
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Any = None

    def start_timer(self, seconds: float) -> None:
        """A request must come within so many seconds."""
        self.stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)

    def stop_timer(self) -> None:
        """No deadline for now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_made(self, transport: Any) -> None:
        """The handshake is done."""
        self._transport = transport
        self._inner.connection_made(transport)
        self.start_timer(self._guards.limits.connect_timeout)
        self._guards.add(transport, self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        self.stop_timer()
        self._guards.remove(self._transport)
        self._lost()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Passed on."""
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Passed on."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Passed on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Passed on."""
        self._inner.resume_writing()
