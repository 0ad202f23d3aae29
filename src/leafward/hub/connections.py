"""All MQTT connections of a hub: made here, written out together, ended in peace."""

import asyncio
import contextlib
from collections.abc import Callable

from leafward.hub.hub import Hub
from leafward.hub.link import Hold
from leafward.hub.mqtt_connection import MqttConnection
from leafward.hub.store_thread import StoreThread


class Connections:
    """The connections, over TLS and WebSocket alike. For the loop's thread. It is each connection's `Owner`."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._loop = asyncio.get_running_loop()
        self._open: set[MqttConnection] = set()
        self._dirty: list[MqttConnection] = []
        self._empty = asyncio.Event()
        self._empty.set()

    def new(self, lost: Callable[[], None] | None = None) -> MqttConnection:
        """A protocol for a connection; `lost` is called when its transport is closed."""
        return MqttConnection(self.hub, self, lost)

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: MqttConnection) -> None:
        """The handshake is done. How many there may be is the `Gate`'s to say, long before."""
        self._open.add(connection)
        self._empty.clear()
        self.hub.metrics.connections = len(self._open)

    def closed(self, connection: MqttConnection) -> None:
        """The transport is closed."""
        self._open.discard(connection)
        self.hub.metrics.connections = len(self._open)
        if not self._open:
            self._empty.set()

    def flush_soon(self, connection: MqttConnection) -> None:
        """Has the connection write out, at the end of this tick, what it has collected in it."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    async def close(self, store: StoreThread) -> None:
        """Reads no more, waits until everything taken is durable and acknowledged, and says goodbye.

        A peer that does not take its goodbye in time is cut.
        """
        for connection in list(self._open):
            connection.hold(Hold.STOPPING)
        await store.drain()
        for connection in list(self._open):
            connection.end("hub-stopping")
        self.hub.wills.all_now()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.hub.limits.shutdown_timeout):
                await self._empty.wait()
        for connection in list(self._open):
            connection.cut()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()
