"""The provisioning process: one a home, on a socket of this user's alone, which it takes away when it stops."""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from leafward.errors import Busy
from leafward.provisioning.daemon import run_provisioning
from leafward.store.home import Home

PATIENCE = 15.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "home")
    made.root.mkdir()
    made.settings.write_text('[device]\nhostname = "gateway.test"\n')
    return made


@contextlib.asynccontextmanager
async def running(home: Home) -> AsyncIterator[None]:
    stop, ready = asyncio.Event(), asyncio.Event()
    service = run_provisioning(home, clock=lambda: datetime.now(UTC), stop=stop, ready=lambda _ports: ready.set())
    task = asyncio.create_task(service)
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    waiting.cancel()
    if task.done():
        task.result()
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE)


async def answers(home: Home) -> bool:
    connector = aiohttp.UnixConnector(path=str(home.provisioning_socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://provisioning/health") as response,
    ):
        return response.status == 200


async def test_the_socket_is_this_user_s_alone(home: Home) -> None:
    """0600 in a folder of 0700, whatever the umask; gone at the end."""
    before = os.umask(0)
    try:
        async with running(home):
            assert stat.S_IMODE(home.provisioning_socket.lstat().st_mode) == 0o600
            assert stat.S_IMODE(home.provisioning_socket.parent.lstat().st_mode) == 0o700
            assert await answers(home)
    finally:
        os.umask(before)
    assert not home.provisioning_socket.exists()


async def test_a_second_one_of_the_same_home(home: Home) -> None:
    """Told who holds it, before it takes the first one's socket."""
    async with running(home):
        with pytest.raises(Busy, match=rf"process {os.getpid()} \('provisioning'\) holds .*provisioning\.lock"):
            async with running(home):
                pass
        assert await answers(home)
    async with running(home):
        assert await answers(home)


async def test_a_socket_that_a_killed_process_left(home: Home) -> None:
    """Replaced."""
    home.make_socket_folder()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home.provisioning_socket))
    async with running(home):
        assert await answers(home)


async def test_another_s_socket_is_left_alone(home: Home) -> None:
    """Somebody has put another in its place meanwhile: stopping does not take that one away."""
    with socket.socket(socket.AF_UNIX) as other:
        async with running(home):
            home.provisioning_socket.unlink()
            other.bind(str(home.provisioning_socket))
        assert home.provisioning_socket.exists()
