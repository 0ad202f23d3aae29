"""Qpid Proton for one connection: bytes in, bytes out, and its events to the rooms of the links.

The engine does no I/O and keeps no time. Whatever a peer sends that is no AMQP ends the connection with the error that
the standard has for it; what a link may be is `attach`'s to say.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from proton import Collector, Condition, Connection, Endpoint, Event, Transport

from leafward.errors import InputError, ProtocolError
from leafward.hub.amqp.content import read_content
from leafward.hub.amqp.links import DECODE_ERROR, INVALID_FIELD, RESOURCE_LIMIT, TOO_LARGE, AmqpLink, LinkRefused, Room
from leafward.hub.amqp.settings import AmqpTable

logger = logging.getLogger(__name__)

# Opens a room for a link at this address (None: it has none); `incoming`: the peer sends. Raises `LinkRefused`.
Attach = Callable[[AmqpLink, str | None, bool], Room]
# Refused links of one connection; beyond it the peer is told no more, and the connection ends.
MOST_REFUSED = 64
_ENDED = -1


def _traced(_transport: Any, message: str) -> None:
    logger.debug("Qpid Proton: %r", message)


class Engine:
    """One connection's engine. `later(seconds, call)` calls back; `flush` has `output` written; `opened` is told when
    the peer has said its terms, how long it waits among them: `tick` knows from then on."""

    def __init__(
        self,
        terms: AmqpTable,
        attach: Attach,
        *,
        host: str,
        message_size: int,
        flush: Callable[[], None],
        opened: Callable[[], None],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._terms = terms
        self._attach = attach
        self._message_size = message_size
        self._flush = flush
        self._opened = opened
        self._later = later
        self._links: dict[Any, tuple[AmqpLink, Room]] = {}
        self._bounded: set[Any] = set()
        self._refused = 0
        self._freed = False
        self._dispatching = False
        self._connection: Any = Connection()
        self._connection.container = host
        self._transport: Any = Transport(Transport.SERVER)
        self._transport.max_frame_size = terms.frame_size
        self._transport.channel_max = terms.sessions - 1
        self._transport.idle_timeout = terms.idle_timeout
        # Its warnings of what strangers send would otherwise go to standard error, as many as they like.
        self._transport.tracer = _traced
        self._collector = Collector()
        self._connection.collect(self._collector)
        self._transport.bind(self._connection)

    # -- bytes and time ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Bytes from the peer. Raises `ProtocolError` once the peer has broken the protocol."""
        at = 0
        while at < len(data) and not self._freed:
            room = self._transport.capacity()
            if room <= 0:
                if room == _ENDED:
                    return
                raise ProtocolError("the peer sends more than the engine takes")
            self._transport.push(data[at : at + room])
            at += room
            self._dispatch()

    def output(self) -> bytes:
        """What is to be written; empty for nothing."""
        pieces: list[bytes] = []
        while not self._freed and (size := self._transport.pending()) > 0:
            pieces.append(bytes(self._transport.peek(size)))
            self._transport.pop(size)
            self._dispatch()
        return b"".join(pieces)

    @property
    def finished(self) -> bool:
        """Everything is said: the connection may be closed."""
        return self._freed or bool(self._transport.pending() == _ENDED)

    @property
    def fault(self) -> str | None:
        """What the engine found wrong, None for nothing."""
        condition = self._transport.condition
        return None if condition is None else f"{condition.name}: {condition.description}"

    def tick(self, now: float) -> float:
        """The engine's time, in seconds; when it wants to be told again, 0 for never."""
        due = float(self._transport.tick(now)) if not self._freed else 0.0
        self._dispatch()
        return due

    def close(self, condition: str, text: str) -> None:
        """Says goodbye, telling why."""
        if not self._connection.state & Endpoint.LOCAL_CLOSED:
            if self._connection.state & Endpoint.LOCAL_UNINIT:
                self._connection.open()
            self._connection.condition = Condition(condition, text[:1024])
            self._connection.close()

    def free(self) -> None:
        """The connection is over: every room is told."""
        self._freed = True
        for link in list(self._links):
            self._gone(link)
        self._transport.unbind()
        self._connection.free()
        self._collector.release()

    def __len__(self) -> int:
        """How many links there are."""
        return len(self._links)

    # -- events ------------------------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Hands out the events that wait. What a handler does may lead here again: its event is still the first."""
        if self._dispatching:
            return
        self._dispatching = True
        try:
            while not self._freed and (event := self._collector.peek()) is not None:
                handle = self._handlers.get(event.type)
                if handle is not None:
                    handle(self, event)
                if not self._freed:
                    self._collector.pop()
        finally:
            self._dispatching = False

    def _connection_opened(self, _event: Any) -> None:
        self._connection.open()
        self._opened()

    def _connection_closed(self, _event: Any) -> None:
        for link in list(self._links):
            self._gone(link)
        self._connection.close()

    def _session_opened(self, event: Any) -> None:
        event.session.open()

    def _session_closed(self, event: Any) -> None:
        session = event.session
        for link in [link for link in self._links if link.session == session]:
            self._gone(link)
        self._bounded.discard(session)
        session.close()
        session.free()

    def _link_opened(self, event: Any) -> None:
        link = event.link
        if link.state & Endpoint.LOCAL_ACTIVE or link in self._links:
            return
        self._collect(link)

    def _collect(self, link: Any) -> None:
        wrapped, incoming = AmqpLink(link, self._flush), bool(link.is_receiver)
        try:
            address = _address(link.remote_target if incoming else link.remote_source)
            if len(self._links) >= self._terms.links:
                raise LinkRefused(RESOURCE_LIMIT, f"a connection has at most {self._terms.links} links")
            room = self._attach(wrapped, address, incoming)
        except LinkRefused as refused:
            self._refuse(link, refused)
            return
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode = link.remote_snd_settle_mode
        link.rcv_settle_mode = link.remote_rcv_settle_mode
        if incoming:
            link.max_message_size = self._message_size
            self._bound(link.session)
        self._links[link] = (wrapped, room)
        link.open()
        room.begin()

    def _bound(self, session: Any) -> None:
        """How much of a session waits for us. NOTE: said with the first link that may send and no earlier: a FLOW that
        comes before its link, Python's service SDK takes for leave to send, and fails."""
        if session not in self._bounded:
            self._bounded.add(session)
            session.incoming_capacity = self._message_size + self._terms.frame_size

    def _refuse(self, link: Any, refused: LinkRefused) -> None:
        """The peer sees its link open and close again, with the error (2.6.3)."""
        self._refused += 1
        if self._refused > MOST_REFUSED:
            self.close(RESOURCE_LIMIT, "too many links were refused")
            return
        if refused.seconds > 0:
            self._later(refused.seconds, lambda: self._refuse_now(link, refused))
        else:
            self._refuse_now(link, refused)

    def _refuse_now(self, link: Any, refused: LinkRefused) -> None:
        if self._freed or link.state & Endpoint.REMOTE_CLOSED:
            return
        link.condition = Condition(refused.condition, refused.text[:1024])
        link.open()
        link.close()
        self._flush()

    def _link_closed(self, event: Any) -> None:
        link = event.link
        self._gone(link)
        link.close()
        link.free()

    def _gone(self, link: Any) -> None:
        wrapped, room = self._links.pop(link, (None, None))
        if wrapped is not None and room is not None:
            wrapped.over(room)

    def _flow(self, event: Any) -> None:
        link = event.link
        found = self._links.get(link)
        if found is None or not link.is_sender:
            return
        found[1].writable()
        if link.drain_mode and link.credit > 0 and found[0].open:
            link.drained()

    def _delivery(self, event: Any) -> None:
        delivery = event.delivery
        link = delivery.link
        found = self._links.get(link)
        if found is None or not found[0].open:
            return
        wrapped, room = found
        if link.is_receiver:
            self._incoming(wrapped, room, delivery)
        elif delivery.updated and (delivery.remote_state or delivery.settled):
            room.outcome(delivery, int(delivery.remote_state))

    def _incoming(self, wrapped: AmqpLink, room: Room, delivery: Any) -> None:
        link = wrapped.link
        if delivery.aborted:
            delivery.settle()
            return
        if delivery.pending > self._message_size:
            wrapped.close(TOO_LARGE, f"at most {self._message_size} bytes are taken")
            self._gone(link)
            return
        if delivery.partial or not delivery.readable:
            return
        if link.credit < 0:
            raise ProtocolError("the peer sends without credit")
        data = link.recv(delivery.pending) if delivery.pending else b""
        link.advance()
        try:
            content = read_content(bytes(data or b""))
        except InputError as error:
            wrapped.reject(delivery, DECODE_ERROR, str(error))
            return
        room.message(delivery, content)

    _handlers: ClassVar[Mapping[Any, Callable[["Engine", Any], None]]] = {
        Event.CONNECTION_REMOTE_OPEN: _connection_opened,
        Event.CONNECTION_REMOTE_CLOSE: _connection_closed,
        Event.SESSION_REMOTE_OPEN: _session_opened,
        Event.SESSION_REMOTE_CLOSE: _session_closed,
        Event.LINK_REMOTE_OPEN: _link_opened,
        Event.LINK_REMOTE_CLOSE: _link_closed,
        Event.LINK_REMOTE_DETACH: _link_closed,
        Event.LINK_FLOW: _flow,
        Event.DELIVERY: _delivery,
    }


def _address(terminus: Any) -> str | None:
    """Where a link leads; None for nowhere. Raises `LinkRefused` for what is no text."""
    try:
        address: str | None = terminus.address
    except UnicodeDecodeError:
        raise LinkRefused(INVALID_FIELD, "the address is no UTF-8") from None
    return address
