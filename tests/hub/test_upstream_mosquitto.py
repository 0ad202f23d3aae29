"""Upstream is Debian's Mosquitto, over TLS with a password and a client certificate.

store -> forwarder -- TLS, MQTT 5 or 3.1.1 --> mosquitto -- plain, loopback --> mosquitto_sub: what it prints counts
"""

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import PATIENCE
from tests.hub.upstream_world import Broker, World, world_of

pytestmark = [
    pytest.mark.asyncio(loop_factories=["uvloop"]),
    pytest.mark.skipif(shutil.which("mosquitto") is None, reason="mosquitto is not installed"),
]
PASSWORD = "s3cret"


@dataclass
class Mosquitto:
    """A Mosquitto of its own, which can be killed and comes back with what it has on disk."""

    folder: Path
    tls_port: int
    plain_port: int
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            "mosquitto", "-c", str(self.folder / "mosquitto.conf"), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.plain_port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture
async def mosquitto(tmp_path: Path, server: Held, root: Held) -> AsyncIterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    found = Mosquitto(folder, _free_port(), _free_port())
    (folder / "root.pem").write_bytes(root.leaf.public_bytes(Encoding.PEM))
    (folder / "chain.pem").write_bytes(server.pem())
    (folder / "key.pem").write_bytes(server.key_pem())
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(folder / "passwords"), "gateway", PASSWORD], check=True)
    (folder / "acl").write_text("user gateway\ntopic write plant/#\n")
    (folder / "mosquitto.conf").write_text(
        f"per_listener_settings true\npersistence true\npersistence_location {folder}/\nautosave_interval 1\n"
        f"autosave_on_changes true\nmax_inflight_messages 0\nmax_queued_messages 0\nuser root\n"
        f"listener {found.tls_port} 127.0.0.1\ncafile {folder}/root.pem\ncertfile {folder}/chain.pem\n"
        f"keyfile {folder}/key.pem\nrequire_certificate true\npassword_file {folder}/passwords\n"
        f"acl_file {folder}/acl\nallow_anonymous false\n"
        f"listener {found.plain_port} 127.0.0.1\nallow_anonymous true\n"
    )
    await found.start()
    yield found
    await found.kill()


@pytest.fixture
async def world(tmp_path: Path, root: Held, mosquitto: Mosquitto) -> AsyncIterator[World]:
    """A store and a forwarder whose files are in `tmp_path`."""
    (tmp_path / "root.pem").write_bytes(root.leaf.public_bytes(Encoding.PEM))
    client = make("gateway", root, client=True)
    (tmp_path / "client.pem").write_bytes(client.pem())
    for name, data in (("client-key.pem", client.key_pem()), ("password", PASSWORD.encode() + b"\n")):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
    async with world_of(tmp_path, Broker(None)) as world:  # type: ignore[arg-type]
        world.broker.port = mosquitto.tls_port
        yield world


def table(world: World, **changes: Any) -> Any:
    return world.table(
        username="gateway", password_file="password", certificate="client.pem", key="client-key.pem", **changes
    )


class Subscriber:
    """mosquitto_sub with a lasting session: one line a message, topic and payload."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.lines: list[tuple[str, str]] = []
        self._subscribed = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            # Else what it says first waits in its buffer until there is much of it.
            *("stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", str(self._port), "-d"),
            *("-q", "1", "-c", "-i", "reader", "-t", "plant/#", "-F", "MESSAGE %t %p"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self._task = asyncio.create_task(self._read(self._process.stdout))
        async with asyncio.timeout(PATIENCE):
            await self._subscribed.wait()

    async def _read(self, stream: asyncio.StreamReader) -> None:
        while line := await stream.readline():
            if b"SUBACK" in line:
                self._subscribed.set()
            if line.startswith(b"MESSAGE "):
                _, topic, payload = line.decode().rstrip("\n").split(" ", 2)
                self.lines.append((topic, payload))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(set(self.lines)) < count:
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        if self._process is not None and self._task is not None:
            self._process.terminate()
            await self._process.wait()
            await self._task


@pytest.fixture
async def subscriber(mosquitto: Mosquitto) -> AsyncIterator[Subscriber]:
    found = Subscriber(mosquitto.plain_port)
    try:
        await found.start()
        yield found
    finally:
        await found.stop()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_messages_reach_a_subscriber(world: World, subscriber: Subscriber, version: str) -> None:
    """In order, on the topics of the template; the envelope is the line of `leafward messages --json`."""
    world.run(table(world, version=version, body="envelope"))
    await world.put(*(b"%d" % number for number in range(300)))
    await world.put(b'{"t": 21}', device="edge-device", module_id="filter", output="out1")
    await subscriber.until(301)
    found = [(topic, json.loads(text)) for topic, text in subscriber.lines]
    assert [value["body"] for topic, value in found if topic == "plant/leaf1"] == list(range(300))
    assert found[-1][0] == "plant/edge-device/filter/out1"
    assert found[-1][1]["body"] == {"t": 21}
    assert found[-1][1]["module_id"] == "filter"
    assert [value["id"] for _, value in found] == sorted(value["id"] for _, value in found)
    await world.drained()


async def test_what_the_broker_s_rules_forbid(world: World, subscriber: Subscriber) -> None:
    """MQTT 5 says so: set aside and told. The rest goes on."""
    world.run(table(world, topic="{gateway}/{device}"))
    await world.put(b"1", b"2")
    await world.drained()
    assert world.aside() == [b"1", b"2"]
    assert subscriber.lines == []


async def test_a_wrong_password(world: World) -> None:
    """Told with what to look at."""
    (world.folder / "password").write_text("wrong")
    upstream = world.run(table(world))
    async with asyncio.timeout(PATIENCE):
        while upstream.state.last_error is None:
            await asyncio.sleep(0.01)
    assert "not authorized" in upstream.state.last_error
    assert PASSWORD not in upstream.state.last_error


async def test_a_broker_that_is_killed(world: World, mosquitto: Mosquitto, subscriber: Subscriber) -> None:
    """kill -9 in the middle, twice, and a new start: the subscriber misses nothing, and gets it in order."""
    world.run(table(world, window=20, attempts=100))
    for first in (0, 400):
        await world.put(*(b"%d" % number for number in range(first, first + 400)))
        await subscriber.until(first + 100)
        await mosquitto.kill()
        await mosquitto.start()
    await world.drained()
    await subscriber.until(800)
    arrived = list(dict.fromkeys(int(text) for _, text in subscriber.lines))
    assert arrived == list(range(800))
    assert world.aside() == []
