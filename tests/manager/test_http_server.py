"""The HTTP server behind the manager's sockets: what one caller can have it do, for how long, and what others notice.

A server with a few routes of its own on a unix socket. The caller is this process; who pays is in the path: a call to
`/modules/NAME/…` is NAME's.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import AccessDenied, Busy, NotFound, StoreError
from leafward.manager.connection_limits import MOST_REQUESTS, ConnectionLimits
from leafward.manager.door import Door
from leafward.manager.fair_turns import FairTurns
from leafward.manager.http_edge import Answer
from leafward.manager.http_routes import Call, Route, Routes, anybody
from leafward.manager.http_server import HttpServer, Times
from leafward.manager.unix_socket import listen

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
LIMIT = 1000


class World:
    """The routes, and what happened at them."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.release = asyncio.Event()
        self.ended: list[str] = []

    def routes(self) -> Routes:
        table = (
            Route("GET", "/hello", lambda _call: b"{}", admit=anybody),
            Route("GET", "/newer", lambda _call: b"{}", admit=anybody, since="2020-07-07"),
            Route("POST", "/modules/{name}/echo", lambda call: call.body, status=201),
            Route("POST", "/modules/{name}/dear", self.dear, manner="in-turn"),
            Route("POST", "/modules/{name}/later", self.later, manner="later", status=204),
            Route("GET", "/modules/{name}/events", self.events, manner="stream", content_type="text/event-stream"),
            Route("GET", "/modules/{name}/raise/{genid}", self.fail),
            Route("GET", "/query", lambda call: json.dumps(dict(call.query)).encode(), admit=anybody),
        )
        return Routes(table, self.admit, owner=lambda call: call.module_id or "nobody", body_limit=LIMIT)

    def admit(self, call: Call) -> None:
        if call.module_id == "stranger":
            raise AccessDenied("forbidden")

    def dear(self, call: Call) -> bytes:
        self.order.append(call.module_id)
        return b"{}"

    async def later(self, call: Call) -> bytes:
        await self.release.wait()
        if call.body == b"fail":
            raise NotFound("it is not there", hint="look elsewhere")
        return b"x"

    async def events(self, call: Call) -> AsyncIterator[bytes]:
        if call.module_id == "busy":
            raise Busy("too many listen")
        try:
            yield b": here\n\n"
            await self.release.wait()
            yield b"data: 1\n\n"
        finally:
            self.ended.append(call.module_id)

    def fail(self, call: Call) -> Answer:
        kinds: dict[str | None, Exception] = {
            "ours": StoreError("the disk is full", hint="free some space"),
            "fault": ZeroDivisionError("a secret"),
            "time": TimeoutError(),
        }
        if call.generation_id in kinds:
            raise kinds[call.generation_id]
        return Answer(501, b'{"message":"no"}')


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def serve(world: World, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[HttpServer]]]:
    """Starts the server, with times and limits as asked for."""
    async with AsyncExitStack() as closing:

        async def start(limits: ConnectionLimits | None = None, **times: float) -> HttpServer:
            turns = FairTurns()
            server = HttpServer(world.routes(), turns, times=Times(**times))
            listening = await listen(tmp_path / "s", 0o600, server.at(Door("s"), limits))
            closing.push_async_callback(server.close)
            closing.callback(listening.close)
            closing.callback(turns.close)
            return server

        yield start


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], Any]:
    @asynccontextmanager
    async def connection() -> AsyncIterator[tuple[Reader, Writer]]:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        try:
            yield reader, writer
        finally:
            writer.close()

    return connection


def request(method: str, path: str, body: bytes = b"", *headers: str, length: int | None = None) -> bytes:
    lines = [f"{method} {path}?api-version=2019-10-22 HTTP/1.1", "Host: x", *headers]
    if body or length is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def answer(reader: Reader) -> tuple[int, dict[str, str], bytes]:
    """The next answer; status 0 where the connection ended without one."""
    async with asyncio.timeout(10):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, {}, b""
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body


async def ended(reader: Reader) -> bool:
    async with asyncio.timeout(10):
        try:
            return await reader.read(1) == b""
        except ConnectionError:
            return True


async def test_requests_on_one_connection(serve: Any, connect: Any) -> None:
    await serve()
    async with connect() as (reader, writer):
        for body in (b"one", b"", b"x" * LIMIT):
            writer.write(request("POST", "/modules/m/echo", body))
            assert await answer(reader) == (
                201, {"content-type": "application/json", "content-length": str(len(body))}, body,
            )  # fmt: skip


