"""What a slow HTTPS client may hold: between two requests, in the body of one, and at the provisioning door."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from leafward.wire import dps, sas
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import HOST, KEY, PATIENCE

HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
REGISTER = "/leafward/registrations/x/register?api-version=2019-03-31"


async def opened(hub: RunningHub) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", hub.at.https_port, ssl=hub.trusting(), server_hostname=HOST)


async def answered(reader: asyncio.StreamReader) -> int:
    """The status of an answer, which is read whole."""
    status = int((await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1])
    size = 0
    while (line := await asyncio.wait_for(reader.readline(), PATIENCE)) != b"\r\n":
        if line.lower().startswith(b"content-length"):
            size = int(line.split()[1])
    await reader.readexactly(size)
    return status


async def ended(reader: asyncio.StreamReader) -> bool:
    """The hub closes the connection."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        return await asyncio.wait_for(reader.read(), PATIENCE) == b""
    return True


async def test_idle_between_two_requests(make_hub: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept alive for the next request, and closed when none comes."""
    monkeypatch.setattr("leafward.hub.http_guard.IDLE_TIMEOUT", 0.3)
    hub = await (await make_hub()).start()
    reader, writer = await opened(hub)
    for _ in range(2):
        writer.write(HEALTH)
        assert await answered(reader) == 200
    assert await ended(reader)
    writer.transport.abort()


async def test_who_is_gone_counts_no_more(make_hub: StartHub) -> None:
    """Two connections may be open; ten come one after the other."""
    hub = await (await make_hub("[hub.limits]\nconnections = 2\n")).start()
    for _ in range(10):
        reader, writer = await opened(hub)
        writer.write(HEALTH.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert await answered(reader) == 200
        assert await ended(reader)
        writer.close()


@contextlib.asynccontextmanager
async def service(hub: RunningHub) -> AsyncIterator[list[Any]]:
    """A provisioning service that notes what reaches it."""
    seen: list[Any] = []

    async def note(request: web.Request) -> web.Response:
        seen.append((request.method, request.raw_path, await request.read()))
        return web.Response(status=202, body=b"{}")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", note)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        hub.home.make_socket_folder()
        await web.UnixSite(runner, str(hub.home.provisioning_socket)).start()
        yield seen
    finally:
        await runner.cleanup()


@pytest.fixture
async def hasty(make_hub: StartHub) -> RunningHub:
    """A hub that waits 0.3 seconds for a body."""
    hub: RunningHub = await make_hub("[hub.limits]\npacket_timeout = 0.3\n")
    return await hub.start()


@pytest.mark.parametrize("head", ["Content-Length: 50\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\nabc"])
async def test_a_body_for_the_door_that_never_ends(hasty: RunningHub, head: str) -> None:
    """408, and the connection ends: no stranger holds one by a promise."""
    reader, writer = await opened(hasty)
    writer.write(f"PUT {REGISTER} HTTP/1.1\r\nHost: x\r\n{head}".encode())
    assert await answered(reader) == 408
    assert await ended(reader)
    writer.transport.abort()


async def test_a_body_for_the_door_that_is_too_long(hub: RunningHub) -> None:
    """413, whether its length is told or not; a body just within passes."""
    async with service(hub) as seen, hub.http() as http:

        async def chunks(size: int) -> AsyncIterator[bytes]:
            for _ in range(size // 1024):
                yield bytes(1024)
            yield bytes(size % 1024)

        for size, status in ((dps.MAX_REQUEST_BODY, 202), (dps.MAX_REQUEST_BODY + 1, 413)):
            async with http.request("PUT", REGISTER, data=bytes(size)) as response:
                assert response.status == status
            async with http.request("PUT", REGISTER, data=chunks(size)) as response:
                assert response.status == status
    assert [len(body) for _method, _path, body in seen] == [dps.MAX_REQUEST_BODY] * 2


@pytest.mark.parametrize(
    "path",
    [
        "/leafward/registrations/a%252Fb/register?api-version=1",
        "/leafward/registrations/a%2Fb/register?api-version=1",
        "/leafward/registrations/a%20b/register?api-version=%31&x=%26",
        "/leafward/registrations/%2e%2e/register?api-version=1",
        "/leaf%77ard/registrations/a+b/register?api-version=1+2",
    ],
)
async def test_the_path_is_passed_on_as_it_is(hub: RunningHub, path: str) -> None:
    """Byte for byte: the service judges what the device wrote, not what somebody made of it."""
    async with service(hub) as seen:
        reader, writer = await opened(hub)
        writer.write(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        assert await answered(reader) == 202
        writer.transport.abort()
    assert seen == [("PUT", path, b"{}")]


async def test_the_whole_address_in_the_request_line(hub: RunningHub) -> None:
    """RFC 9112 3.2.2: the host in it is not the service's business."""
    async with service(hub) as seen:
        reader, writer = await opened(hub)
        writer.write(f"PUT https://elsewhere{REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        assert await answered(reader) == 202
        writer.transport.abort()
    assert seen == [("PUT", REGISTER, b"{}")]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: " + b"x" * 10_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"x" * 10_000,
    ],
    ids=["line", "header", "headers", "a header without end"],
)
async def test_a_head_that_is_too_large(hub: RunningHub, head: bytes) -> None:
    """400 and the end, before its last byte is waited for."""
    reader, writer = await opened(hub)
    writer.write(head)
    assert await answered(reader) == 400
    assert await ended(reader)
    writer.transport.abort()


