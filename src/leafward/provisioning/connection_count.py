"""How many connections a service that listens itself has open, and how long one may say nothing.

The usual soft limit of 1,024 open files is a relic of `select`, which nothing here uses: it is raised to the hard one,
and no more connections are taken than that leaves room for. At the limit itself nothing works any more.
"""

import asyncio
import contextlib
import logging
import resource
from typing import Any

logger = logging.getLogger(__name__)

# Databases, listeners, the hub's connections to the socket.
_OTHER_FILES = 256

# Seconds without a byte: longer than the keep-alive of a device that registers, and than a slow request's pauses.
SILENCE_SECONDS = 180.0


def room_for(connections: int) -> int:
    """As many of them as this process may have files open; raises its limit first, as far as it may go."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):  # a system's own bound may be lower than the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    most = max(1, soft - min(_OTHER_FILES, soft // 2))
    if soft == resource.RLIM_INFINITY or connections <= most:
        return connections
    text = "%d connections are allowed and %d are possible: this process may open %d files (ulimit -n)"
    logger.warning(text, connections, most, soft)
    return most


class ConnectionCount:
    """So many, over all ports."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0

    def enter(self) -> bool:
        """Whether there is room; if so, `leave` at the end."""
        if self._open >= self._most:
            return False
        self._open += 1
        return True

    def leave(self) -> None:
        """One is closed."""
        self._open -= 1


class Counted(asyncio.Protocol):
    """Passes a transport's events on to `inner`, once it is counted; aborts one that is too many, or silent."""

    def __init__(self, inner: asyncio.Protocol, count: ConnectionCount) -> None:
        self._inner = inner
        self._count = count
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """The handshake is done."""
        if not self._count.enter():
            transport.abort()
            return
        self._transport, self._last = transport, self._loop.time()
        self._timer = self._loop.call_later(SILENCE_SECONDS, self._due)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._count.leave()
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Passed on."""
        if self._transport is not None:
            self._last = self._loop.time()
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Passed on."""
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        """Passed on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Passed on."""
        self._inner.resume_writing()

    def _due(self) -> None:
        silent = self._loop.time() - self._last
        if silent >= SILENCE_SECONDS:
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(SILENCE_SECONDS - silent, self._due)
