"""Feeds: from an endpoint of the message store to a session, a window at a time.

Nothing is kept in memory for a client that is away or slow: the store has it. A feed remembers only the newest id it
has read. What was sent and not acknowledged is the session's; after a restart the store still has it. Which endpoints
a session drains is a source's to say: the inputs of a module are one source.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from leafward.hub.store_thread import StoreThread
from leafward.store.messages import Message

if TYPE_CHECKING:
    from leafward.hub.sessions import Session


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """One endpoint of the message store that a session drains.

    `qos`: 0 or 1, as the subscriber was granted. `topic_of` gives the topic a message goes out on; None for one that is
    to be dropped, because its time is over: it is acknowledged and not sent. It is asked before each attempt to send.
    `acknowledged` is told of each message that the client has, or never will.
    """

    endpoint: str
    qos: int
    topic_of: Callable[[Message], str | None]
    acknowledged: Callable[[Message], None] | None = None


class FeedSource(Protocol):
    """Says which endpoints a session drains, by what it is and what it has subscribed to (`Session.granted`)."""

    def feeds(self, session: "Session") -> Iterable[FeedSpec]:
        """Asked whenever the subscriptions change; the same endpoint from two sources is the first one's."""


class Feed:
    """Sends what is pending for an endpoint to `session` as long as its client is here and keeps up."""

    __slots__ = ("_after", "_closed", "_hungry", "_reading", "_session", "_store", "_window", "spec")

    def __init__(self, session: "Session", spec: FeedSpec, *, store: StoreThread, window: int) -> None:
        """`window`: messages of feeds that the client may have and not have acknowledged."""
        self._session = session
        self._store = store
        self._window = window
        self._after = 0
        self._reading = False
        self._hungry = False
        self._closed = False
        self.spec = spec

    def pump(self) -> None:
        """Asks the store for more, if the client can take it. Called whenever something changed that could allow it."""
        if self._closed:
            return
        if self._reading:
            self._hungry = True
            return
        room = self._room()
        if room <= 0 or not self._client_can_take():
            return
        self._reading, self._hungry = True, False
        self._store.read(self.spec.endpoint, self._after, room, lambda messages: self._arrived(messages, room))

    def proceed(self) -> None:
        """Room has become free: asks for more when it is worth a trip to the store."""
        if self._room() * 2 >= min(self._window, self._session.flow.window):
            self.pump()

    def acknowledge(self, message: Message) -> None:
        """The client has it."""
        assert message.id is not None
        self._store.acknowledge(self.spec.endpoint, message.id)
        if self.spec.acknowledged is not None:
            self.spec.acknowledged(message)

    def close(self) -> None:
        """The subscription has ended."""
        self._closed = True

    def _room(self) -> int:
        flow = self._session.flow
        return min(self._window - flow.from_feeds, flow.free)

    def _arrived(self, messages: list[Message], asked: int) -> None:
        self._reading = False
        if self._closed:
            return
        for message in messages:
            # The client may go while we send, or others fill its window: what is not sent stays in the store.
            if not self._client_can_take() or self._room() <= 0:
                return
            assert message.id is not None
            self._after = message.id
            self._session.deliver(self, message)
        if self._hungry or len(messages) == asked:
            self.pump()

    def _client_can_take(self) -> bool:
        receiver = self._session.receiver
        return receiver is not None and receiver.writable
