"""The registry with a million devices, and a site's devices that all register in the same second.

    .venv/bin/python -m benchmarks.provisioning --devices 1000000 --herd 10000 --json

Registry, on SQLite and on PostgreSQL (a cluster of its own, in a temporary folder, durable): import of JSON lines as
`leafward device import` does it, in batches of 5,000; look-ups of random devices, one after the other; the memory of
the process at a tenth of the import and at its end.

Herd (`benchmarks/herd.py`): `leafward provisioning run`, asked on its socket as the hub asks it, with derived symmetric
keys and with certificates two CAs below a verified root; and on its own MQTT port, where each device makes a handshake
with its certificate. The figure is how many failed.
"""

import argparse
import asyncio
import base64
import contextlib
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.herd import SCOPE, Ca, Headers, Herd, Site, by_mqtt, by_socket, contexts, key_pem, pem
from benchmarks.row import Row, table
from leafward.provisioning.database import open_provisioning
from leafward.provisioning.device_import import Counts, DeviceImport
from leafward.provisioning.enrolling import fresh_etag
from leafward.provisioning.key_attestation import derived_key
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.database import reader
from leafward.store.enrolments import CaBook, CaReferences, Enrolment, EnrolmentBook, RegisteredCa, SymmetricKeys
from leafward.store.home import Home
from leafward.store.registry import Registry
from leafward.wire import dps, dps_door, sas

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
LOOKUPS = 20_000
P99_BOUND_MS, IMPORT_BOUND, MEMORY_BOUND_MB = 2.0, 20_000.0, 32.0
KEYS = SymmetricKeys(b"1" * 64, b"2" * 64)


# ---- the registry


def lines(count: int) -> Iterator[bytes]:
    """As `leafward device export --secrets` writes them."""
    for number in range(count):
        key = base64.b64encode(number.to_bytes(32, "big")).decode()
        keys = f'"primary_key":"{key}","secondary_key":"{key}"'
        yield f'{{"device_id":"pump-{number:07d}","auth":"sas",{keys}}}\n'.encode()


