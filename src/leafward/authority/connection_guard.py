"""Bounds on the authority's connections: so many and no more, and each must bring a whole request in time.

Who only holds a connection is cut off. Deadlines are looked at once in a while for all connections together: a timer
set and taken back for each request costs more than reading it.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

NEVER = float("inf")
# How often deadlines are looked at, in seconds; with shorter times more often.
_SWEEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds. A device behind a slow radio needs some ten for a request."""

    most: int = 2000
    handshake: float = 30.0
    request: float = 75.0  # from the handshake, or the last answer, to a whole request
    body: float = 30.0  # from a request's head to its body
    stall: float = 10.0  # a client that takes nothing of its answer
    goodbye: float = 2.0  # from our last byte to the client's

    @property
    def sweep(self) -> float:
        """How often to look."""
        return min(_SWEEP_SECONDS, *(time / 2 for time in (self.handshake, self.request, self.body, self.goodbye)))


class Guarded(Protocol):
    """A connection. `deadline` is in the loop's time."""

    deadline: float

    def overdue(self, now: float) -> None:
        """The deadline has passed: end the connection, or set another."""

    def abort(self) -> None:
        """Closes it at once."""

    def finish(self) -> None:
        """Closes it when what is being answered is answered."""


class ConnectionGuard:
    """The open connections of a listener. Its loop's thread only."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: set[Guarded] = set()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._none_left = asyncio.Event()

    def opened(self, connection: Guarded) -> bool:
        """A connection stands; False for one too many, which is to be closed at once."""
        if len(self._open) >= self.limits.most:
            return False
        self._open.add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self.limits.sweep, self._sweep)
        return True

    def closed(self, connection: Guarded) -> None:
        """It is gone."""
        self._open.discard(connection)
        if not self._open:
            self._none_left.set()

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in [one for one in self._open if one.deadline <= now]:
            connection.overdue(now)
        self._timer = self._loop.call_later(self.limits.sweep, self._sweep) if self._open else None

    async def close(self) -> None:
        """Ends idle connections at once; those that are being answered get a moment."""
        self._none_left.clear()
        for connection in list(self._open):
            connection.finish()
        if self._open:
            try:
                async with asyncio.timeout(self.limits.goodbye):
                    await self._none_left.wait()
            except TimeoutError:
                for connection in list(self._open):
                    connection.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
