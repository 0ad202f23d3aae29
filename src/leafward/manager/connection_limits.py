"""Bounds on the connections of the manager's sockets: aiohttp waits for ever for a request, and counts nothing.

A guard stands between a connection and aiohttp's own protocol. One process may hold a few connections, and a connection
must bring a request in time; more, or none, and it is closed without an answer. So whoever opens connections only to
hold them runs out before the manager does, and other processes do not notice.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from leafward.manager.peers import peer_pid

# IoT Edge serves 10 at a time on a socket; a few more may wait here, since an SDK keeps some open between requests.
MOST_CONNECTIONS = 32
# Seconds from the connection to a whole request header. Local callers send at once.
FIRST_REQUEST_TIMEOUT = 10.0


class ConnectionLimits:
    """How many connections each process has on one socket. For the loop's thread."""

    def __init__(self, *, most: int = MOST_CONNECTIONS, timeout: float = FIRST_REQUEST_TIMEOUT) -> None:
        self.timeout = timeout
        self._most = most
        self._by_process: Counter[int] = Counter()

    def guarded(self, protocol: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """A factory of the same protocols, each behind a guard."""
        return lambda: Guard(protocol(), self)

    def enter(self, pid: int) -> bool:
        """Counts a connection; False when the process has too many."""
        self._by_process[pid] += 1
        return self._by_process[pid] <= self._most

    def leave(self, pid: int) -> None:
        """The connection is closed."""
        self._by_process[pid] -= 1
        if not self._by_process[pid]:
            del self._by_process[pid]


class Guard(asyncio.Protocol):
    """Passes a transport's events on to `inner`, and closes the transport when no request comes in time."""

    __slots__ = ("_inner", "_limits", "_pid", "_timer")

    def __init__(self, inner: asyncio.Protocol, limits: ConnectionLimits) -> None:
        self._inner = inner
        self._limits = limits
        self._pid = 0
        self._timer: asyncio.TimerHandle | None = None

    def request_begins(self) -> None:
        """A whole header has come: the connection has proved to be one that asks."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_made(self, transport: Any) -> None:
        """Counted, and given its time."""
        self._inner.connection_made(transport)
        self._pid = peer_pid(transport)
        self._timer = asyncio.get_running_loop().call_later(self._limits.timeout, transport.abort)
        if not self._limits.enter(self._pid):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """No longer counted."""
        self.request_begins()
        self._limits.leave(self._pid)
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
