"""The links of one connection, as the rooms behind them see them: messages in with credit, messages out with tags.

A *room* is what a link leads to. It is told of messages, credit, outcomes and the end, and speaks through its link.
"""

import secrets
from collections.abc import Callable
from typing import Any

from proton import Condition, Delivery

from leafward.hub.amqp.content import write_message
from leafward.wire.amqp_messages import AmqpContent

# Messages that may wait on an outgoing link for credit: a peer that gives none does not fill our memory.
MOST_QUEUED = 64
# A tag of 16 bytes: C#'s SDK takes it for the GUID of a lock.
_TAG_SIZE = 8

# 2.8.15 to 2.8.18 of the standard, and Microsoft's own.
INTERNAL_ERROR = "amqp:internal-error"
NOT_FOUND = "amqp:not-found"
UNAUTHORIZED = "amqp:unauthorized-access"
DECODE_ERROR = "amqp:decode-error"
RESOURCE_LIMIT = "amqp:resource-limit-exceeded"
NOT_ALLOWED = "amqp:not-allowed"
INVALID_FIELD = "amqp:invalid-field"
NOT_IMPLEMENTED = "amqp:not-implemented"
STOLEN = "amqp:link:stolen"
TOO_LARGE = "amqp:link:message-size-exceeded"
FORCED = "amqp:connection:forced"


class LinkRefused(Exception):
    """A link that may not be, or not any more. `seconds`: how long the answer waits."""

    def __init__(self, condition: str, text: str, *, seconds: float = 0.0) -> None:
        super().__init__(text)
        self.condition = condition
        self.text = text
        self.seconds = seconds


class AmqpLink:
    """One link. `flush` has what was said written out."""

    __slots__ = ("_flush", "_told", "link", "open")

    def __init__(self, link: Any, flush: Callable[[], None]) -> None:
        self.link: Any = link
        self.open = True
        self._flush = flush
        self._told = False

    # -- the peer sends ----------------------------------------------------------------------------------------------

    def top_up(self, window: int, unsettled: int) -> None:
        """Credit, so that the peer may have `window` messages under way of which `unsettled` are taken and not told."""
        # A peer may count itself below nothing; what it sends then ends its connection.
        missing = window - unsettled - max(0, self.link.credit)
        if self.open and missing * 2 >= window:
            self.link.flow(missing)
            self._flush()

    def accept(self, delivery: Delivery) -> None:
        """It is durable, or answered for."""
        self._tell(delivery, Delivery.ACCEPTED)

    def release(self, delivery: Delivery) -> None:
        """It is not taken; the peer may send it again."""
        self._tell(delivery, Delivery.RELEASED)

    def reject(self, delivery: Delivery, condition: str, text: str) -> None:
        """It is wrong, and would be when it is sent again."""
        if self.open:
            delivery.local.condition = Condition(condition, text[:1024])
        self._tell(delivery, Delivery.REJECTED)

    def _tell(self, delivery: Delivery, state: Any) -> None:
        if self.open:
            delivery.update(state)
            delivery.settle()
            self._flush()

    # -- the peer receives -------------------------------------------------------------------------------------------

    @property
    def credit(self) -> int:
        """Messages that the peer will take now."""
        return max(0, self.link.credit) if self.open else 0

    def send(self, content: AmqpContent, *, settled: bool = False) -> Delivery | None:
        """Sends a message; None where the peer does not keep up. `settled`: nobody is to answer."""
        if not self.open or self.link.queued >= MOST_QUEUED:
            return None
        delivery: Delivery = write_message(content).send(self.link, tag=secrets.token_hex(_TAG_SIZE))
        if settled:
            delivery.settle()
        self._flush()
        return delivery

    def settled(self, delivery: Delivery) -> None:
        """Its outcome has been seen to."""
        if self.open:
            delivery.update(delivery.remote_state)
            delivery.settle()
            self._flush()

    # -- both --------------------------------------------------------------------------------------------------------

    def over(self, room: "Room") -> None:
        """The link is no more, whoever ended it: its room is told, once."""
        self.open = False
        if not self._told:
            self._told = True
            room.closed()

    def close(self, condition: str, text: str) -> None:
        """Ends the link from our side, telling why. The room is told by `over`."""
        if self.open:
            self.open = False
            self.link.condition = Condition(condition, text[:1024])
            self.link.close()
            self._flush()


class Room:
    """What a link leads to. All of it may be overridden; what is not is passed over."""

    def __init__(self, link: AmqpLink) -> None:
        self.link = link

    def begin(self) -> None:
        """The link is open: credit may be given."""

    def message(self, delivery: Delivery, content: AmqpContent) -> None:
        """The peer has sent a message. It waits for an outcome."""

    def writable(self) -> None:
        """The peer has given credit."""

    def outcome(self, delivery: Delivery, state: int) -> None:
        """The peer says what became of a message that was sent to it."""
        self.link.settled(delivery)

    def closed(self) -> None:
        """The link is no more. Its deliveries must not be touched again."""
