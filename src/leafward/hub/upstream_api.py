"""How it stands with upstream, for the operator: `GET /hub/upstream`, and `POST …/retry` for what it refused.

The store's part of the answer is read in the store's thread: how much waits, since when, and how large all of it is.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

from leafward.hub.hub import Hub
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, json_answer
from leafward.hub.store_thread import StoreThread
from leafward.hub.upstream import Forwarder
from leafward.hub.upstream_runner import Upstream
from leafward.store.messages import REFUSED, UPSTREAM, MessageStore
from leafward.wire.hub_messages import shown
from leafward.wire.routes import priority_of, rank_of_queue

Result = TypeVar("Result")

# Of the messages that were set aside, so many are shown.
MOST_SHOWN = 100
# How many are moved back in one transaction.
_STEP = 1000


class UpstreamApi:
    """The routes. `upstream` and `forwarder` are None where no upstream is set."""

    def __init__(self, hub: Hub, store: StoreThread, upstream: Upstream | None, forwarder: Forwarder | None) -> None:
        self._hub = hub
        self._store = store
        self._upstream = upstream
        self._forwarder = forwarder

    def routes(self) -> Iterable[ServiceRoute]:
        """For the table."""
        return [
            ServiceRoute("GET", "/hub/upstream", self._status),
            ServiceRoute("GET", "/hub/upstream/refused", self._refused),
            ServiceRoute("POST", "/hub/upstream/retry", self._retry),
        ]

    async def _status(self, _call: ServiceCall) -> Answer:
        kept = await self._in_store(self._kept)
        upstream = self._upstream
        if upstream is None or self._forwarder is None:
            return json_answer({"configured": False, **kept})
        state = upstream.state
        return json_answer(
            {
                "configured": True,
                "kind": upstream.kind,
                "to": state.where or None,
                "connected": state.connected_since is not None,
                "since": _written(state.connected_since),
                "in_flight": self._forwarder.in_flight,
                "forwarded": self._hub.metrics.upstream_forwarded,
                "rate": round(upstream.rate, 1),
                "last_error": state.last_error,
                "last_error_at": _written(state.last_error_at),
                "next_attempt_in": None if state.next_attempt_in is None else round(state.next_attempt_in, 1),
                **kept,
            }
        )

    async def _refused(self, _call: ServiceCall) -> Answer:
        found = await self._in_store(lambda store: store.pending(REFUSED, limit=MOST_SHOWN))
        return json_answer({"messages": [{"id": message.id, **shown(message)} for message in found]})

    async def _retry(self, _call: ServiceCall) -> Answer:
        """What was set aside waits again; behind no other, as its number is the lower one."""
        moved = 0
        while found := await self._in_store(_move_back):
            moved += found
        if self._forwarder is not None:
            self._forwarder.look_again()
        return json_answer({"messages": moved})

    def _kept(self, store: MessageStore) -> dict[str, Any]:
        """In the store's thread."""
        queues = sorted(store.queues(UPSTREAM), key=lambda queue: rank_of_queue(queue.endpoint))
        waiting = [queue for queue in queues if queue.endpoint != REFUSED]
        limits = self._hub.limits
        return {
            "waiting": sum(queue.count for queue in waiting),
            "oldest": _written(min((queue.oldest for queue in waiting), default=None)),
            "queues": [
                {
                    "priority": priority_of(queue.endpoint),
                    "waiting": queue.count,
                    "oldest": _written(queue.oldest),
                }
                for queue in waiting
            ],
            "refused": sum(queue.count for queue in queues if queue.endpoint == REFUSED),
            "store": {
                "messages": store.count(),
                "most_messages": limits.store_messages,
                "bytes": store.room.used(),
                "most_bytes": limits.store_bytes,
                "when_full": limits.when_full,
                "dropped": dict(store.dropped),
            },
        }

    async def _in_store(self, work: Callable[[MessageStore], Result]) -> Result:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        results: list[Result] = []
        store = self._store.messages

        def done(error: Exception | None) -> None:
            if told.done():
                return
            if error is None:
                told.set_result(None)
            else:
                told.set_exception(error)

        self._store.run(lambda: None, lambda _nothing: results.append(work(store)), done)
        await told
        return results[0]


def _move_back(store: MessageStore) -> int:
    found = store.pending(REFUSED, limit=_STEP)
    return store.move(REFUSED, UPSTREAM, [message.id for message in found if message.id is not None])


def _written(time: datetime | None) -> str | None:
    return None if time is None else time.replace(microsecond=0).isoformat().replace("+00:00", "Z")
