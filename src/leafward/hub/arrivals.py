"""Accepted connections from their accept to their end, for the gate and the watch; and the time that a handshake has.

Each handshake of a listener may last equally long, so the first that began is the first whose time is over: one timer
stands for all of them.
"""

import asyncio
import logging
from collections.abc import Callable

from leafward.hub.failures_handshakes import Attempt
from leafward.hub.gate import Ticket
from leafward.hub.log_budget import LogBudget
from leafward.hub.tls_transport import TlsTransport

logger = logging.getLogger(__name__)

# Makes the protocol of a connection, which calls what it is given once that connection is lost.
NewProtocol = Callable[[Callable[[], None]], asyncio.Protocol]


class Arrivals:
    """The handshakes under way at one listener, the oldest first. `timeout` in seconds."""

    def __init__(self, protocol: NewProtocol, timeout: float) -> None:
        self.protocol = protocol
        self.budget = LogBudget(1, 60.0)
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._shaking: dict[Arrival, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, arrival: "Arrival") -> None:
        """Its handshake begins."""
        self._shaking[arrival] = last = self._loop.time() + self._timeout
        if self._timer is None:
            self._timer = self._loop.call_at(last, self._due)

    def remove(self, arrival: "Arrival") -> None:
        """Its handshake is over. The timer is not moved: it looks when it fires."""
        self._shaking.pop(arrival, None)

    def close(self) -> None:
        """Gives up those that are not done."""
        for arrival in list(self._shaking):
            arrival.give_up()
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        now, self._timer = self._loop.time(), None
        for arrival, last in list(self._shaking.items()):
            if last > now:
                self._timer = self._loop.call_at(last, self._due)
                return
            arrival.too_late()


class Arrival:
    """One accepted connection: a `Newcomer` to its transport."""

    __slots__ = ("_arrivals", "_attempt", "_ticket", "_transport")

    def __init__(self, arrivals: Arrivals, ticket: Ticket, attempt: Attempt) -> None:
        self._arrivals = arrivals
        self._ticket = ticket
        self._attempt = attempt
        self._transport: TlsTransport | None = None

    def begin(self, transport: TlsTransport) -> None:
        """The handshake begins."""
        self._transport = transport
        self._attempt.begun(transport.tls)
        self._ticket.give_up = self.give_up
        self._arrivals.add(self)
        transport.start()

    def established(self) -> asyncio.Protocol:
        """The handshake is done: whose the connection is from now on."""
        self._over()
        self._ticket.established()
        self._attempt.done()
        return self._arrivals.protocol(self._lost)

    def failed(self, error: BaseException | None) -> None:
        """The handshake has come to nothing."""
        self._over()
        self._ticket.leave()
        given_up = isinstance(error, asyncio.CancelledError)
        self._attempt.gone(given_up=given_up)
        if not (error is None or given_up or isinstance(error, OSError)) and self._arrivals.budget.take():
            logger.error("a fault of ours ends a handshake", exc_info=error)

    def give_up(self) -> None:
        """The hub has no room for it, or stops."""
        if self._transport is not None:
            self._transport.give_up(asyncio.CancelledError())

    def too_late(self) -> None:
        """The handshake has taken too long."""
        if self._transport is not None:
            self._transport.give_up(ConnectionAbortedError("the TLS handshake takes too long"))

    def _over(self) -> None:
        self._transport = None
        self._arrivals.remove(self)

    def _lost(self) -> None:
        """The connection is closed, after its handshake."""
        self._ticket.leave()
        self._attempt.lost()
