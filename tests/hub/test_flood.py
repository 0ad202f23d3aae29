"""Thousands of sockets that say nothing, or half a ClientHello: memory stays bounded, and honest clients are served."""

import asyncio
import contextlib
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import HOST, PATIENCE, login

SOCKETS, UNDER_WAY = 3000, 400
# Of what a handshake under way costs, about 40 KiB; and some for the sockets that were dropped.
MOST_BYTES = 64 * 1024 * 1024


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for both ends of each socket."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * SOCKETS + 500:
        pytest.skip(f"this process may open {hard} files (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * SOCKETS + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def half_a_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=HOST).do_handshake()
    return outgoing.read()[:200]


async def flood(hub: RunningHub, stack: contextlib.ExitStack, count: int) -> None:
    """Opens so many sockets, at both ports; every second one says half a hello."""
    loop, half = asyncio.get_running_loop(), half_a_hello()
    for number in range(count):
        raw = stack.enter_context(socket.socket())
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", (hub.at.mqtt_port, hub.at.https_port)[number % 4 > 1]))
        if number % 2:
            with contextlib.suppress(OSError):  # it was dropped already
                raw.send(half)


@pytest.mark.usefixtures("descriptors")
async def test_sockets_that_never_shake_hands(make_hub: StartHub) -> None:
    """3,000 of them; 400 may be under way. An honest client comes in all the same, and the one inside lives on."""
    hub = await (await make_hub(f"[hub.limits]\nhandshakes = {UNDER_WAY}\n")).start()
    hub.add("inside")
    hub.add("honest")
    inside = await hub.connected("inside")
    before = resident()
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            flooding = asyncio.create_task(flood(hub, stack, SOCKETS // 10))
            async with asyncio.timeout(PATIENCE):
                await hub.connected("honest")
            await flooding
        assert await inside.alive()
        assert await hub.counted("handshakes_under_way") <= UNDER_WAY + 1
        assert await hub.counted("refused_total", "too-many-handshakes") >= SOCKETS - UNDER_WAY - 50
        assert resident() - before < MOST_BYTES
        # They are one line each at most of the list, of one address.
        assert await hub.counted("failures_listed") <= 16
    async with asyncio.timeout(PATIENCE):
        while await hub.counted("sockets") > 3:
            await asyncio.sleep(0.02)
    assert await inside.alive()


async def test_logins_that_fail_are_bounded(make_hub: StartHub) -> None:
    """A guesser with many connections: each waits, and nobody else does."""
    hub = await (await make_hub("[hub.limits]\nshutdown_timeout = 0.2\n")).start()
    hub.add("leaf1")
    guessers = [await hub.client() for _ in range(12)]
    for guesser in guessers:
        await guesser.send(login("leaf1", key=b"w" * 32))
    async with asyncio.timeout(PATIENCE):
        while await hub.counted("refused_total", "sas-signature-wrong") < len(guessers):
            await asyncio.sleep(0.01)
    assert await hub.counted("refusals_waiting") >= 8
    began = asyncio.get_running_loop().time()
    assert await (await hub.connected("leaf1")).alive()
    assert asyncio.get_running_loop().time() - began < 2.0
    for guesser in guessers:
        await guesser.close()
