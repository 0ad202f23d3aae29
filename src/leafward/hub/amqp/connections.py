"""All AMQP connections of a hub: made here, written out together, ended in peace."""

import asyncio
import contextlib
from collections.abc import Callable

from leafward.hub.amqp.connection import AmqpConnection
from leafward.hub.amqp.parts import AmqpParts
from leafward.hub.link import Hold
from leafward.hub.store_thread import StoreThread


class AmqpConnections:
    """The connections. For the loop's thread. It is each connection's `Owner`."""

    def __init__(self, parts: AmqpParts) -> None:
        self._parts = parts
        self._loop = asyncio.get_running_loop()
        self._open: set[AmqpConnection] = set()
        self._dirty: list[AmqpConnection] = []
        self._empty = asyncio.Event()
        self._empty.set()
        parts.policies.changed.append(self._look)

    def new(self, lost: Callable[[], None] | None = None) -> AmqpConnection:
        """A protocol for a connection; `lost` is called when its transport is closed."""
        return AmqpConnection(self._parts, self, lost)

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: AmqpConnection) -> None:
        """The handshake is done."""
        self._open.add(connection)
        self._empty.clear()

    def closed(self, connection: AmqpConnection) -> None:
        """The transport is closed."""
        self._open.discard(connection)
        if not self._open:
            self._empty.set()

    def flush_soon(self, connection: AmqpConnection) -> None:
        """Has the connection write out, at the end of this tick, what it has collected in it."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    async def close(self, store: StoreThread) -> None:
        """Reads no more, waits until everything taken is durable and accepted, and says goodbye."""
        for connection in list(self._open):
            connection.hold(Hold.STOPPING)
        await store.drain()
        for connection in list(self._open):
            connection.end("hub-stopping")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._parts.hub.limits.shutdown_timeout):
                await self._empty.wait()
        for connection in list(self._open):
            connection.cut()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.guarded(connection.flush)

    def _look(self) -> None:
        for connection in list(self._open):
            connection.guarded(connection.look)