async def test_many_requests_in_one_piece_are_answered_in_their_order(serve: Any, connect: Any) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(b"".join(request("POST", "/modules/m/echo", b"%d" % number) for number in range(200)))
        assert [(await answer(reader))[2] for _ in range(200)] == [b"%d" % number for number in range(200)]


async def test_a_body_in_pieces_and_in_chunks(serve: Any, connect: Any) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/echo", length=4))
        writer.write(b"ab")
        await writer.drain()
        writer.write(b"cd")
        assert (await answer(reader))[2] == b"abcd"
        writer.write(request("POST", "/modules/m/echo", b"", "Transfer-Encoding: chunked") + b"2\r\nab\r\n0\r\n\r\n")
        assert (await answer(reader))[2] == b"ab"


async def test_the_connection_ends_where_the_caller_wants_it(serve: Any, connect: Any) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("GET", "/hello", b"", "Connection: close"))
        assert (await answer(reader))[1]["connection"] == "close"
        assert await ended(reader)
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/echo", b"x"))
        writer.write_eof()
        assert (await answer(reader))[0] == 201
        assert await ended(reader)


@pytest.mark.parametrize(
    ("head", "status", "message"),
    [
        ("GET /hello HTTP/1.1", 400, "api-version is missing"),
        ("GET /hello?api-version=1999-01-01 HTTP/1.1", 400, "not one of ours"),
        ("GET /nothing HTTP/1.1", 400, "api-version"),
        ("GET /nothing?api-version=2018-06-28 HTTP/1.1", 404, "not found"),
        ("GET /newer?api-version=2018-06-28 HTTP/1.1", 404, "not found"),
        ("GET /newer?api-version=2020-07-07 HTTP/1.1", 200, ""),
        ("GET /hello/?api-version=2018-06-28 HTTP/1.1", 200, ""),
        ("GET /hello//?api-version=2018-06-28 HTTP/1.1", 404, "not found"),
        ("PUT /hello?api-version=2018-06-28 HTTP/1.1", 405, "method"),
        ("HEAD /hello?api-version=2018-06-28 HTTP/1.1", 405, "method"),
        ("POST /modules/a%2Fb/echo?api-version=2018-06-28 HTTP/1.1", 404, "no such module"),
        ("POST /modules/a%zz/echo?api-version=2018-06-28 HTTP/1.1", 400, "percent"),
        ("POST /modules/stranger/echo?api-version=2018-06-28 HTTP/1.1", 403, "forbidden"),
        ("GET /hello?api-version=2018-06-28&x=%ff HTTP/1.1", 400, "query"),
        (f"GET /hello?api-version=2018-06-28{'&a=b' * 20} HTTP/1.1", 400, "query"),
        ("GET /modules/m/raise/ours?api-version=2018-06-28 HTTP/1.1", 500, "the disk is full; free some space"),
        ("GET /modules/m/raise/time?api-version=2018-06-28 HTTP/1.1", 408, "too long"),
        ("GET /modules/m/raise/none?api-version=2018-06-28 HTTP/1.1", 501, "no"),
    ],
)
async def test_statuses(serve: Any, connect: Any, head: str, status: int, message: str) -> None:
    """Each is an answer on a connection that stays."""
    await serve()
    async with connect() as (reader, writer):
        for _ in range(2):
            writer.write(f"{head}\r\nHost: x\r\n\r\n".encode())
            got, headers, body = await answer(reader)
            assert got == status
            if message:
                assert message in json.loads(body)["message"]
            assert (got == 405) == ("allow" in headers)


async def test_a_fault_of_ours_says_nothing(serve: Any, connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("GET", "/modules/m/raise/fault"))
        assert (await answer(reader))[::2] == (500, b'{"message":"internal error"}')
    assert "ZeroDivisionError" in caplog.text


async def test_the_query(serve: Any, connect: Any) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(b"GET /query?a=1&api-version=2018-06-28&b=%20+&a=2 HTTP/1.1\r\n\r\n")
        assert json.loads((await answer(reader))[2]) == {"a": "1", "b": "  "}


@pytest.mark.parametrize(
    ("garbage", "status"),
    [(b"\x16\x03\x01\x02\x00\x01", 400), (b"GET\r\n\r\n", 400), (b"GET /" + b"A" * 20_000, 431)],
)
async def test_garbage_ends_its_own_connection_only(serve: Any, connect: Any, garbage: bytes, status: int) -> None:
    await serve()
    async with connect() as (other_reader, other), connect() as (reader, writer):
        writer.write(garbage)
        assert (await answer(reader))[0] == status
        assert await ended(reader)
        other.write(request("GET", "/hello"))
        assert (await answer(other_reader))[0] == 200


