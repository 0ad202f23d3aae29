"""What happens in the manager, told to whoever listens, so that nobody has to poll or to restart.

    certificate    name, sha256, not_after[, reason]     another one is in use, or a module's is to be asked for anew
    trust-bundle   roots                                 the roots to trust are others
    module         module, change                        added or removed
    rotation       level, state[, reason, …]             started, done, unproved, rolled-back, failed
    warning        code, text                            a person has to look
    lost           -                                     to one listener: it was too slow; read everything anew

A listener has a bounded queue, and there is a bounded number of them, in all and of one owner (a module, a user). One
that does not take its events loses its place and is told so: nobody waits for it.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from leafward.errors import Busy
from leafward.wire.server_sent_events import Event

__all__ = ["Event", "Events", "Subscription"]

MOST_SUBSCRIBERS = 256
MOST_OF_ONE = 8
QUEUE = 64
# Events of before that a newcomer may still read.
KEPT = 256

_log = logging.getLogger(__name__)


class Events:
    """Publishes, and holds the subscribers. For the loop's thread. `now` gives aware UTC times."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._number = 0
        self._recent: deque[Event] = deque(maxlen=KEPT)
        self._subscriptions: set[Subscription] = set()
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many listen."""
        return len(self._subscriptions)

    def publish(self, kind: str, **facts: Any) -> Event:
        """Tells everybody. `facts` are JSON values; nothing of them may be secret."""
        self._number += 1
        event = Event(self._number, kind, self._now(), facts)
        self._recent.append(event)
        for subscription in list(self._subscriptions):
            subscription.offer(event)
        return event

    def subscribe(self, owner: str = "", *, module: str | None = None, recent: bool = False) -> "Subscription":
        """A subscription, which ends with its `with` block. `recent`: it begins with the events that are kept.

        `owner` is who pays for it, `module` which module listens. Raises `Busy` where there are too many.
        """
        if len(self._subscriptions) >= MOST_SUBSCRIBERS or self._of[owner] >= MOST_OF_ONE:
            raise Busy(
                "too many listen to events",
                why=f"at most {MOST_SUBSCRIBERS}, and {MOST_OF_ONE} of one owner",
                hint="end one of the others",
            )
        return Subscription(self, owner, module, list(self._recent) if recent else [])

    def recent(self) -> list[Event]:
        """The events of before that are kept, oldest first."""
        return list(self._recent)

    def is_heard_by(self, module: str) -> bool:
        """Whether a process of this module listens."""
        return any(subscription.module == module for subscription in self._subscriptions)

    def close(self) -> None:
        """Ends every subscription: their streams end, and the sockets can be closed."""
        for subscription in list(self._subscriptions):
            subscription.end()

    def enter(self, subscription: "Subscription") -> None:
        """Counts a subscriber in."""
        self._subscriptions.add(subscription)
        self._of[subscription.owner] += 1

    def leave(self, subscription: "Subscription") -> None:
        """Counts a subscriber out; may be repeated."""
        if subscription in self._subscriptions:
            self._subscriptions.discard(subscription)
            self._of -= Counter({subscription.owner: 1})

    def lost(self, subscription: "Subscription") -> Event:
        """What a subscriber is told that was too slow."""
        _log.warning("%s was too slow for events and is not told any more", subscription.owner)
        return Event(self._number, "lost", self._now(), {})


class Subscription:
    """An asynchronous iterator of events, that ends when the manager stops or the subscriber was too slow."""

    def __init__(self, events: Events, owner: str, module: str | None, first: list[Event]) -> None:
        self.owner = owner
        self.module = module
        self._events = events
        self._queue: deque[Event] = deque(first)
        self._room = QUEUE + len(first)
        self._come = asyncio.Event()
        self._ended = False
        if first:
            self._come.set()
        events.enter(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._come.clear()
            await self._come.wait()
        return self._queue.popleft()

    def offer(self, event: Event) -> None:
        """Puts an event into the queue; where that is full, the subscriber has lost its place."""
        if len(self._queue) >= self._room:
            self._queue.clear()
            self._queue.append(self._events.lost(self))
            self.end()
            return
        self._queue.append(event)
        self._come.set()

    def end(self) -> None:
        """Nothing more comes after what waits already. May be repeated."""
        self._ended = True
        self._come.set()
        self._events.leave(self)
