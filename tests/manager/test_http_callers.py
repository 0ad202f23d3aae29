"""Callers of the manager's HTTP server that are slow, many or gone, and answers that take their time."""

import asyncio
import contextlib
from contextlib import AsyncExitStack
from typing import Any

from leafward.manager.connection_limits import MOST_REQUESTS, ConnectionLimits
from tests.manager.http_world import LIMIT, World, Writer, answer, ended, request

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
