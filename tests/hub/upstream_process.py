"""A hub's store and forwarder as a process that a test kills: `upstream_process.py FOLDER PORT FIRST`.

From FIRST on it takes one numbered message after the other, and says each number once that is durable: what a leaf
device would have been acknowledged. Without FIRST it only forwards, and ends when nothing waits.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from leafward.hub.metrics import HubMetrics
from leafward.hub.store_thread import StoreThread
from leafward.hub.upstream import Forwarder
from leafward.hub.upstream_credentials import UpstreamCredentials
from leafward.hub.upstream_runner import Upstream
from leafward.hub.upstream_settings import UpstreamTable
from leafward.store.messages import UPSTREAM, Message, MessageStore

IN_FLIGHT = 200


class Leaf:
    """Sends on as its messages become durable."""

    def __init__(self, store: StoreThread, first: int) -> None:
        self._store = store
        self._next = first

    def more(self) -> None:
        message = Message("leaf1", None, None, {}, {}, b"%d" % self._next, datetime.now(UTC))
        self._next += 1
        self._store.append(message, [UPSTREAM], self, self._next - 1)

    def stored(self, token: int) -> None:
        sys.stdout.write(f"{token}\n")
        sys.stdout.flush()
        self.more()

    def not_stored(self, _token: int, error: Exception) -> None:
        raise error

    def room_again(self) -> None: ...


async def main(folder: Path, port: int, first: int | None) -> None:
    messages, metrics = MessageStore.open(folder / "messages.db"), HubMetrics()
    store = StoreThread(messages, metrics, queue_bytes=10_000_000, batch_size=500)
    table = UpstreamTable(
        kind="mqtt",
        host="localhost",
        port=port,
        topic="plant/{device}",
        trust="root.pem",
        first_pause=0.01,
        longest_pause=0.1,
    )
    forwarder = Forwarder(store, [UPSTREAM], metrics, attempts=1000)
    credentials = UpstreamCredentials(table, folder, "gateway", tuple)
    upstream = Upstream(table, credentials, forwarder, metrics, lambda: datetime.now(UTC), patience=1.0)
    running = asyncio.create_task(upstream.run())
    if first is not None:
        leaf = Leaf(store, first)
        for _ in range(IN_FLIGHT):
            leaf.more()
        await running
    while messages.waiting(UPSTREAM):
        await asyncio.sleep(0.01)
    await upstream.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None))
