"""The HTTP server behind the manager's sockets: what one caller can have it do, for how long, and what others notice.

A server with a few routes of its own on a unix socket. The caller is this process; who pays is in the path: a call to
`/modules/NAME/…` is NAME's.
"""

import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from leafward.manager.connection_limits import MOST_REQUESTS
from tests.manager.http_world import LIMIT, answer, ended, request


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
