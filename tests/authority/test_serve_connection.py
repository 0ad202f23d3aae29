"""The authority's own HTTP server, in the clear and over TLS: what clients really send, and what ends a connection.

Everywhere a handler that says what it was asked: `METHOD PATH BODY`.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.authority.connection_guard import ConnectionGuard, Limits
from leafward.authority.serve_connection import HttpConnection
from leafward.authority.serve_http import Answer, Reply, Request, Writer
from leafward.authority.serve_routes import Route, Routes
from leafward.authority.serve_tls import TlsHttpConnection
from leafward.pki.issuer import prepare_root
from leafward.wire.tls.context import TlsContext

LIMIT = 1000


@dataclass
class Listening:
    """A server on a port; `held` are replies of requests to /held, which nobody answers by himself."""

    port: int
    guard: ConnectionGuard
    held: list[Callable[[], None]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    def handle(self, request: Request, reply: Reply) -> None:
        said = Answer(200, f"{request.method} {request.path} ".encode() + request.body)
        if request.path == "/broken":
            raise ZeroDivisionError
        if request.path == "/large":
            said = Answer(200, bytes(8_000_000))
        if request.path == "/held":
            self.held.append(lambda: reply(said))
            self.asked.set()
        else:
            reply(said)

    async def talk(self, sent: bytes, tls: ssl.SSLContext | None = None) -> bytes:
        """All that comes back for `sent`, until the server closes."""
        name = "localhost" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=name)
        writer.write(sent)
        try:
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def listening(limits: Limits | None = None, tls: TlsContext | None = None) -> AsyncIterator[Listening]:
    guard, writer = ConnectionGuard(limits or Limits()), Writer()
    found = Listening(0, guard)

    def connection() -> asyncio.Protocol:
        if tls is None:
            return HttpConnection(found.handle, guard, writer, LIMIT)
        return TlsHttpConnection(found.handle, guard, writer, LIMIT, tls)

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await guard.close()


@pytest.fixture(scope="module")
def tls() -> TlsContext:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = prepare_root(key, common_name="localhost", now=datetime.now(UTC), serial=1 << 130).sign()
    return TlsContext.server(chain, key, client_certificates=True)


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def post(path: str, body: bytes = b"", *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", *headers]
    if not any("chunked" in line for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def statuses(said: bytes) -> list[int]:
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


CLOSE = "Connection: close"


async def test_requests_that_come_at_once_are_answered_in_order() -> None:
    async with listening() as server:
        said = await server.talk(post("/1", b"a") + post("/2", b"b") + post("/3", b"c", CLOSE))
    assert statuses(said) == [200] * 3
    assert said.index(b"POST /1 a") < said.index(b"POST /2 b") < said.index(b"POST /3 c")
    assert said.count(b"Date: ") == 3
    assert said.count(b"Connection: close") == 1


@pytest.mark.parametrize("secured", [False, True])
async def test_the_next_request_waits_for_the_answer_before_it(secured: bool, tls: TlsContext) -> None:
    async with listening(tls=tls if secured else None) as server:
        talking = asyncio.create_task(
            server.talk(post("/held", b"a") + post("/2", b"b", CLOSE), trusting() if secured else None)
        )
        await server.asked.wait()
        assert len(server.held) == 1
        server.held[0]()
        said = await talking
    assert said.index(b"POST /held a") < said.index(b"POST /2 b")


async def test_a_request_in_pieces(tls: TlsContext) -> None:
    """Each byte a TLS record of its own."""
    async with listening(tls=tls) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(), server_hostname="x")
        for byte in post("/slow", b"body", CLOSE):
            writer.write(bytes([byte]))
            await writer.drain()
        assert b"POST /slow body" in await reader.read()
        writer.close()


async def test_chunks_and_the_leave_to_go_on() -> None:
    """Transfer-Encoding: chunked, and Expect: 100-continue, as curl sends them."""
    async with listening() as server:
        said = await server.talk(post("/c", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "Transfer-Encoding: chunked", CLOSE))
        assert b"POST /c abc" in said
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        head, body = post("/e", b"body", "Expect: 100-continue", CLOSE).split(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert b"POST /e body" in await reader.read()
        writer.close()


async def test_older_clients_are_answered_once() -> None:
    async with listening() as server:
        assert statuses(await server.talk(post("/old", version="1.0"))) == [200]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nothing of this kind\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, 431),
        (post("/", b"", "Content-Length: 1"), 400),
        (post("/", b"x" * (LIMIT + 1)), 413),
        (post("/", b"ffff\r\n" + b"x" * 70_000, "Transfer-Encoding: chunked"), 413),
    ],
    ids=["no-http", "tls", "version", "long-head", "two-lengths", "large", "large-chunk"],
)
async def test_what_is_no_request_is_told_so_and_ends_the_connection(sent: bytes, status: int) -> None:
    async with listening() as server:
        assert statuses(await server.talk(sent + post("/after"))) == [status]


async def test_a_body_that_nobody_wants_does_not_cost_the_answer(tls: TlsContext) -> None:
    """The client goes on sending after 413: closed at once, it would see a broken connection."""
    async with listening(tls=tls) as server:
        assert statuses(await server.talk(post("/", b"x" * 3_000_000), trusting())) == [413]


async def test_a_fault_of_ours_ends_one_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as server:
        assert statuses(await server.talk(post("/broken") + post("/2"))) == [500]
        assert statuses(await server.talk(post("/3", b"", CLOSE))) == [200]
    assert "ZeroDivisionError" in caplog.text


async def test_who_closes_its_half_gets_its_answer() -> None:
    async with listening() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(post("/held", b"a"))
        writer.write_eof()
        await server.asked.wait()
        server.held[0]()
        assert b"POST /held a" in await reader.read()
        writer.close()


async def test_an_answer_to_who_has_left_goes_nowhere(tls: TlsContext) -> None:
    async with listening(tls=tls) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(), server_hostname="x")
        writer.write(post("/held"))
        await server.asked.wait()
        writer.transport.abort()
        reader, other = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(), server_hostname="x")
        other.write(post("/2", b"", CLOSE))
        assert statuses(await reader.read()) == [200]
        server.held[0]()
        other.close()


async def test_a_long_answer_is_not_cut_for_who_reads_slowly() -> None:
    """Eight megabytes, more than any buffer holds, with a goodbye of a moment: all of it arrives."""
    async with listening(Limits(goodbye=0.1, stall=20)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1000)
        writer.write(post("/large", b"", CLOSE))
        read = 0
        while part := await reader.read(500_000):
            read += len(part)
            await asyncio.sleep(0)
        assert read > 8_000_000
        writer.close()


async def test_who_takes_nothing_of_its_answer_is_cut_off() -> None:
    async with listening(Limits(request=0.1, goodbye=0.1, stall=0.1)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        writer.write(post("/large") + post("/2"))
        await writer.drain()
        while server.guard._open:
            await asyncio.sleep(0.01)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await reader.read()


async def test_a_handshake_has_its_time_and_its_bounds(tls: TlsContext) -> None:
    async with listening(Limits(handshake=0.05), tls) as server:
        assert await server.talk(b"") == b""
        assert await server.talk(b"GET / HTTP/1.1\r\n\r\n") == b""


async def test_an_end_lets_go_of_idle_connections_at_once(tls: TlsContext) -> None:
    async with listening(tls=tls) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(), server_hostname="x")
        writer.write(post("/1"))
        await reader.readuntil(b"POST /1 ")
        ending = asyncio.create_task(server.guard.close())
        assert await reader.read() == b""
        writer.close()
        await ending


async def test_routes_head_and_methods() -> None:
    async def seven(request: Request, found: object) -> Answer:
        return Answer(200, f"{request.method} {found}".encode(), {"Content-Type": "text/x"})

    routes = Routes([Route("GET", r"/(?P<key>[a-z]+)/7", seven), Route("POST", r"/post", seven)])
    guard, writer = ConnectionGuard(Limits()), Writer()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpConnection(routes, guard, writer, LIMIT), "127.0.0.1", 0)
    there = Listening(server.sockets[0].getsockname()[1], guard)
    for line, status, said in (
        ("GET /ab/7", 200, b"GET {'key': 'ab'}"),
        ("HEAD /ab/7", 200, b""),
        ("GET /ab/7?x=1", 200, b"GET {'key': 'ab'}"),
        ("GET /ab/7/", 404, b"there is nothing at this path\n"),
        ("PUT /post", 405, b"use another method\n"),
    ):
        answer = await there.talk(f"{line} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (statuses(answer), body) == ([status], said), line
        assert (b"Content-Length: 0" not in head) or status == 200
    server.close()
    await guard.close()
