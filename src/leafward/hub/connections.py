"""All MQTT connections of a hub: made here, written out together, ended in peace."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from leafward.hub.deadlines import Deadlines
from leafward.hub.hub import Hub
from leafward.hub.link import Hold
from leafward.hub.mqtt_connection import MqttConnection
from leafward.hub.store_thread import StoreThread

logger = logging.getLogger(__name__)

# Seconds. What one packet leads to is written out at once, but not more often than this: the loop's clock counts
# milliseconds, and a hub with so much to do writes more in fewer pieces.
PROMPT_EVERY = 0.0005


class Connections:
    """The connections, over TLS and WebSocket alike. For the loop's thread. It is each connection's `Owner`."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.deadlines = Deadlines()
        self._loop = asyncio.get_running_loop()
        self._open: set[MqttConnection] = set()
        self._dirty: list[MqttConnection] = []
        self._scheduled = False
        self._prompt_at = 0.0
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
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._flush_later)
        self._dirty.append(connection)

    def flush_now(self, now: float) -> None:
        """Has all that waits written out, unless that was done a moment ago. `now` is the loop's time."""
        if self._dirty and now - self._prompt_at > PROMPT_EVERY:
            self._prompt_at = now
            self._flush()

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
        self.deadlines.close()

    def _flush_later(self) -> None:
        self._scheduled = False
        self._flush()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            try:
                connection.flush()
            except Exception:  # it must not cost the others their turn, nor whoever asked for this
                logger.exception("a fault of ours ends the connection to %s", connection.address)
                connection.end("internal-error", "see the traceback above", abort=True)
