"""The HTTP server of one API: its routes, and what all of its connections share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from leafward.manager.connection_limits import ConnectionLimits, RequestLimits
from leafward.manager.door import Door
from leafward.manager.fair_turns import FairTurns
from leafward.manager.http_connection import HttpConnection
from leafward.manager.http_routes import Routes


@dataclass(frozen=True)
class Times:
    """Seconds. Local callers send at once; what does not come in time is not waited for."""

    head: float = 10.0  # from the connection, or the first byte, to a whole head
    body: float = 10.0
    idle: float = 75.0  # between two requests
    stall: float = 10.0  # a caller that does not read its answer
    shutdown: float = 2.0  # for requests that run when we stop


class HttpServer:
    """Serves `routes` at any number of doors. For the loop's thread."""

    def __init__(
        self,
        routes: Routes,
        turns: FairTurns,
        *,
        requests: RequestLimits | None = None,
        times: Times | None = None,
        count: Callable[[str, int], None] = lambda _endpoint, _status: None,
    ) -> None:
        """`count` is told the route's pattern and the status of each answer."""
        self.routes = routes
        self.turns = turns
        self.requests = requests or RequestLimits()
        self.times = times or Times()
        self.count = count
        self._limits: list[ConnectionLimits] = []
        self._open: set[HttpConnection] = set()
        self._all_closed = asyncio.Event()

    def at(self, door: Door, limits: ConnectionLimits | None = None) -> Callable[[], asyncio.Protocol]:
        """The factory of the protocols behind a door; each door has limits of its own."""
        chosen = limits or ConnectionLimits()
        return lambda: HttpConnection(self, door, chosen)

    def opened(self, connection: HttpConnection) -> None:
        """A connection is there."""
        self._open.add(connection)

    def closed(self, connection: HttpConnection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        if not self._open:
            self._all_closed.set()

    async def close(self) -> None:
        """Ends idle connections and streams at once, and gives requests that run a moment to end."""
        self._all_closed.clear()
        for connection in list(self._open):
            connection.finish()
        if self._open:
            try:
                async with asyncio.timeout(self.times.shutdown):
                    await self._all_closed.wait()
            except TimeoutError:
                for connection in list(self._open):
                    connection.abort()
