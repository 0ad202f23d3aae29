"""The registry with a million devices, and a site's devices that all register in the same second.

    .venv/bin/python -m benchmarks.provisioning --devices 1000000 --herd 10000 --json

Registry, on SQLite and on PostgreSQL (a cluster of its own, in a temporary folder, with fsync off): import of JSON
lines as `leafward device import` does it, in batches of 5,000; look-ups of random devices, one after the other; the
memory of the process at a tenth of the import and at its end.

Herd: `leafward provisioning run`, asked on its socket as the hub asks it. Every device begins at once, does what it is
told (429 with Retry-After, 202, then its operation), and counts as failed when it is not assigned in the end. Two
kinds: derived symmetric keys, and certificates two CAs below a verified root. The figure is how many failed.
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
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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
# Connections that the herd opens at once: the hub's door has fewer.
CONNECTIONS = 500
VERSION = "api-version=2019-03-31"


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
        begun = time.perf_counter()
        run.run(lines(devices))
        seconds = time.perf_counter() - begun
        pairs = list(_look_ups(opened, devices))
    waits, idle = (sorted(column) for column in zip(*pairs, strict=True))
    early = next((mb for seen, mb in memory if seen >= devices / 10), memory[0][1])
    percent = len(waits) / 100
    return [
        Row(
            f"{name}: devices imported a second",
            devices / seconds,
            IMPORT_BOUND,
            details={"devices": devices, "seconds": seconds},
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


@dataclass
class Herd:
    """What became of it."""

    answers: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    waits: list[float] = field(default_factory=list)


Headers = dict[str, str]


def by_key(count: int) -> dict[str, Headers]:
    """Devices with derived keys: their names, and what they send."""
    expiry = int(time.time()) + 7200
    found = {}
    for number in range(count):
        name = f"herd-{number:05d}"
        key = derived_key(KEYS.primary, name)
        found[name] = {"Authorization": sas.sign(dps.resource("leafward", name), key, expiry, dps.KEY_NAME)}
    return found


def by_certificate(count: int, root: "Ca") -> dict[str, Headers]:
    """Devices with certificates below root -> intermediate -> line: their names, and what the hub hands on."""
    intermediate = root.below("Herd Intermediate")
    line = intermediate.below("Herd Line CA")
    key = ec.generate_private_key(ec.SECP256R1())
    above = [line.certificate, intermediate.certificate]
    return {
        name: {dps_door.CHAIN: dps_door.write_chain([line.leaf(name, key), *above]), dps_door.OPENS_HUB: "1"}
        for name in (f"herd-x509-{number:05d}" for number in range(count))
    }


@dataclass(frozen=True)
class Ca:
    """A CA with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def root(cls, name: str) -> "Ca":
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_certificate(name, key, None, ca=True), key)

    def below(self, name: str) -> "Ca":
        key = ec.generate_private_key(ec.SECP256R1())
        return Ca(_certificate(name, key, self, ca=True), key)

    def leaf(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        return _certificate(name, key, self, ca=False)


def _certificate(name: str, key: ec.EllipticCurvePrivateKey, issuer: Ca | None, *, ca: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer else key
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


async def stampede(home: Home, devices: dict[str, Headers]) -> Herd:
    """All at once."""
    herd = Herd()
    connector = aiohttp.UnixConnector(path=str(home.provisioning_socket), limit=CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, base_url="http://provisioning") as session:
        await asyncio.gather(*(_register(session, herd, name, headers) for name, headers in devices.items()))
    return herd


async def _register(session: aiohttp.ClientSession, herd: Herd, name: str, headers: Headers) -> None:
    begun = time.perf_counter()
    body = json.dumps({"registrationId": name}).encode()
    path = f"{dps.register_path('leafward', name)}?{VERSION}"
    while True:
        status, found, later = await _ask(session, "PUT", path, headers, body)
        herd.answers[status] += 1
        if status == 202:
            break
        if status not in (429, 503):
            herd.failed += 1
            return
        await asyncio.sleep(later)
    await asyncio.sleep(later)
    path = f"{dps.operation_path('leafward', name, found['operationId'])}?{VERSION}"
    status, found, _ = await _ask(session, "GET", path, headers, b"")
    herd.failed += status != 200 or found["status"] != "assigned"
    herd.waits.append(time.perf_counter() - begun)


async def _ask(
    session: aiohttp.ClientSession, method: str, path: str, headers: Headers, body: bytes
) -> tuple[int, dict[str, str], float]:
    async with session.request(method, path, headers=headers, data=body) as answer:
        return answer.status, await answer.json(), float(answer.headers.get("Retry-After", 0))


@contextlib.asynccontextmanager
async def service(home: Home) -> AsyncIterator[int]:
    """`leafward provisioning run`; its process id."""
    command = [str(LEAFWARD), "provisioning", "run", "--home", str(home.root)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def herds(folder: Path, keys: int, certificates: int, database: str | None, name: str) -> list[Row]:
    """Both kinds, one after the other, on a fresh home."""
    home = Home(folder)
    home.root.mkdir(parents=True)
    text = '[device]\nhostname = "gateway.test"\n'
    home.settings.write_text(text + (f'[provisioning]\ndatabase = "{database}"\n' if database else ""))
    root = Ca.root("Herd Root")
    _enrol_in(home, database, root)
    rows = []
    async with service(home) as process:
        for kind, devices in (("derived keys", by_key(keys)), ("certificates", by_certificate(certificates, root))):
            begun = time.perf_counter()
            herd = await stampede(home, devices)
            seconds = time.perf_counter() - begun
            herd.waits.sort()
            details = {
                "devices": len(devices),
                "seconds until the last": seconds,
                "registrations a second": len(devices) / seconds,
                "median seconds of a device": herd.waits[len(herd.waits) // 2] if herd.waits else 0.0,
                "told to come back": herd.answers[429],
                "unavailable": herd.answers[503],
                "MB of the service": _resident_of(process),
            }
            rows.append(Row(f"{name}: failed of a herd with {kind}", herd.failed, 0, at_most=True, details=details))
    return rows


def _enrol_in(home: Home, database: str | None, root: Ca) -> None:
    """A group by key, and one by the root, which counts as proved."""
    now = datetime.now(UTC)
    engine = open_provisioning(home, ProvisioningTable(database=database))
    CaBook(engine).add(RegisteredCa("root", root.certificate, verified=True, etag="1", created=now, updated=now))
    for name, attestation in (("keys", KEYS), ("certificates", CaReferences("root"))):
        EnrolmentBook(engine).add(Enrolment(name, True, attestation, now, now, fresh_etag()))
    engine.dispose()


def _resident_of(process: int) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(devices: int, herd: int, certificates: int, *, postgresql: bool = True) -> list[Row]:
    """Every row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = registry(folder / "registry.db", "SQLite", devices)
        rows += asyncio.run(herds(folder / "sqlite", herd, certificates, None, "SQLite"))
        if postgresql:
            # Late: Debian's postgresql need not be here.
            server = importlib.import_module("tests.postgresql").PostgreSql().start()
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
    parser.add_argument("--certificates", type=int, default=2_000)
    parser.add_argument("--no-postgresql", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    rows = measure(asked.devices, asked.herd, asked.certificates, postgresql=not asked.no_postgresql)
    print(json.dumps([row.facts() for row in rows]) if asked.json else "\n".join(table(rows)))
    sys.exit(not all(row.holds for row in rows))


if __name__ == "__main__":
    main()
