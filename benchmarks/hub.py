"""The hub beside Debian's Mosquitto: the same P-256 chain, the same load client, one run.

    make bench            or: .venv/bin/python -m benchmarks.hub --json

The load client is a small C program (`benchmarks/load/`), cheaper than both servers, made here with `cc`. Beside every
rate stand the CPU that the server used, by the kernel's own account of its threads, and the client's, so that one sees
which side was the limit. Both servers run alone, one after the other, in turns: each figure is the median of the turns'
ratios. The hub checks a SAS token at each CONNECT and a policy at each message; Mosquitto lets everybody in. Mosquitto
queues without a bound; the hub's queue for one slow reader is set to 16 MiB, beyond which QoS 0 is dropped and counted.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.row import Row, table
from leafward.manager.pairs import PairSlots
from leafward.pki.encoding import private_key_to_pem
from leafward.pki.key_types import DEFAULT_KEY_TYPE
from leafward.store.home import Home
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.wire.sas import sign

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
LOAD = Path(__file__).parent / "load"
KEY = bytes(range(32))
SETTINGS = """[device]
hostname = "localhost"
[hub.limits]
connections = 20000
connections_per_address = 20000
inflight = 10000
write_bytes = 16777216
[hub.policy]
rules = [{who = "*", publish = ["bench/{device}"], subscribe = ["bench/#"]}]
"""
MOSQUITTO = """listener {port} 127.0.0.1
certfile {folder}/chain.pem
keyfile {folder}/key.pem
allow_anonymous true
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
log_dest none
user root
"""


@dataclass
class Server:
    """One server that runs."""

    name: str
    process: int
    port: int
    root: Path
    credentials: Path
    load: Path
    figures: dict[str, list[float]] = field(default_factory=dict)

    def ask(self, mode: str, *options: str) -> dict[str, float]:
        """Runs the load client; its figures, with the server's CPU seconds as `server_cpu`."""
        before = cpu_seconds(self.process)
        done = subprocess.run(self.command(mode, *options), capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise SystemExit(f"{self.name}, {mode}: {done.stderr}")
        found: dict[str, float] = json.loads(done.stdout)
        return {**found, "server_cpu": cpu_seconds(self.process) - before}

    def command(self, mode: str, *options: str) -> list[str]:
        """The load client's command line for this server."""
        where = ["--port", str(self.port), "--ca", str(self.root), "--credentials", str(self.credentials)]
        return [str(self.load), mode, *where, *options]


def cpu_seconds(process: int) -> float:
    """What all threads of a process have used of the processor so far."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident(process: int) -> int:
    """Bytes of memory that a process alone holds, and its share of what it shares."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    return 1024 * next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def build_load(folder: Path) -> Path:
    """The load client, compiled."""
    program = folder / "load"
    sources = [str(LOAD / "load.c"), str(LOAD / "connection.c")]
    subprocess.run(["cc", "-O2", "-o", str(program), *sources, "-lssl", "-lcrypto"], check=True)
    return program


@contextlib.contextmanager
def leafward(folder: Path, load: Path, devices: int) -> Iterator[Server]:
    """`leafward up` with registered devices."""
    home = Home(folder / "home")
    home.root.mkdir()
    home.settings.write_text(SETTINGS)
    credentials = register(home, devices)
    with edge(home) as ready:
        yield Server("leafward", ready["pids"]["hub"], ready["mqtts"]["port"], Path(ready["root"]), credentials, load)


@contextlib.contextmanager
def edge(home: Home, port: int = 0) -> Iterator[dict[str, Any]]:
    """A `leafward up` on a home, until the block ends; what its ready.json says."""
    command = [str(LEAFWARD), "up", "--home", str(home.root), "--bind", "127.0.0.1", "--mqtt-port", str(port or free())]
    process = subprocess.Popen([*command, "--https-port", str(free())], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        while not home.ready.exists():
            if not process.stdout.readline():
                raise SystemExit("leafward up ended")
        yield json.loads(home.ready.read_text())
    finally:
        process.terminate()
        process.communicate(timeout=30)


def register(home: Home, devices: int) -> Path:
    """Devices in the registry; the file of their client ids, user names and tokens."""
    expiry = int((datetime.now(UTC) + timedelta(days=1)).timestamp())
    lines = []
    with Registry.open(home.registry) as registry:
        for number in range(devices):
            name = f"load-{number:05}"
            registry.add(Identity(name, None, "sas", True, "1", KEY, None, None, None, datetime.now(UTC)))
            token = sign(f"localhost/devices/{name}", KEY, expiry)
            lines.append(f"{name}\tlocalhost/{name}/?api-version=2021-04-12\t{token}\n")
    path = home.root.parent / "leafward.credentials"
    path.write_text("".join(lines))
    return path


@contextlib.contextmanager
def mosquitto(folder: Path, home: Home, load: Path, devices: int) -> Iterator[Server]:
    """Mosquitto with the hub's own chain and key."""
    pair = PairSlots(home.manager / "hub-server", DEFAULT_KEY_TYPE).active()
    assert pair is not None
    (folder / "chain.pem").write_bytes(pair.chain.to_pem())
    (folder / "key.pem").write_bytes(private_key_to_pem(pair.key))
    port, credentials = free(), folder / "mosquitto.credentials"
    (folder / "mosquitto.conf").write_text(MOSQUITTO.format(port=port, folder=folder))
    credentials.write_text("".join(f"load-{number:05}\t\t\n" for number in range(devices)))
    process = subprocess.Popen(
        ["mosquitto", "-c", str(folder / "mosquitto.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port)
        yield Server("Mosquitto", process.pid, port, home.root_certificate, credentials, load)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def free() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Returns when somebody listens."""
    last = time.monotonic() + 20
    while time.monotonic() < last:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit("Mosquitto does not listen")


# -- what is measured: one function a row, from a server to figures ---------------------------------------------------

Figures = dict[str, float]


def connections(server: Server, count: int) -> Figures:
    """Full handshakes, each to CONNACK."""
    found = server.ask("connect", "--count", str(count), "--parallel", "8")
    return {"server us": found["server_cpu"] / found["count"] * 1e6, "client us": found["cpu"] / found["count"] * 1e6}


def resumed(server: Server, count: int) -> Figures:
    """Resumed connections, each to CONNACK."""
    found = server.ask("resume", "--count", str(count), "--parallel", "8")
    if found["resumed"] < count:
        raise SystemExit(f"{server.name}: {found['resumed']} of {count} were resumed")
    return rate(found, found["count"])


def messages(qos: int, senders: int) -> Callable[[Server, int], Figures]:
    """Messages of 100 bytes from `senders` to one subscriber."""

    def run(server: Server, count: int) -> Figures:
        options = ["--qos", str(qos), "--senders", str(senders), "--messages", str(count)]
        found = server.ask("messages", *options, "--topic", "bench/%s", "--filter", "bench/#")
        return {**rate(found, found["received"]), "lost": found["sent"] - found["received"]}

    return run


def latency(server: Server, count: int) -> Figures:
    """500 messages a second, QoS 1, one to one; microseconds."""
    options = ["--qos", "1", "--rate", "500", "--seconds", str(count / 500)]
    found = server.ask("latency", *options, "--topic", "bench/%s", "--filter", "bench/#")
    return {"p50 us": found["p50"] * 1e6, "p99 us": found["p99"] * 1e6}


def rate(found: dict[str, float], count: float) -> Figures:
    """What happened a second, and what each cost both sides."""
    each = max(count, 1)
    return {
        "per second": count / found["seconds"],
        "server us": found["server_cpu"] / each * 1e6,
        "client us": found["cpu"] / each * 1e6,
    }


@dataclass(frozen=True)
class Measure:
    """A row of the table: the ratio of `figure`, ours over theirs."""

    name: str
    run: Callable[[Server, int], Figures]
    count: int
    figure: str
    bound: float
    at_most: bool = False


MEASURES = (
    Measure("server CPU a new TLS 1.3 connection, to CONNACK", connections, 1000, "server us", 1.3, at_most=True),
    Measure("resumed connections a second", resumed, 3000, "per second", 0.5),
    Measure("messages a second, QoS 0, 1 to 1", messages(0, 1), 200_000, "per second", 0.8),
    Measure("messages a second, QoS 0, 10 to 1", messages(0, 10), 200_000, "per second", 0.8),
    Measure("messages a second, QoS 1 not stored, 10 to 1", messages(1, 10), 100_000, "per second", 0.8),
    Measure("messages a second, QoS 1 not stored, 1 to 1", messages(1, 1), 100_000, "per second", 0.4),
    Measure("latency p99 at 500 messages a second, QoS 1", latency, 2000, "p99 us", 2.0, at_most=True),
)


def compared(ours: Server, theirs: Server, measure: Measure, turns: int) -> Row:
    """One row: both servers in turns."""
    found = [(measure.run(ours, measure.count), measure.run(theirs, measure.count)) for _ in range(turns)]
    ratios = [mine[measure.figure] / other[measure.figure] for mine, other in found]
    details = {
        f"{server.name}, {name}": statistics.median(turn[side][name] for turn in found)
        for side, server in enumerate((ours, theirs))
        for name in found[0][side]
    }
    return Row(measure.name, statistics.median(ratios), measure.bound, measure.at_most, details)


def durable(server: Server, turns: int) -> Row:
    """Telemetry of ten devices, acknowledged after it is on the disk."""
    options = ["--qos", "1", "--senders", "10", "--receivers", "0", "--messages", "50000"]
    found = [server.ask("messages", *options, "--topic", "devices/%s/messages/events/") for _ in range(turns)]
    each = [rate(one, one["acknowledged"]) for one in found]
    details = {f"leafward, {name}": statistics.median(one[name] for one in each) for name in each[0]}
    return Row("durable telemetry a second (a rate)", details["leafward, per second"], 5000, details=details)


def idle_memory(server: Server, count: int) -> Row:
    """KiB that one idle connection more holds."""
    before = resident(server.process)
    with held(server, count):
        each = (resident(server.process) - before) / count / 1024
    return Row("memory of an idle TLS connection (KiB)", each, 50, at_most=True, details={"connections": count})


@contextlib.contextmanager
def held(server: Server, count: int) -> Iterator[float]:
    """Idle connections, all of them open; how many seconds that took."""
    command = server.command("idle", "--count", str(count), "--parallel", "64")
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the idle connections were refused")
        yield json.loads(line)["seconds"]
    finally:
        process.communicate()


def ten_thousand(folder: Path, load: Path, count: int) -> list[Row]:
    """Many idle connections: what the hub holds, and how long until all are back after a restart of the hub."""
    home = Home(folder / "many")
    home.root.mkdir()
    home.settings.write_text(SETTINGS)
    credentials = register(home, count)
    with edge(home) as ready:
        port = ready["mqtts"]["port"]
        server = Server("leafward", ready["pids"]["hub"], port, Path(ready["root"]), credentials, load)
        with held(server, count):
            memory = resident(server.process) / 1024 / 1024
    begun = time.monotonic()
    with edge(home, port) as ready, held(server, count):
        back = time.monotonic() - begun
    details = {"connections": count}
    return [
        Row(f"{count:,} idle connections held (MiB)", memory, 600, at_most=True, details=details),
        Row(f"{count:,} connections back after a restart (seconds)", back, 30, at_most=True, details=details),
    ]


def measure(turns: int, idle: int, many: int, only: str = "") -> list[Row]:
    """All rows, or those alone that compare and have `only` in their name."""
    chosen = [one for one in MEASURES if only in one.name]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        load = build_load(folder)
        devices = max(idle, 100)
        with leafward(folder, load, devices) as ours, mosquitto(folder, Home(folder / "home"), load, devices) as theirs:
            rows = [compared(ours, theirs, one, turns) for one in chosen]
            if only:
                return rows
            rows.append(durable(ours, turns))
            rows.append(idle_memory(ours, idle))
        return rows + (ten_thousand(folder, load, many) if many else [])


def main() -> int:
    """Prints the table, or JSON; 1 where a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--idle", type=int, default=2000, help="idle connections for the memory of one")
    parser.add_argument("--many", type=int, default=10_000, help="connections held and brought back; 0 for none")
    parser.add_argument("--only", default="", help="part of a row's name: only rows beside Mosquitto that have it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.turns, options.idle, options.many, options.only)
    if options.json:
        print(json.dumps([row.facts() for row in rows], indent=2))
    else:
        print("\n".join(table(rows)))
    return 0 if all(row.holds for row in rows) else 1


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