async def test_a_body_that_is_too_long(serve: Any, connect: Any) -> None:
    """Answered before it has come; what still comes is thrown away, and the connection is used on."""
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/echo", b"x" * (LIMIT + 1)))
        assert (await answer(reader))[0] == 413
        writer.write(request("POST", "/modules/m/echo", b"x"))
        assert (await answer(reader))[0] == 201
        writer.write(request("POST", "/modules/m/echo", length=2**40))
        assert (await answer(reader))[0] == 413
        assert await ended(reader)


async def test_an_expected_hundred(serve: Any, connect: Any) -> None:
    """Said where the body is wanted; where it is not, the refusal comes instead of it."""
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/echo", b"", "Expect: 100-continue", length=1))
        assert (await answer(reader))[0] == 100
        writer.write(b"x")
        assert (await answer(reader))[::2] == (201, b"x")
        writer.write(request("POST", "/modules/stranger/echo", b"", "Expect: 100-continue", length=1))
        assert (await answer(reader))[0] == 403
        assert await ended(reader)


async def test_a_refused_request_is_not_read(serve: Any, connect: Any) -> None:
    """403 while the body is still to come; and no place is held by it."""
    await serve()
    async with AsyncExitStack() as stack:
        for _ in range(MOST_REQUESTS + 1):
            reader, writer = await stack.enter_async_context(connect())
            writer.write(request("POST", "/modules/stranger/echo", length=5))
            assert (await answer(reader))[0] == 403


async def test_a_body_where_none_means_anything_is_not_waited_for(serve: Any, connect: Any) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("GET", "/hello", length=5))
        assert (await answer(reader))[0] == 200
        writer.write(b"12345" + request("GET", "/hello"))
        assert (await answer(reader))[0] == 200


# Slow ones


async def test_a_body_that_does_not_come(serve: Any, connect: Any) -> None:
    await serve(body=0.01)
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/echo", length=5))
        status, headers, _ = await answer(reader)
        assert (status, headers["connection"]) == (408, "close")
        assert await ended(reader)


async def test_a_body_that_dribbles_for_ever(serve: Any, connect: Any) -> None:
    """A byte now and then does not put the end off."""
    await serve(body=0.05)
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/echo", length=LIMIT))
        waiting = asyncio.create_task(answer(reader))
        while not waiting.done():
            writer.write(b"x")
            await asyncio.sleep(0.005)
        assert (await waiting)[0] == 408


async def test_a_head_that_dribbles_or_does_not_come(serve: Any, connect: Any) -> None:
    await serve(head=0.05)
    async with connect() as (silent, _), connect() as (reader, writer):
        writer.write(b"GET ")
        assert await ended(silent)
        assert await ended(reader)


async def test_an_idle_connection_is_closed(serve: Any, connect: Any) -> None:
    await serve(idle=0.01)
    async with connect() as (reader, writer):
        writer.write(request("GET", "/hello"))
        assert (await answer(reader))[0] == 200
        assert await ended(reader)


async def test_one_that_does_not_read_its_answers(serve: Any, connect: Any) -> None:
    await serve(stall=0.05)
    async with connect() as (reader, writer):
        await asyncio.wait_for(_write_for_ever(writer), 10)
        del reader


async def _write_for_ever(writer: Writer) -> None:
    """Until the connection is gone."""
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(request("POST", "/modules/m/echo", b"x" * LIMIT) * 100)
            await writer.drain()


# Greedy ones


async def test_the_eleventh_waiting_request_is_closed_without_an_answer(serve: Any, connect: Any) -> None:
    """Of one owner: another is served, and when one has ended there is room again."""
    await serve()
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connect()) for _ in range(MOST_REQUESTS)]
        for _, writer in held:
            writer.write(request("POST", "/modules/greedy/echo", length=1))
        await asyncio.sleep(0.01)
        reader, writer = await stack.enter_async_context(connect())
        writer.write(request("POST", "/modules/greedy/echo", length=1))
        assert (await answer(reader))[0] == 0
        reader, writer = await stack.enter_async_context(connect())
        writer.write(request("POST", "/modules/modest/echo", b"x"))
        assert (await answer(reader))[0] == 201
        for reader, writer in held:
            writer.write(b"x")
            assert (await answer(reader))[0] == 201
        writer.write(request("POST", "/modules/greedy/echo", length=1))
        writer.write(b"x")
        assert (await answer(reader))[0] == 201


