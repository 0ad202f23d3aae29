"""What a program of the operator's that goes astray may hold and log on `run/hub.sock`: as on the HTTPS port."""

import asyncio
import contextlib
import logging

import pytest

from leafward.hub.http_guard import IDLE_TIMEOUT
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import PATIENCE
from tests.hub.service_clients import VERSION

CALL = f"GET /hub/status?{VERSION} HTTP/1.1\r\nHost: hub\r\n\r\n".encode()


async def opened(hub: RunningHub) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(hub.home.hub_socket))


async def status(reader: asyncio.StreamReader) -> int:
    return int((await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1])


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the hub has closed."""
    with contextlib.suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), PATIENCE)
    return b""


@pytest.mark.parametrize("begun", [b"", CALL[:20]], ids=["silence", "half a head"])
async def test_who_asks_nothing(make_hub: StartHub, begun: bytes) -> None:
    """Is not waited for longer than a CONNECT would be."""
    hub = await (await make_hub("[hub.limits]\nconnect_timeout = 0.2\n")).start()
    reader, writer = await opened(hub)
    writer.write(begun)
    assert await ended(reader) == b""
    writer.close()


async def test_idle_between_two_calls(make_hub: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept for the next one, and closed when none comes."""
    assert IDLE_TIMEOUT > 1.0
    monkeypatch.setattr("leafward.hub.http_guard.IDLE_TIMEOUT", 0.2)
    hub = await (await make_hub()).start()
    reader, writer = await opened(hub)
    writer.write(CALL)
    assert await status(reader) == 200
    assert b"HTTP/1.1" not in await ended(reader)
    writer.close()


async def test_a_body_that_never_ends(make_hub: StartHub) -> None:
    """408, and closed."""
    hub = await (await make_hub("[hub.limits]\npacket_timeout = 0.2\n")).start()
    reader, writer = await opened(hub)
    writer.write(f"PATCH /twins/leaf1?{VERSION} HTTP/1.1\r\nHost: hub\r\nContent-Length: 50\r\n\r\n{{".encode())
    assert await status(reader) == 408
    await ended(reader)
    writer.close()


async def test_who_goes_in_the_middle_of_a_body(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """No fault of ours: not a line in the log, and the next one is served."""
    reader, writer = await opened(hub)
    writer.write(f"PATCH /twins/leaf1?{VERSION} HTTP/1.1\r\nHost: hub\r\nContent-Length: 50\r\n\r\n{{".encode())
    writer.write_eof()
    writer.transport.abort()
    for _ in range(3):
        other, its = await opened(hub)
        its.write(CALL)
        assert await status(other) == 200
        its.transport.abort()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert await ended(reader) == b""


async def test_noise(hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    """50 times what is no HTTP: 400 each time, at most ten lines, and no traceback."""
    for _ in range(50):
        reader, writer = await opened(hub)
        writer.write(b"GET / HTTP/1.1\r\nHo st: hub\r\n\r\n")
        assert b" 400 " in (await ended(reader)).splitlines()[0]
        writer.close()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert 1 <= len(told) <= 10, told
    assert all(record.exc_info is None for record in told)


async def test_a_head_that_is_too_large(hub: RunningHub) -> None:
    """As on the HTTPS port."""
    reader, writer = await opened(hub)
    writer.write(CALL[:-2] + b"X: " + b"x" * 9000 + b"\r\n\r\n")
    assert await status(reader) == 400
    await ended(reader)
    writer.close()