async def test_a_head_that_dribbles(make_hub: StartHub) -> None:
    """Slow-loris: a byte now and then does not put the deadline off."""
    hub = await (await make_hub("[hub.limits]\nconnect_timeout = 0.3\n")).start()
    reader, writer = await opened(hub)
    began = asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        for byte in HEALTH[:-2] * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                assert await asyncio.wait_for(reader.read(1), 0.05) == b""
                break
    assert asyncio.get_running_loop().time() - began < 3.0
    writer.transport.abort()


async def test_a_handshake_that_dribbles(make_hub: StartHub) -> None:
    """The same in TLS: a ClientHello byte by byte has as long as any handshake."""
    hub = await (await make_hub("[hub.limits]\nhandshake_timeout = 0.3\n")).start()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=HOST).do_handshake()
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.at.https_port)
    began = asyncio.get_running_loop().time()
    with contextlib.suppress(ConnectionError):
        for byte in outgoing.read():
            writer.write(bytes([byte]))
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                assert await asyncio.wait_for(reader.read(1), 0.02) == b""
                break
    assert asyncio.get_running_loop().time() - began < 3.0
    assert await hub.counted("handshakes_failed_total", "timed-out") == 1
    writer.close()


@pytest.mark.parametrize(
    "line",
    [
        "POST /devices/leaf1/messages/events?api-version=2021-04-12",
        "PATCH /twins/leaf1?api-version=2021-04-12",
        f"PUT {REGISTER}",
    ],
)
async def test_who_goes_in_the_middle_of_a_body(hub: RunningHub, caplog: pytest.LogCaptureFixture, line: str) -> None:
    """No fault of ours: not a line in the log, and the next one is served."""
    hub.add("leaf1")
    expiry = int(datetime.now(UTC).timestamp()) + 3600
    token = sas.sign(sas.resource_of("hub.example", "leaf1", None), KEY, expiry)
    async with service(hub):
        reader, writer = await opened(hub)
        writer.write(f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 50\r\n\r\n".encode())
        # Its answer says that the hub has read all before it.
        other, its = await opened(hub)
        its.write(HEALTH)
        assert await answered(other) == 200
        writer.transport.abort()
        while await hub.counted("sockets") > 2:
            await asyncio.sleep(0)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    its.transport.abort()
    assert await ended(reader)