async def test_dear_work_is_done_in_turns(serve: Any, connect: Any, world: World) -> None:
    """Ten of one wait; another's comes second, and a cheap request is answered between."""
    await serve()
    async with AsyncExitStack() as stack:
        callers = [await stack.enter_async_context(connect()) for _ in range(MOST_REQUESTS)]
        modest = await stack.enter_async_context(connect())
        for _, writer in callers:
            writer.write(request("POST", "/modules/greedy/dear"))
        modest[1].write(request("POST", "/modules/modest/dear"))
        for reader, _ in (*callers, modest):
            assert (await answer(reader))[0] == 200
    assert world.order.index("modest") <= 2
    assert len(world.order) == MOST_REQUESTS + 1


async def test_a_caller_that_has_gone_disturbs_nobody(serve: Any, connect: Any, world: World) -> None:
    """Before its turn, in the middle of a body, and before an answer that takes its time."""
    await serve()
    for sent in (request("POST", "/modules/m/dear"), request("POST", "/modules/m/echo", length=5)):
        async with connect() as (_, writer):
            writer.write(sent)
    async with connect() as (_, writer):
        writer.write(request("POST", "/modules/m/later"))
        await asyncio.sleep(0.01)
    world.release.set()
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/echo", b"x"))
        assert (await answer(reader))[0] == 201


async def test_connections_that_only_hold(serve: Any, connect: Any) -> None:
    """The third of two of one process is closed without an answer."""
    await serve(ConnectionLimits(of_process=2))
    async with connect() as (first, writer), connect():
        async with connect() as (reader, _):
            assert await ended(reader)
        writer.write(request("GET", "/hello"))
        assert (await answer(first))[0] == 200


# Later, and streams


async def test_an_answer_that_takes_its_time(serve: Any, connect: Any, world: World) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/later") + request("POST", "/modules/m/later", b"fail"))
        world.release.set()
        assert (await answer(reader))[0] == 204
        assert (await answer(reader))[::2] == (404, b'{"message":"it is not there; look elsewhere"}')


async def test_a_stream(serve: Any, connect: Any, world: World) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("GET", "/modules/m/events"))
        status, headers, _ = await answer(reader)
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert await reader.readexactly(8) == b": here\n\n"
        world.release.set()
        assert await reader.read() == b"data: 1\n\n"
    assert world.ended == ["m"]


async def test_streams_take_no_places_and_end_with_their_caller(serve: Any, connect: Any, world: World) -> None:
    await serve()
    async with AsyncExitStack() as stack:
        for _ in range(MOST_REQUESTS + 2):
            reader, writer = await stack.enter_async_context(connect())
            writer.write(request("GET", "/modules/m/events"))
            assert (await answer(reader))[0] == 200
        async with connect() as (reader, writer):
            writer.write(request("POST", "/modules/m/echo", b"x"))
            assert (await answer(reader))[0] == 201
    async with asyncio.timeout(10):
        while len(world.ended) < MOST_REQUESTS + 2:
            await asyncio.sleep(0.001)


async def test_a_stream_that_is_refused(serve: Any, connect: Any) -> None:
    await serve()
    async with connect() as (reader, writer):
        writer.write(request("GET", "/modules/busy/events"))
        assert (await answer(reader))[0] == 503
    async with connect() as (reader, writer):
        writer.write(request("GET", "/modules/stranger/events"))
        assert (await answer(reader))[0] == 403


async def test_the_end(serve: Any, connect: Any, world: World) -> None:
    """Streams and idle connections end at once, a request that runs is answered."""
    server = await serve()
    async with connect() as (idle, _), connect() as (stream, listener), connect() as (reader, writer):
        listener.write(request("GET", "/modules/m/events"))
        assert (await answer(stream))[0] == 200
        writer.write(request("POST", "/modules/m/later"))
        await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.02, world.release.set)
        await server.close()
        assert await ended(idle)
        assert (await answer(reader))[0] == 204
        assert await ended(reader)


async def test_what_does_not_end_is_ended(serve: Any, connect: Any) -> None:
    server = await serve(shutdown=0.01)
    async with connect() as (reader, writer):
        writer.write(request("POST", "/modules/m/later"))
        await asyncio.sleep(0.01)
        await server.close()
        assert await ended(reader)
