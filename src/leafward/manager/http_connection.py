"""One connection to one of the manager's sockets: requests one after the other, none of them for long.

A request whose body is there is answered in the same turn of the loop in which it came, without a task. After one
answer the loop sees to the others before the next request of the same connection, however many were sent at once.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from leafward.errors import LeafwardError
from leafward.manager.callers import Peer
from leafward.manager.connection_limits import ConnectionLimits
from leafward.manager.door import Door
from leafward.manager.http_edge import Answer, failure, refusal
from leafward.manager.http_routes import Call, Found, Route
from leafward.wire import http1

if TYPE_CHECKING:
    from leafward.manager.http_server import HttpServer

# Bytes that may wait unread behind a request that is worked on.
_MOST_WAITING = 128 * 1024
# Of a body that nobody wants, so that an answer reaches whoever is still sending.
_MOST_DRAINED = 1024 * 1024
_NEVER = float("inf")
# Their bodies, where there is one, mean nothing (RFC 9110 9.3.1): nobody waits for them.
_WITHOUT_BODY = frozenset({"GET", "DELETE"})


class HttpConnection(asyncio.Protocol):
    """What happens next is in `_next`: a head, a body, the rest of an unwanted body, or nothing while work is done."""

    def __init__(self, server: "HttpServer", door: Door, limits: ConnectionLimits) -> None:
        self._server = server
        self._door = door
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._reader = http1.RequestReader()
        self._next: Callable[[], bool] = self._read_head
        self._transport: asyncio.Transport | None = None
        self._peer: Peer | None = None
        self._head: http1.Head | None = None
        self._route: Route | None = None
        self._call: Call | None = None
        self._owner: str | None = None  # whose request it is that waits
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._last = False  # the connection ends with the answer to the present request
        self._deadline: tuple[float, Callable[[], None]] = (_NEVER, self.abort)
        self._before = self._deadline
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since: float | None = self._loop.time()

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Counted, and given its time."""
        self._transport = cast("asyncio.Transport", transport)
        self._writable.set()
        self._server.opened(self)
        try:
            self._peer = self._door.peer(transport)
        except OSError:
            self.abort()
            return
        owner = self._server.routes.owner(Call(self._peer, self._door))
        if not self._limits.enter(self, owner, self._peer.pid):
            self.abort()
            return
        self._expect(self._server.times.head, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Everything is let go."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._stops_waiting()
        self._limits.leave(self)
        if self._peer is not None:
            self._peer.close()
        self._server.closed(self)

    def data_received(self, data: bytes) -> None:
        """Goes as far as it comes."""
        self._reader.feed(data)
        if self._reader.waiting > _MOST_WAITING and self._transport is not None:
            self._transport.pause_reading()
        self._advance()
        if self._head is None and self._reader.waiting and self._deadline[1] != self.abort:
            self._expect(self._server.times.head, self.abort)

    def eof_received(self) -> bool:
        """A caller may close its side once it has asked. A stream's caller has gone."""
        self._last = True
        streams = self._route is not None and self._route.manner == "stream"
        return self._call is not None and self._next == self._wait and not streams

    def pause_writing(self) -> None:
        """The caller does not read: it is waited for, but not for long."""
        self._before = self._deadline
        self._expect(self._server.times.stall, self.abort)
        self._writable.clear()

    def resume_writing(self) -> None:
        """It reads again."""
        self._writable.set()
        at, otherwise = self._before
        self._expect(None if at == _NEVER else self._server.times.idle, otherwise)
        self._loop.call_soon(self._advance)

    # The server's side

    def abort(self) -> None:
        """Closes it at once, without an answer."""
        if self._transport is not None:
            self._transport.abort()

    def finish(self) -> None:
        """Closes it when the request that runs is answered; at once where none runs, or it is a stream."""
        self._last = True
        streams = self._route is not None and self._route.manner == "stream"
        if self._call is None or streams:
            self._close()

    # A request, step by step: each step is True when there may be a next one

    def _advance(self) -> None:
        while self._transport is not None and not self._transport.is_closing() and self._writable.is_set():
            if not self._next():
                break

    def _read_head(self) -> bool:
        head = self._reader.head()
        if head is None:
            return False
        if isinstance(head, http1.Bad):
            self._send(refusal(head.status, head.reason, close=True))
            return False
        self.idle_since = None
        self._head = head
        self._last = self._last or not head.keep_alive
        try:
            refused = self._begin(head)
        except LeafwardError as error:
            refused = failure(error, f"{head.method} {head.path}")
        except Exception as error:  # a fault of ours is told, and ends one request only
            refused = failure(error, f"{head.method} {head.path}")
        if refused is not None:
            self._refuse(refused)
        return True

    def _begin(self, head: http1.Head) -> Answer | None:
        if self._door.by_token and head.headers.get("host", "").lower() not in self._door.hosts:
            return refusal(421, "this is not the host that was asked for")
        found = self._server.routes.find(head)
        if isinstance(found, Answer):
            return found
        self._route, self._call = found.route, self._admitted(found, head)
        if head.method in _WITHOUT_BODY:
            self._run(b"")
        else:
            self._next = self._read_body
        return None

    def _admitted(self, found: Found, head: http1.Head) -> Call:
        assert self._peer is not None
        scheme, _, token = head.headers.get("authorization", "").partition(" ")
        call = found.call(self._peer, self._door, token.strip() if scheme.lower() == "bearer" else None)
        assert found.route.admit is not None
        found.route.admit(call)
        return call

    def _read_body(self) -> bool:
        assert self._head is not None
        body = self._reader.body(limit=self._server.routes.body_limit)
        if isinstance(body, http1.Bad):
            self._refuse(refusal(body.status, body.reason))
            return True
        if body is None:
            if self._owner is None and self._waits():
                self._expect(self._server.times.body, self._body_is_late)
                if self._head.expects_continue and self._transport is not None:
                    self._transport.write(http1.CONTINUE)
            return False
        self._stops_waiting()
        self._run(body)
        return True

    def _wait(self) -> bool:
        """While work is done nothing is read."""
        return False

    def _drain(self) -> bool:
        if self._reader.drained(limit=_MOST_DRAINED):
            self._ready()
        return False

    def _run(self, body: bytes) -> None:
        """Hands the call to the route's function, in the way that suits it."""
        assert self._call is not None
        assert self._route is not None
        call = Call(
            self._call.peer,
            self._call.door,
            self._call.module_id,
            self._call.generation_id,
            body,
            self._call.query,
            self._call.bearer,
        )
        self._call = call
        if self._route.manner == "at-once":
            self._work()
            return
        self._next = self._wait
        self._expect(None, self.abort)
        # Who listens to events is counted where the events are, and takes no request's place.
        if self._route.manner != "stream" and not self._waits():
            return
        if self._route.manner == "in-turn":
            self._server.turns.put(self._owner or "", self._work)
        elif self._route.manner == "later":
            self._task = self._loop.create_task(self._later())
        else:
            self._task = self._loop.create_task(self._stream())

    def _work(self) -> None:
        if self._transport is None or self._route is None:
            return
        try:
            given = self._route.answer(cast("Call", self._call))
        except Exception as error:
            given = self._failed(error)
        self._answer(given)

    async def _later(self) -> None:
        assert self._route is not None
        try:
            given = await self._route.answer(cast("Call", self._call))
        except Exception as error:
            given = self._failed(error)
        self._answer(given)

    async def _stream(self) -> None:
        assert self._route is not None
        begun = False
        try:
            async with contextlib.aclosing(self._route.answer(cast("Call", self._call))) as pieces:
                async for piece in pieces:
                    if not begun and self._transport is not None:
                        self._server.count(self._route.path, 200)
                        self._transport.write(http1.stream_head(self._route.content_type))
                        begun = True
                    if self._transport is None:
                        return
                    self._transport.write(piece)
                    await self._writable.wait()
        except Exception as error:
            answer = self._failed(error)
            if not begun:
                self._answer(answer)
        self._close()

    def _answer(self, given: "bytes | Answer") -> None:
        assert self._route is not None
        if not isinstance(given, Answer):
            given = Answer(self._route.status, given, self._route.content_type)
        self._stops_waiting()
        self._send(given)
        self._done()

    def _failed(self, error: Exception) -> Answer:
        assert self._head is not None
        return failure(error, f"{self._head.method} {self._head.path}")

    def _refuse(self, answer: Answer) -> None:
        """Answers at once, whatever of the body is still to come."""
        self._stops_waiting()
        self._last = self._last or (self._head is not None and self._head.expects_continue)
        self._send(answer)
        self._done()

    def _send(self, answer: Answer) -> None:
        self._server.count("other" if self._route is None else self._route.path, answer.status)
        if self._transport is not None:
            self._transport.write(answer.to_bytes(close=self._last))
            if answer.close:
                self._close()

    def _done(self) -> None:
        """The request is answered. What of its body was not read is thrown away first, so that whoever still sends it
        gets the answer.
        """
        head, self._call, self._route, self._task = self._head, None, None, None
        self._next = self._drain
        drained = self._reader.drained(limit=_MOST_DRAINED)
        if drained is None or (head is not None and head.expects_continue and not drained):
            self._close()
        elif drained:
            self._ready()
        else:
            self._expect(self._server.times.body, self.abort)

    def _ready(self) -> None:
        """For the next request, after everybody else had their turn."""
        self._head = None
        self.idle_since = self._loop.time()
        self._next = self._read_head
        if self._last:
            self._close()
            return
        self._expect(self._server.times.idle, self._close)
        if self._reader.waiting:
            self._next = self._pause
            self._loop.call_soon(self._go_on)
        if self._transport is not None and self._reader.waiting <= _MOST_WAITING:
            self._transport.resume_reading()

    def _pause(self) -> bool:
        """Until the loop comes round again."""
        return False

    def _go_on(self) -> None:
        if self._next == self._pause:
            self._next = self._read_head
            self._advance()

    # Time and place

    def _waits(self) -> bool:
        """The request takes one of its owner's places; False, and the connection is closed, where there is none."""
        assert self._call is not None
        owner = self._server.routes.owner(self._call)
        if not self._server.requests.enter(owner):
            self.abort()
            return False
        self._owner = owner
        return True

    def _stops_waiting(self) -> None:
        if self._owner is not None:
            self._server.requests.leave(self._owner)
            self._owner = None

    def _body_is_late(self) -> None:
        self._last = True
        self._refuse(refusal(408, "the request took too long"))

    def _close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()

    def _expect(self, seconds: float | None, otherwise: Callable[[], None]) -> None:
        """Sets the one deadline that counts. The timer is moved only where it would ring too late.

        While the caller does not read, that counts and nothing else.
        """
        at = _NEVER if seconds is None else self._loop.time() + seconds
        if not self._writable.is_set():
            self._before = (at, otherwise)
            return
        self._deadline = (at, otherwise)
        if at != _NEVER and (self._timer is None or self._timer.when() > at):
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        at, otherwise = self._deadline
        if at == _NEVER or self._transport is None:
            return
        if self._loop.time() < at:
            self._timer = self._loop.call_at(at, self._ring)
            return
        otherwise()