def resident_mb() -> float:
    """What the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def registry(where: str | Path, name: str, devices: int) -> list[Row]:
    """Import and look-ups on one database."""
    memory: list[tuple[int, float]] = []
    with Registry.open(where) as opened:
        run = DeviceImport(
            opened,
            datetime.now(UTC),
            refuse=lambda number, why: sys.exit(f"line {number}: {why}"),
            progress=lambda counts: _note(memory, counts),
        )
        begun, spent = time.perf_counter(), time.process_time()
        run.run(lines(devices))
        seconds, spent = time.perf_counter() - begun, time.process_time() - spent
        pairs = list(_look_ups(opened, devices))
    waits, idle = (sorted(column) for column in zip(*pairs, strict=True))
    early = next((mb for seen, mb in memory if seen >= devices / 10), memory[0][1])
    percent = len(waits) / 100
    return [
        Row(
            f"{name}: devices imported a second",
            devices / seconds,
            IMPORT_BOUND,
            details={
                "devices": devices,
                "seconds": seconds,
                "processor microseconds a device, of this process": spent / devices * 1e6,
            },
        ),
        Row(
            f"{name}: look-up among them, p99 in milliseconds",
            waits[int(99 * percent)],
            P99_BOUND_MS,
            at_most=True,
            details={
                "p50 ms": waits[int(50 * percent)],
                "p99.9 ms": waits[int(99.9 * percent)],
                "max ms": waits[-1],
                "p99 ms of SELECT 1 in between": idle[int(99 * percent)],
            },
        ),
        Row(
            f"{name}: memory gained over the last 90 % of the import, in MB",
            memory[-1][1] - early,
            MEMORY_BOUND_MB,
            at_most=True,
            details={"MB at a tenth": early, "MB at the end": memory[-1][1]},
        ),
    ]


def _note(memory: list[tuple[int, float]], counts: Counts) -> None:
    memory.append((counts.seen, resident_mb()))


def _look_ups(opened: Registry, devices: int) -> Iterator[tuple[float, float]]:
    """Milliseconds of a look-up, and of a statement that looks nothing up: what the machine itself makes wait."""
    chance = random.Random(7)
    with reader(opened.engine) as connection:
        for _ in range(LOOKUPS):
            name = f"pump-{chance.randrange(devices):07d}"
            begun = time.perf_counter()
            found = opened.get(name)
            between = time.perf_counter()
            connection.exec_driver_sql("SELECT 1").scalar()
            yield (between - begun) * 1e3, (time.perf_counter() - between) * 1e3
            if found is None:
                sys.exit(f"{name} is not there")


# ---- the herd


def by_key(count: int) -> dict[str, Headers]:
    """Devices with derived keys: their names, and what they send."""
    expiry = int(time.time()) + 7200
    found = {}
    for number in range(count):
        name = f"herd-{number:05d}"
        key = derived_key(KEYS.primary, name)
        found[name] = {"Authorization": sas.sign(dps.resource(SCOPE, name), key, expiry, dps.KEY_NAME)}
    return found


def by_certificate(count: int, site: Site) -> dict[str, Headers]:
    """Devices with certificates: their names, and what the hub hands on."""
    return {
        name: {dps_door.CHAIN: dps_door.write_chain(site.chain(name)), dps_door.OPENS_HUB: "1"}
        for name in (f"herd-x509-{number:05d}" for number in range(count))
    }


@contextlib.asynccontextmanager
async def service(home: Home) -> AsyncIterator[tuple[int, int]]:
    """`leafward provisioning run`, on its socket and on a port of its own; its process id, and its MQTT port."""
    command = [str(LEAFWARD), "provisioning", "run", "--home", str(home.root), "--bind", "127.0.0.1"]
    command += ["--mqtt-port", "0", "--https-port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    try:
        yield process.pid, int(said.partition("on port ")[2].partition(",")[0])
    finally:
        process.terminate()
        await process.wait()


async def herds(folder: Path, keys: int, certificates: int, database: str | None, name: str) -> list[Row]:
    """Each kind, one after the other, on a fresh home."""
    home, site = Home(folder), Site.made()
    home.root.mkdir(parents=True)
    _settle(home, site, database)
    _enrol_in(home, database, site.root)
    by_tls = contexts(site, [f"herd-tls-{number:05d}" for number in range(certificates)], folder / "devices")
    async with service(home) as (process, port):
        socket = home.provisioning_socket
        return [
            await _measured(process, f"{name}: failed of a herd with derived keys", by_socket(socket, by_key(keys))),
            await _measured(
                process,
                f"{name}: failed of a herd with certificates, by the hub's socket",
                by_socket(socket, by_certificate(certificates, site)),
            ),
            await _measured(
                process, f"{name}: failed of a herd with certificates, each by MQTT and TLS", by_mqtt(port, by_tls)
            ),
        ]


async def _measured(process: int, what: str, run: Coroutine[Any, Any, Herd]) -> Row:
    """The herd's own processor time stands beside the service's: on two cores they take it from one another."""
    before, ours, begun = Spent.of(process), time.process_time(), time.perf_counter()
    memory = asyncio.create_task(_largest(process))
    herd = await run
    seconds = time.perf_counter() - begun
    memory.cancel()
    herd.waits.sort()
    after, devices = Spent.of(process), len(herd.waits) + sum(herd.faults.values())
    details = {
        "devices": len(herd.waits),
        "seconds until the last": seconds,
        "registrations a second": herd.answers[202] / seconds,
        "median seconds of a device": herd.waits[len(herd.waits) // 2] if herd.waits else 0.0,
        "told to come back": herd.answers[429],
        "unavailable": herd.answers[503],
        "the service's processor milliseconds a device": (after.seconds - before.seconds) * 1e3 / max(devices, 1),
        "the herd's own": (time.process_time() - ours) * 1e3 / max(devices, 1),
        "MB of the service before": before.megabytes,
        "MB at most": max([after.megabytes, *PEAKS]),
        "MB after": after.megabytes,
        **{f"failed: {kind}": count for kind, count in herd.faults.items()},
    }
    PEAKS.clear()
    return Row(what, herd.failed, 0, at_most=True, details=details)


PEAKS: list[float] = []


async def _largest(process: int) -> None:
    while True:
        PEAKS[:] = [max([Spent.of(process).megabytes, *PEAKS])]
        await asyncio.sleep(0.5)


@dataclass(frozen=True)
class Spent:
    """What a process has used up: processor time, and memory now."""

    seconds: float
    megabytes: float

    @classmethod
    def of(cls, process: int) -> "Spent":
        user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return cls((int(user) + int(system)) / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / 1e6)


def _settle(home: Home, site: Site, database: str | None) -> None:
    """Settings, and a certificate to listen with."""
    (home.root / "server.key").write_bytes(key_pem(site.key))
    (home.root / "server.pem").write_bytes(pem(site.root.leaf("localhost", site.key, server=True)))
    shared = f'database = "{database}"\n' if database else ""
    home.settings.write_text(
        f'[device]\nhostname = "gateway.test"\n[provisioning]\n{shared}connections = 20000\n'
        '[provisioning.listen]\ncertificate = "server.pem"\nkey = "server.key"\n'
    )


def _enrol_in(home: Home, database: str | None, root: Ca) -> None:
    """A group by key, and one by the root, which counts as proved."""
    now = datetime.now(UTC)
    engine = open_provisioning(home, ProvisioningTable(database=database))
    CaBook(engine).add(RegisteredCa("root", root.certificate, verified=True, etag="1", created=now, updated=now))
    for name, attestation in (("keys", KEYS), ("certificates", CaReferences("root"))):
        EnrolmentBook(engine).add(Enrolment(name, True, attestation, now, now, fresh_etag()))
    engine.dispose()


def measure(devices: int, herd: int, certificates: int, *, postgresql: bool = True) -> list[Row]:
    """Every row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = registry(folder / "registry.db", "SQLite", devices)
        rows += asyncio.run(herds(folder / "sqlite", herd, certificates, None, "SQLite"))
        if postgresql:
            # Late: Debian's postgresql need not be here.
            server = importlib.import_module("tests.postgresql").PostgreSql(durable=True).start()
            try:
                rows += registry(server.database(), "PostgreSQL", devices)
                rows += asyncio.run(herds(folder / "postgresql", herd, certificates, server.database(), "PostgreSQL"))
            finally:
                server.stop()
    return rows


def main() -> None:
    """Prints the table, or with --json its rows; exit code 1 where a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--herd", type=int, default=10_000)
    parser.add_argument("--certificates", type=int, default=10_000)
    parser.add_argument("--no-postgresql", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = measure(asked.devices, asked.herd, asked.certificates, postgresql=not asked.no_postgresql)
    print(json.dumps([row.facts() for row in rows]) if asked.json else "\n".join(table(rows)))
    sys.exit(not all(row.holds for row in rows))


if __name__ == "__main__":
    main()
