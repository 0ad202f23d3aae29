"""Connections that only hold: bounded for each process, and ended when they ask nothing."""

import asyncio
from pathlib import Path

from leafward.manager.connection_limits import ConnectionLimits
from leafward.manager.unix_socket import listen


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self.transport, asyncio.Transport)
        self.transport.write(data)


async def connected(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(str(path))


async def echoed(pair: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
    pair[1].write(b"x")
    return await pair[0].read(1)


async def test_one_process_has_so_many_and_no_more(tmp_path: Path) -> None:
    """The third of two is closed without an answer; when one goes there is room again."""
    path = tmp_path / "s"
    server = await listen(path, 0o600, ConnectionLimits(most=2).guarded(Echo))
    async with server:
        first, second = await connected(path), await connected(path)
        assert await echoed(first) == await echoed(second) == b"x"
        third = await connected(path)
        assert await third[0].read(1) == b""
        first[1].close()
        await first[1].wait_closed()
        while True:  # the server learns of the close in its own time
            fourth = await connected(path)
            try:
                if await echoed(fourth) == b"x":
                    break
            except ConnectionError:
                continue
        for pair in (second, third, fourth):
            pair[1].close()


async def test_one_that_asks_nothing_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with await listen(path, 0o600, ConnectionLimits(timeout=0.05).guarded(Echo)):
        silent = await connected(path)
        assert await asyncio.wait_for(silent[0].read(1), 10) == b""
        silent[1].close()


def test_the_limit_is_for_each_process() -> None:
    """Two processes have two counts."""
    limits = ConnectionLimits(most=1)
    assert limits.enter(100)
    assert not limits.enter(100)
    assert limits.enter(200)
    limits.leave(100)
    limits.leave(100)
    assert limits.enter(100)
