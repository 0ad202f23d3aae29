"""The feed of one module input: from the message store's endpoint to the session, a window at a time.

Nothing is kept in memory for a module that is away or slow: the store has it. A feed remembers only the newest id it
has read. What was sent and not acknowledged is the session's; after a restart the store still has it.
"""

from typing import TYPE_CHECKING

from leafward.hub.store_thread import StoreThread
from leafward.store.messages import Message

if TYPE_CHECKING:
    from leafward.hub.sessions import Session


class InputFeed:
    """Sends what is pending for `endpoint` to `session` as long as its client is here and keeps up."""

    __slots__ = (
        "_after",
        "_closed",
        "_hungry",
        "_reading",
        "_session",
        "_store",
        "endpoint",
        "input_name",
        "qos",
        "window",
    )

    def __init__(
        self, session: "Session", endpoint: str, *, input_name: str, qos: int, store: StoreThread, window: int
    ) -> None:
        self._session = session
        self._store = store
        self._after = 0
        self._reading = False
        self._hungry = False
        self._closed = False
        self.endpoint = endpoint
        self.input_name = input_name
        self.qos = qos
        self.window = window

    def pump(self) -> None:
        """Asks the store for more, if the client can take it. Called whenever something changed that could allow it."""
        if self._closed:
            return
        if self._reading:
            self._hungry = True
            return
        room = self.window - len(self._session.in_flight)
        if room <= 0 or not self._client_can_take():
            return
        self._reading, self._hungry = True, False
        self._store.read(self.endpoint, self._after, room, lambda messages: self._arrived(messages, room))

    def acknowledge(self, message: Message) -> None:
        """The module has it."""
        assert message.id is not None
        self._store.acknowledge(self.endpoint, message.id)

    def close(self) -> None:
        """The subscription has ended."""
        self._closed = True

    def _arrived(self, messages: list[Message], asked: int) -> None:
        self._reading = False
        if self._closed:
            return
        for message in messages:
            # The client may go while we send: what is not sent stays in the store and is read again.
            if not self._client_can_take():
                return
            assert message.id is not None
            self._after = message.id
            self._session.deliver(self, message)
        if self._hungry or len(messages) == asked:
            self.pump()

    def _client_can_take(self) -> bool:
        receiver = self._session.receiver
        return receiver is not None and receiver.writable
