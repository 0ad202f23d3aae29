"""One connection to the authority's server: requests one after the other. `serve_tls` is the same over TLS.

    bytes -> wire/http1 -> Request -> handler -> Answer -> bytes

A request is worked on as soon as it is whole; the next one waits for its answer. There is no task, future or timer for
a request.
"""

import asyncio
import logging
from typing import cast

from leafward.authority.connection_guard import NEVER, ConnectionGuard
from leafward.authority.serve_http import Answer, Handler, Request, Writer, text_answer
from leafward.wire import http1
from leafward.wire.tls.connection import TlsConnection

logger = logging.getLogger(__name__)

# Bytes that may wait unread behind a request that is worked on.
_MOST_WAITING = 128 * 1024


class HttpConnection(asyncio.Protocol):
    """In the clear. `limit`: the most bytes of a body. What is not private here `serve_tls` does otherwise."""

    __slots__ = (
        "_advancing",
        "_handler",
        "_head",
        "_is_paused",
        "_limit",
        "_loop",
        "_method",
        "_reader",
        "_source",
        "_unsent",
        "_waits_for_body",
        "_writer",
        "busy",
        "deadline",
        "guard",
        "is_last",
        "is_leaving",
        "transport",
    )

    def __init__(self, handler: Handler, guard: ConnectionGuard, writer: Writer, limit: int) -> None:
        self._handler, self.guard, self._writer, self._limit = handler, guard, writer, limit
        self._loop = asyncio.get_running_loop()
        self._reader = http1.RequestReader()
        self.transport: asyncio.Transport | None = None
        self._source = ""
        self._head: http1.Head | None = None
        self._method = ""
        self._waits_for_body = False
        self._advancing = self.busy = False
        self.is_last = self.is_leaving = self._is_paused = False
        self._unsent = 0
        self.deadline = NEVER

    # ---- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counted, and given its time."""
        self.transport = cast("asyncio.Transport", transport)
        if not self.guard.opened(self):
            self.is_leaving = True
            self.transport.abort()
            return
        peer = transport.get_extra_info("peername")
        self._source = str(peer[0]) if peer else ""
        self.wait(self.guard.limits.request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever still works for it answers nobody."""
        self.transport = None
        self.is_leaving = True
        self.guard.closed(self)

    def data_received(self, data: bytes) -> None:
        """Goes as far as it comes."""
        self.take(data)

    def eof_received(self) -> bool:
        """The client sends no more; it may still wait for its answer."""
        self.is_last = True
        return self.busy

    def pause_writing(self) -> None:
        """The client does not read: its next request is not begun."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._is_paused = False
        self._read_on()
        self._advance()

    # ---- the guard's side

    def overdue(self, now: float) -> None:
        """Too late. Who still takes of a long answer is given more time."""
        if self.transport is None:
            return
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent != self._unsent:
            self._unsent = unsent
            self.deadline = now + self.guard.limits.stall
        elif self._waits_for_body and not self.is_leaving:
            self._refuse(text_answer(408, "the request did not come in time"))
        else:
            self.transport.abort()

    def abort(self) -> None:
        """Closes it at once, without an answer."""
        if self.transport is not None:
            self.transport.abort()

    def finish(self) -> None:
        """Closes it when what is being answered is answered."""
        self.is_last = True
        if not self.busy and not self.is_leaving and self.transport is not None:
            self.is_leaving = True
            self.say_goodbye()
            self.transport.close()

    # ---- requests

    def take(self, data: bytes) -> None:
        """Goes as far with the client's bytes as they come."""
        if self.is_leaving:
            return
        self._reader.feed(data)
        if not self.busy:
            self._advance()
        if self._reader.waiting > _MOST_WAITING and (self.busy or self._is_paused) and self.transport is not None:
            self.transport.pause_reading()

    def _advance(self) -> None:
        """Begins what is whole; a handler that answers at once is followed by the next request."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while not (self.busy or self.is_leaving or self._is_paused) and self._begin():
                pass
        finally:
            self._advancing = False

    def _begin(self) -> bool:
        """Whether a request, or something that is none, was there."""
        head = self._head
        if head is None:
            found = self._reader.head()
            if not isinstance(found, http1.Head):
                if found is not None:
                    self._refuse(text_answer(found.status, found.reason))
                return found is not None
            head = self._head = found
        body = self._reader.body(limit=self._limit)
        if body is None:
            self._wait_for_body(head)
            return False
        if isinstance(body, http1.Bad):
            self._refuse(text_answer(body.status, body.reason))
            return True
        self._head, self._waits_for_body = None, False
        self._method, self.busy, self.deadline = head.method, True, NEVER
        self.is_last = self.is_last or not head.keep_alive
        request = Request(head.method, head.path, head.headers, body, self._source, self.secured())
        try:
            self._handler(request, self._reply)
        except Exception:
            # A fault of ours ends one request only.
            logger.exception("a request could not be answered")
            self._reply(text_answer(500, "the authority has a fault; its log says which", close=True))
        return True

    def _wait_for_body(self, head: http1.Head) -> None:
        if not self._waits_for_body:
            self._waits_for_body = True
            self.deadline = min(self.deadline, self._loop.time() + self.guard.limits.body)
            if head.expects_continue:
                self.send(http1.CONTINUE)

    def _reply(self, answer: Answer) -> None:
        """The answer to the request that is worked on."""
        transport = self.transport
        if transport is None or not self.busy:
            return
        self.busy = False
        last = self.is_last or answer.close
        self.send(self._writer.bytes_of(answer, close=last, head_only=self._method == "HEAD"))
        if last:
            self._leave()
            return
        self.wait(self.guard.limits.request)
        if self._reader.waiting:
            self._read_on()
            self._advance()

    def _refuse(self, answer: Answer) -> None:
        """Answers what is no request that can be worked on. What follows it cannot be understood either."""
        self.send(self._writer.bytes_of(answer, close=True))
        self._leave()

    def _leave(self) -> None:
        """Says that nothing more comes, and waits for the client to close: closed at once, with bytes of it unread,
        the system would have it lose the answer (RFC 9112 9.6).
        """
        self.is_leaving = True
        self.wait(self.guard.limits.goodbye)
        self._read_on()
        self.say_goodbye()

    def _read_on(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def wait(self, seconds: float) -> None:
        """Until when the next thing has to happen, from now."""
        self.deadline = self._loop.time() + seconds

    # ---- what is otherwise over TLS

    def secured(self) -> TlsConnection | None:
        """The TLS connection, for who wants to know the client."""
        return None

    def send(self, data: bytes) -> None:
        """To the client."""
        if self.transport is not None:
            self.transport.write(data)

    def say_goodbye(self) -> None:
        """Tells the client that nothing more comes."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()
