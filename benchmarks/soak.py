"""A soak: many leaf devices at one hub for a while, the certificates rotated every few seconds.

    .venv/bin/python -m benchmarks.soak --minutes 30
    .ci/run runs two minutes of it.

Each client has one TLS connection and sends a numbered QoS 1 message every second or so. At the end: no connection was
ever dropped, every acknowledged message is in the hub's store, in its device's order, and the hub's memory is flat. It
prints what it counted, and exits with 1 where one of these is not so.
"""

import argparse
import asyncio
import functools
import json
import random
import ssl
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.hub import LEAFWARD, edge, register, resident
from leafward.store.home import Home
from leafward.store.messages import MessageStore
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Connect, Puback, Publish

SETTINGS = """[device]
hostname = "localhost"
[hub.limits]
connections_per_address = 10000
store_messages = 100000000
"""
# How much the hub may have grown from the first third of the time to the last: 5 % and a few pages of SQLite.
GROWTH, SLACK = 1.05, 4 * 1024 * 1024


@dataclass
class Counts:
    """What happened."""

    clients: int = 0
    acknowledged: int = 0
    dropped: int = 0
    lost: int = 0
    out_of_order: int = 0
    rotations: int = 0
    rotations_failed: int = 0
    memory_mib: list[float] = field(default_factory=list)

    @property
    def flat(self) -> bool:
        """Whether the memory of the last third is that of the first; too short a run says nothing."""
        third = len(self.memory_mib) // 3
        if third < 2:
            return True
        slack = SLACK / 1024 / 1024
        return max(self.memory_mib[-third:]) <= max(self.memory_mib[third : 2 * third]) * GROWTH + slack

    @property
    def good(self) -> bool:
        """Whether all that a soak promises is so."""
        return not (self.dropped or self.lost or self.out_of_order or self.rotations_failed) and self.flat


class Client(asyncio.Protocol):
    """One leaf device."""

    def __init__(self, name: str, username: str, password: str, counts: Counts) -> None:
        self.name = name
        self.accepted = asyncio.get_running_loop().create_future()
        self.acknowledged: list[int] = []
        self.leaving = False
        self._login = Connect(name, 600, username=username, password=password.encode())
        self._counts = counts
        self._decoder = Decoder()
        self._waiting: dict[int, int] = {}
        self._number = 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(encode(self._login))

    def data_received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            if isinstance(packet, Connack):
                self.accepted.set_result(packet.return_code)
            elif isinstance(packet, Puback):
                self.acknowledged.append(self._waiting.pop(packet.packet_id))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.leaving:
            self._counts.dropped += 1
        if not self.accepted.done():
            self.accepted.set_exception(exc or ConnectionError("closed"))

    def send(self) -> None:
        """The next numbered message."""
        self._number += 1
        packet_id = self._number % 65535 + 1
        self._waiting[packet_id] = self._number
        topic = f"devices/{self.name}/messages/events/"
        self._transport.write(encode(Publish(topic, b"%d" % self._number, 1, packet_id=packet_id)))

    async def send_until(self, until: float) -> None:
        """A message every second or so."""
        await asyncio.sleep(random.random())
        while time.monotonic() < until and not self._transport.is_closing():
            self.send()
            await asyncio.sleep(0.5 + random.random())

    async def leave(self) -> None:
        """Waits for what is not acknowledged yet, then goes."""
        for _ in range(100):
            if not self._waiting:
                break
            await asyncio.sleep(0.1)
        self.leaving = True
        self._transport.close()


async def connected(ready: dict[str, Any], credentials: Path, counts: Counts) -> list[Client]:
    """All clients, each let in."""
    context = ssl.create_default_context(cafile=ready["root"])
    loop, where = asyncio.get_running_loop(), ready["mqtts"]
    clients: list[Client] = []
    for line in credentials.read_text().splitlines():
        name, username, password = line.split("\t")
        make = functools.partial(Client, name, username, password, counts)
        _, client = await loop.create_connection(
            make, where["host"], where["port"], ssl=context, server_hostname="localhost"
        )
        if await client.accepted:
            raise SystemExit("a client was refused")
        clients.append(client)
    return clients


async def soak(
    home: Home, ready: dict[str, Any], clients: list[Client], counts: Counts, *, seconds: float, every: float
) -> None:
    """Sends for `seconds`, rotates `every` so many seconds."""
    until = time.monotonic() + seconds
    sending = (client.send_until(until) for client in clients)
    await asyncio.gather(_rotations(home, counts, until, every), _memory(ready["pids"]["hub"], counts, until), *sending)
    await asyncio.gather(*(client.leave() for client in clients))
    counts.acknowledged = sum(len(client.acknowledged) for client in clients)


async def _rotations(home: Home, counts: Counts, until: float, every: float) -> None:
    while time.monotonic() + every < until:
        await asyncio.sleep(every)
        level = "workload" if counts.rotations % 3 == 2 else "hub"
        process = await asyncio.create_subprocess_exec(
            str(LEAFWARD),
            "manager",
            "rotate",
            level,
            "--home",
            str(home.root),
            "--json",
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
        counts.rotations += 1
        counts.rotations_failed += process.returncode != 0 or json.loads(said)["state"] != "done"


async def _memory(process: int, counts: Counts, until: float) -> None:
    while time.monotonic() < until:
        counts.memory_mib.append(round(resident(process) / 1024 / 1024, 1))
        await asyncio.sleep(max(1.0, (until - time.monotonic()) / 60))


def check(home: Home, acknowledged: dict[str, list[int]], counts: Counts) -> None:
    """Compares what was acknowledged with what the hub holds."""
    kept: defaultdict[str, list[int]] = defaultdict(list)
    after = 0
    with MessageStore.open_read_only(home.messages) as store:
        while found := store.read(after, 5000):
            for message in found:
                kept[message.device_id].append(int(message.body))
            after = found[-1].id or 0
    for name, numbers in acknowledged.items():
        counts.lost += len(set(numbers) - set(kept[name]))
        counts.out_of_order += kept[name] != sorted(kept[name])


def run(clients: int, seconds: float, every: float) -> Counts:
    """One soak on a home of its own."""
    counts = Counts()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        home.root.mkdir()
        home.settings.write_text(SETTINGS)
        credentials = register(home, clients)
        with edge(home) as ready:
            check(home, asyncio.run(_run(home, ready, credentials, counts, seconds=seconds, every=every)), counts)
    return counts


async def _run(
    home: Home, ready: dict[str, Any], credentials: Path, counts: Counts, *, seconds: float, every: float
) -> dict[str, list[int]]:
    clients = await connected(ready, credentials, counts)
    counts.clients = len(clients)
    await soak(home, ready, clients, counts, seconds=seconds, every=every)
    return {client.name: client.acknowledged for client in clients}


def main() -> int:
    """Prints the counts; 1 where something was dropped or lost, or grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rotate-every", type=float, default=10, metavar="SECONDS")
    options = parser.parse_args()
    counts = run(options.clients, options.minutes * 60, options.rotate_every)
    print(json.dumps({**asdict(counts), "flat": counts.flat, "good": counts.good}))
    return 0 if counts.good else 1


if __name__ == "__main__":
    sys.exit(main())
