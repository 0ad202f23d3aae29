"""Metrics over plain HTTP, where `[manager] metrics` names an address: GET /metrics, and nothing else.

There is no secret in them, yet they tell when a gateway stops working: the address is a loopback one unless the
operator writes another. One request a connection, a few connections at a time, each for a few seconds.
"""

import asyncio
import os
from collections.abc import Callable
from typing import cast

from leafward.errors import StoreError
from leafward.manager.metrics import CONTENT_TYPE
from leafward.wire import http1
from leafward.wire.rotation import METRICS

MOST_CONNECTIONS = 16
SECONDS = 10.0


class MetricsServer:
    """Serves what `exposition` gives. `open`, then `close`; for the loop's thread."""

    def __init__(self, address: tuple[str, int], exposition: Callable[[], bytes]) -> None:
        self._address = address
        self._server: asyncio.Server | None = None
        self.exposition = exposition
        self.connections: set[_Scrape] = set()

    @property
    def port(self) -> int:
        """The port it really has; only while it is open."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def open(self) -> None:
        """Listens. Raises `StoreError` naming the address where it may not."""
        host, port = self._address
        try:
            self._server = await asyncio.get_running_loop().create_server(lambda: _Scrape(self), host, port)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
            what = f"cannot serve metrics on {host} port {port}"
            raise StoreError(what, why=why, hint="choose another address in manager.metrics") from error

    async def close(self) -> None:
        """Listens no more, and ends what is open. May be repeated."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self.connections):
            connection.abort()


class _Scrape(asyncio.Protocol):
    """One request and its answer."""

    def __init__(self, server: MetricsServer) -> None:
        self._server = server
        self._reader = http1.RequestReader()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        self._timer = asyncio.get_running_loop().call_later(SECONDS, self.abort)
        if len(self._server.connections) > MOST_CONNECTIONS:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        head = self._reader.head()
        if head is None or self._transport is None or self._transport.is_closing():
            return
        self._transport.write(self._answer(head))
        self._transport.close()

    def abort(self) -> None:
        """Closes it at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, head: http1.Head | http1.Bad) -> bytes:
        if isinstance(head, http1.Bad):
            return _text(head.status, head.reason)
        if head.path != METRICS:
            return _text(404, f"there is {METRICS} only")
        if head.method != "GET":
            return _text(405, "GET only")
        return http1.answer(200, self._server.exposition(), content_type=CONTENT_TYPE, close=True)


def _text(status: int, sentence: str) -> bytes:
    return http1.answer(status, f"{sentence}\n".encode(), content_type="text/plain", close=True)
