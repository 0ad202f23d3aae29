"""kill -9 of the hub while messages come and go: what was acknowledged to the leaf device arrives, in order."""

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from leafward.wire.mqtt.packets import Publish
from tests.hub.hub_certificates import Held
from tests.hub.hub_clients import PATIENCE
from tests.hub.upstream_world import Verdict, broker_of, by_device

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])
PROGRAM = Path(__file__).with_name("upstream_process.py")


async def test_nothing_acknowledged_is_lost(tmp_path: Path, server: Held, root: Held) -> None:
    """Killed three times in the middle, then left to finish: every number is there, each in its order at first.

    The broker is cut off as well, at every 97th message: what it had and did not acknowledge comes twice.
    """
    async with broker_of(tmp_path, server, root) as broker:
        broker.verdict = _hang_up_once(every=97)
        durable = -1
        for _ in range(3):
            durable = await _until_killed(tmp_path, broker.port, durable + 1, numbers=400)
        last = await asyncio.create_subprocess_exec(sys.executable, str(PROGRAM), str(tmp_path), str(broker.port))
        try:
            async with asyncio.timeout(PATIENCE * 2):
                assert await last.wait() == 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                last.kill()
    arrived = by_device(broker.received)["plant/leaf1"]
    assert arrived == sorted(arrived)
    assert set(range(durable + 1)) <= set(arrived)
    assert durable > 1000


def _hang_up_once(every: int) -> Verdict:
    hung: set[bytes] = set()

    def verdict(packet: Publish) -> int | str:
        if int(packet.payload) % every == every - 1 and packet.payload not in hung:
            hung.add(packet.payload)
            return "hang up"
        return 0

    return verdict


async def _until_killed(folder: Path, port: int, first: int, *, numbers: int) -> int:
    """Runs the program until it has said so many numbers, then kills it; the last number it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), str(folder), str(port), str(first), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = first - 1
    try:
        async with asyncio.timeout(PATIENCE * 2):
            for _ in range(numbers):
                said = int(await process.stdout.readline())
    finally:
        process.kill()
    async with asyncio.timeout(PATIENCE):
        while line := await process.stdout.readline():
            said = int(line) if line.endswith(b"\n") else said
        await process.wait()
    return said
