"""The two links of a channel, twins' and methods' alike: what comes is taken or refused, what we send goes out."""

from collections.abc import Callable
from typing import Protocol

from proton import Delivery

from leafward.errors import LeafwardError
from leafward.hub.amqp.links import INVALID_FIELD, AmqpLink, Room
from leafward.hub.amqp.seats import Listener, Seat
from leafward.wire.amqp_messages import AmqpContent


class Channel(Listener, Protocol):
    """Who sends on an outlet."""

    def begin(self) -> None:
        """The outlet is open."""

    def gone(self, link: AmqpLink) -> None:
        """The outlet is closed."""


class Inlet(Room):
    """`take` says why a message is none of the channel's, or None where it was taken; `window` may wait at once."""

    def __init__(self, link: AmqpLink, seat: Seat, take: Callable[[AmqpContent], str | None], window: int) -> None:
        super().__init__(link)
        self._seat = seat
        self._take = take
        self._window = window
        seat.enter(self)

    def begin(self) -> None:
        """See `Room`."""
        self.link.top_up(self._window, 0)

    def message(self, delivery: Delivery, content: AmqpContent) -> None:
        """See `Room`."""
        try:
            wrong = self._take(content)
        except LeafwardError as error:
            wrong = str(error)
        if wrong is None:
            self.link.accept(delivery)
        else:
            self.link.reject(delivery, INVALID_FIELD, wrong)
        self.link.top_up(self._window, 0)

    def closed(self) -> None:
        """See `Room`."""
        self._seat.out(self)


class Outlet(Room):
    """The channel sends here as long as the link is open."""

    def __init__(self, link: AmqpLink, seat: Seat, channel: Channel) -> None:
        super().__init__(link)
        self._seat = seat
        self._channel = channel
        seat.enter(self, channel)

    def begin(self) -> None:
        """See `Room`."""
        self._channel.begin()

    def closed(self) -> None:
        """See `Room`."""
        self._channel.gone(self.link)
        self._seat.out(self, self._channel)
