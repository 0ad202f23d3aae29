"""Plain topics put together: their store, what waits in it for the disk, retained messages, the exchange."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from leafward.hub.exchange import Exchange
from leafward.hub.journal import PlainJournal
from leafward.hub.metrics import HubMetrics
from leafward.hub.pressure import Later, Pressure
from leafward.hub.retained import Retained
from leafward.hub.settings import Limits
from leafward.hub.store_thread import StoreThread
from leafward.store.plain_messages import PlainMessageStore

# Below the hub's folder.
PLAIN_DATABASE = "plain.db"


class PlainTopics:
    """What a hub has for plain topics. `close` it when the store's thread has done its work."""

    def __init__(
        self,
        path: Path,
        thread: StoreThread,
        limits: Limits,
        metrics: HubMetrics,
        clock: Callable[[], datetime],
        *,
        later: Later,
    ) -> None:
        """Opens the database at `path`; `later` is the loop's `call_later`. Raises `StoreError`."""
        self._store = PlainMessageStore.open(path)
        journal = PlainJournal(self._store, thread, queue_bytes=limits.queue_bytes)
        retained = Retained(journal, clock, most=limits.retained_messages, most_bytes=limits.retained_bytes)
        self.exchange = Exchange(journal, retained, metrics, clock, Pressure(limits.subscriber_wait, later))

    def close(self) -> None:
        """Closes the database."""
        self._store.close()
