"""What one process can have the manager do at once, and for how long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from leafward.manager import http_routes
from leafward.manager.daemon import Manager
from leafward.manager.http_edge import MOST_REQUESTS
from leafward.store.home import Home

# A request whose body of five bytes does not come.
UNFINISHED = b"GET /trust-bundle?api-version=2018-06-28 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


@asynccontextmanager
async def connection(home: Home) -> AsyncIterator[tuple[Reader, Writer]]:
    reader, writer = await asyncio.open_unix_connection(home.workload_socket)
    try:
        yield reader, writer
    finally:
        writer.close()


async def status_line(reader: Reader) -> bytes:
    return await asyncio.wait_for(reader.readline(), 10)


async def test_the_eleventh_request_of_a_process_is_closed_without_an_answer(
    manager: Manager, home: Home, program: Callable[[], Awaitable[Any]]
) -> None:
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connection(home)) for _ in range(MOST_REQUESTS)]
        for _, writer in held:
            writer.write(UNFINISHED)
        reader, writer = await stack.enter_async_context(connection(home))
        writer.write(UNFINISHED + b"12345")
        assert await status_line(reader) == b""
        assert (await (await program()).workload("GET", "/trust-bundle")).status == 200
        for reader, writer in held:
            writer.write(b"12345")
            assert await status_line(reader) == b"HTTP/1.1 200 OK\r\n"
        reader, writer = await stack.enter_async_context(connection(home))
        writer.write(UNFINISHED + b"12345")
        assert await status_line(reader) == b"HTTP/1.1 200 OK\r\n"


async def test_a_body_that_does_not_come_is_not_waited_for(
    manager: Manager, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_routes, "BODY_SECONDS", 0.01)
    async with connection(home) as (reader, writer):
        writer.write(UNFINISHED)
        assert (await status_line(reader)).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"A" * 20_000 + b"\r\n\r\n"])
async def test_garbage_ends_its_own_connection_only(manager: Manager, home: Home, garbage: bytes) -> None:
    async with connection(home) as (reader, writer):
        writer.write(garbage + b"\r\n\r\n")
        assert (await status_line(reader)).startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    async with connection(home) as (reader, writer):
        writer.write(UNFINISHED + b"12345")
        assert await status_line(reader) == b"HTTP/1.1 200 OK\r\n"
