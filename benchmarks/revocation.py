"""What one revocation costs, list signed and published, among few and among very many revoked certificates.

    make bench            or: .venv/bin/python -m benchmarks.revocation --revoked 1000000 --rounds 30 --json

Two makers on SQLite, each with a factory CA whose certificates name their part of its list: one has 1,000 revoked
certificates, the other 1,000,000 (put into the database directly; every part is full and all of it revoked). Each round
revokes one more certificate in both, whose part is full as well: the inventory, the new list signed, logged, durable in
the database and as a file. Rounds alternate, so that whatever else the machine does hits both. The ratio is to be at
most 1.5.
"""

import argparse
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.row import Row
from leafward.authority.crl_shards import CAPACITY, Publishing, key_id_of
from leafward.authority.issuance import Issuance
from leafward.authority.revocation import Revocation
from leafward.pki.chain import fingerprint
from leafward.pki.key_types import DEFAULT_KEY_TYPE
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.maker_database import FILE

FEW = 1000
MANY = 1_000_000
ROUNDS = 30
BOUND = 1.5
WARM_UP = 3
PUBLISHING = Publishing("http://pki.example.com/crl")
# Far from the indices that the log gives out.
_FIRST_INDEX = 1 << 40
_YEAR = timedelta(days=365)


@dataclass
class Maker:
    """An authority with so many revoked certificates, and some living ones to be revoked."""

    issuance: Issuance
    revocation: Revocation
    living: list[str]
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    lines: int = 0

    def revoke_one(self, *, measured: bool) -> None:
        """Revokes a living certificate; notes the seconds on the clock and of the processor."""
        sha256, now = self.living.pop(), datetime.now(UTC)
        wall, cpu = time.perf_counter(), time.process_time()
        outcome = self.revocation.revoke(sha256, "keyCompromise", now=now)
        if measured:
            self.walls.append(time.perf_counter() - wall)
            self.cpus.append(time.process_time() - cpu)
        assert outcome.published is not None, outcome.pending
        self.lines = outcome.published.lines


@dataclass(frozen=True)
class Measured:
    """Milliseconds a revocation, on the clock and of the processor, and how long the list is that was signed."""

    revoked: int
    wall: float
    cpu: float
    lines: int

    @classmethod
    def of(cls, revoked: int, maker: Maker) -> "Measured":
        """The medians of a maker's rounds."""
        wall, cpu = statistics.median(maker.walls), statistics.median(maker.cpus)
        return cls(revoked, wall * 1000, cpu * 1000, maker.lines)


def compare(few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> tuple[Measured, Measured]:
    """One revocation among `few` and among `many` revoked certificates, in alternating rounds."""
    with tempfile.TemporaryDirectory(prefix="leafward-bench-") as folder:
        makers = [_maker(Path(folder) / str(count), count, rounds + WARM_UP) for count in (few, many)]
        for number in range(rounds + WARM_UP):
            for maker in makers:
                maker.revoke_one(measured=number >= WARM_UP)
        for maker in makers:
            maker.issuance.close()
        return Measured.of(few, makers[0]), Measured.of(many, makers[1])


def measure() -> list[Row]:
    """The row of the table that `benchmarks/issuance.py` prints."""
    few, many = compare()
    details = {
        f"{what}, {one.revoked:,} revoked": value
        for one in (few, many)
        for what, value in (("ms on the clock", one.wall), ("ms of processor", one.cpu), ("lines signed", one.lines))
    }
    measure = f"one revocation among {MANY:,} revoked, over one among {FEW:,}"
    return [Row(measure, many.wall / few.wall, BOUND, at_most=True, details=details)]


def _maker(folder: Path, revoked: int, living: int) -> Maker:
    now = datetime.now(UTC)
    issuance = Issuance(folder, publishing=PUBLISHING)
    issuance.root("Bench Root CA", DEFAULT_KEY_TYPE, now=now)
    factory = issuance.intermediate("Bench Factory CA", DEFAULT_KEY_TYPE, now=now)
    key_id = key_id_of(factory.chain.leaf)
    issuance.close()
    _fill(folder / FILE, key_id, revoked, living, now)
    names = (f"device-{number}" for number in range(living))
    issued = [_issue(issuance, name, now) for name in names]
    return Maker(issuance, Revocation(issuance), issued)


def _issue(issuance: Issuance, name: str, now: datetime) -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    request = CertificateRequest(public_key=key, common_name=name)
    return fingerprint(issuance.issue(profile("leaf_device"), request, now=now).leaf)


def _fill(database: Path, key_id: str, revoked: int, living: int, now: datetime) -> None:
    """So many revoked certificates, and the parts of the list that tell of them; in the last is room for `living`."""
    parts = -(-revoked // CAPACITY)
    begun, end = int(now.timestamp()) - 86400, int((now + _YEAR).timestamp())
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")  # of the filling alone: it belongs to this connection
        connection.executemany(_CERTIFICATE, _certificates(key_id, revoked, begun, end))
        connection.execute(_REVOCATIONS, {"first": _FIRST_INDEX, "capacity": CAPACITY, "revoked": begun})
        for part in range(1, parts + 1):
            given = CAPACITY - living if part == parts else CAPACITY
            address = PUBLISHING.list_address(key_id, part)
            row = (key_id, part, address, given, end, 0, 0, 1, begun, end, CAPACITY, "")
            connection.execute(f"INSERT INTO crl_lists VALUES ({', '.join('?' * len(row))})", row)


_CERTIFICATE = f"INSERT INTO certificates VALUES ({', '.join('?' * 13)})"
_REVOCATIONS = """
    INSERT INTO revocations
    SELECT log_index, issuer_key_id, (log_index - :first) / :capacity + 1, serial, not_after, :revoked, 'keyCompromise'
    FROM certificates WHERE log_index >= :first ORDER BY log_index
"""


def _certificates(key_id: str, count: int, begun: int, end: int) -> Iterator[tuple[object, ...]]:
    numbers = random.Random(1)
    for at in range(count):
        sha256, serial = numbers.randbytes(32).hex(), f"{numbers.getrandbits(158) | 1 << 158:x}"
        name = f"revoked-{at}"
        facts = (sha256, "leaf_device", name, name, key_id, serial, begun, end, begun)
        yield (_FIRST_INDEX + at, *facts, None, "revoked", None)


def main() -> int:
    """Measures, prints a table or JSON; exit code 1 where the bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--revoked", type=int, default=MANY)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    few, many = compare(many=options.revoked, rounds=options.rounds)
    ratio = many.wall / few.wall
    if options.json:
        print(json.dumps({"few": vars(few), "many": vars(many), "ratio": ratio, "bound": BOUND}))
    else:
        for one in (few, many):
            print(
                f"{one.revoked:>9} revoked: {one.wall:7.2f} ms, {one.cpu:7.2f} ms of processor, {one.lines} in the list"
            )
        print(f"ratio {ratio:.2f}, to be at most {BOUND}")
    return int(ratio > BOUND)


if __name__ == "__main__":
    sys.exit(main())
