"""How fast the authority issues: every figure a ratio to what the library beneath can do in the same run.

    make bench            or: .venv/bin/python -m benchmarks.issuance [--quick] [--json]

What is compared is measured in short turns that alternate, so that whatever else the machine does hits both; the median
of the turns' ratios is the figure. Figures of one core count its CPU time. EST, revocation and the HSM have rooms of
their own beside this one and stand in the same table. `--quick` is for a check in a few seconds: 1,000 requests.
"""

import argparse
import gc
import importlib
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from benchmarks.row import Row, table
from leafward.keys.serial import new_serial, new_serials
from leafward.pki.bulk import BulkIssuer
from leafward.pki.bulk_request import BulkRequest, RequestReader
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import PrivateKey
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

BATCH = 500
SIGNED = bytes(420)  # as long as the TBS of a device CA
ECDSA = ec.ECDSA(hashes.SHA256())
# Rows that stand in rooms of their own: module, and the function that gives them.
OTHERS = ("benchmarks.issuance_lot", "benchmarks.issuance_hsm", "benchmarks.est", "benchmarks.revocation")


@dataclass
class Turns:
    """CPU seconds a piece of two things done in turns: what we do, and what it is compared with."""

    ours: list[float]
    base: list[float]

    @property
    def ratio(self) -> float:
        """Our rate as a part of the other one; the median over the turns."""
        return statistics.median(base / ours for ours, base in zip(self.ours, self.base, strict=True))

    def details(self, ours: str, base: str) -> dict[str, float]:
        """The rates behind the ratio."""
        return {f"{ours}, 1/s": 1 / statistics.median(self.ours), f"{base}, 1/s": 1 / statistics.median(self.base)}


def in_turns(
    ours: Callable[[], object],
    base: Callable[[], object],
    *,
    pieces: int,
    turns: int,
    clock: Callable[[], float] = time.process_time,
) -> Turns:
    """Does both in turns, after one turn that does not count; without the garbage collector, as `timeit` does.

    The signing processes of a lot run without it as well, and collect between batches.
    """
    found = Turns([], [])
    for turn in range(turns + 1):
        for action, seconds in ((base, found.base), (ours, found.ours)):
            gc.collect()
            gc.disable()
            begin = clock()
            action()
            if turn:
                seconds.append((clock() - begin) / pieces)
            gc.enable()
    return found


def new_issuer(key: PrivateKey | None = None) -> Issuer:
    """An intermediate CA below a root, ready to issue device CAs; all P-256."""
    now = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), key or ec.generate_private_key(ec.SECP256R1())
    root = Issuer.self_signed_root(root_key, common_name="Benchmark Root CA", now=now, serial=new_serial())
    request = CertificateRequest(public_key=key.public_key(), common_name="Benchmark Factory CA")
    prepared = root.prepare(profile("intermediate_ca"), request, now=now, serial=new_serial(), path_length=2)
    return Issuer(prepared.sign(), key)


def new_csr(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A request in DER, as a device makes it."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def from_public_keys(issuer: Issuer, count: int, turns: int) -> Row:
    """Public key -> certificate on one core, against the raw signing rate of the same key."""
    spkis = [
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for _ in range(count)
    ]
    key, bulk = issuer.key, BulkIssuer(issuer, profile("device_ca"), now=datetime.now(UTC))
    assert isinstance(key, ec.EllipticCurvePrivateKey)

    def raw() -> None:
        for _ in range(count):
            key.sign(SIGNED, ECDSA)

    def issue() -> None:
        for start in range(0, count, BATCH):
            some = spkis[start : start + BATCH]
            asked = zip(
                map(BulkRequest.of_key, some), range(start, start + len(some)), new_serials(len(some)), strict=True
            )
            _all_made(bulk.issue_batch([(request, f"device-{n:06}", serial) for request, n, serial in asked]))

    found = in_turns(issue, raw, pieces=count, turns=turns)
    details = found.details("certificates", "raw signatures")
    return Row("public key -> certificate, bulk path, P-256, one core", found.ratio, 0.8, details=details)


def from_requests(issuer: Issuer, count: int, turns: int) -> Row:
    """CSR -> certificate with proof of possession on one core, against one verification plus one signature."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(count)]
    csrs = [new_csr(key, f"device-{number:06}") for number, key in enumerate(keys)]
    key, bulk = issuer.key, BulkIssuer(issuer, profile("device_ca"), now=datetime.now(UTC))
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    public_key, signature, reader = key.public_key(), key.sign(SIGNED, ECDSA), RequestReader()

    def raw() -> None:
        for _ in range(count):
            public_key.verify(signature, SIGNED, ECDSA)
            key.sign(SIGNED, ECDSA)

    def issue() -> None:
        for start in range(0, count, BATCH):
            read: Any = reader.read_all(csrs[start : start + BATCH])
            asked = zip(read, new_serials(len(read)), strict=True)
            _all_made(bulk.issue_batch([(request, request.common_name, serial) for request, serial in asked]))

    found = in_turns(issue, raw, pieces=count, turns=turns)
    details = found.details("certificates", "verification + signature")
    return Row("CSR -> certificate with proof of possession, one core", found.ratio, 0.7, details=details)


def _all_made(made: Sequence[object]) -> None:
    if not all(isinstance(one, bytes) for one in made):
        raise SystemExit(f"not every certificate was made: {next(one for one in made if not isinstance(one, bytes))}")


def other_rows(quick: bool) -> list[Row]:
    """The rows of the other rooms, those that are there."""
    rows: list[Row] = []
    for name in OTHERS:
        if importlib.util.find_spec(name) is None:
            continue
        measure = getattr(importlib.import_module(name), "measure", None)
        if measure is None:
            continue
        takes_quick = "quick" in measure.__code__.co_varnames[: measure.__code__.co_argcount]
        found = measure(quick=quick) if takes_quick else measure()
        rows += [_row(name, found)] if isinstance(found, dict) else found
    return rows


def _row(name: str, figures: dict[str, float]) -> Row:
    """The row of a room that tells its figures by name: "ratio", "bound" (at most), and what is behind them."""
    others = {key: value for key, value in figures.items() if key not in ("ratio", "bound")}
    title = (importlib.import_module(name).__doc__ or name).partition("\n")[0].rstrip(".")
    return Row(title, figures["ratio"], figures["bound"], at_most=True, details=others)


def main() -> None:
    """Prints the table, or JSON. Ends with 1 where a bound is not kept; `--quick` is too short to judge by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 requests, a few turns")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=["bulk"], help="the first two rows alone")
    arguments = parser.parse_args()
    count, turns = (1000, 5) if arguments.quick else (4000, 15)
    issuer = new_issuer()
    rows = [from_public_keys(issuer, count, turns), from_requests(issuer, count, turns)]
    if arguments.only is None:
        rows += other_rows(arguments.quick)
    if arguments.json:
        print(json.dumps([row.facts() for row in rows]))
    else:
        print("\n".join(table(rows)))
    sys.exit(not arguments.quick and not all(row.holds for row in rows))


if __name__ == "__main__":
    main()
