"""Ledgers with a clock that stands, and entries that a database cannot tell from real ones."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from leafward.authority.ledger import Entry, Ledger
from leafward.authority.log_verification import verify_home
from leafward.pki.issuer import prepare_root

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
ISSUER = "ab" * 20


class Clock:
    """Stands at `now` until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def entry(name: str | None = "pump-1", kind: str = "device_ca", **changes: Any) -> Entry:
    """Not a certificate, and nobody here looks into its bytes."""
    der = changes.pop("der", secrets.token_bytes(40))
    values: dict[str, Any] = {
        "serial": secrets.randbits(150) | 1 << 150,
        "issuer_key_id": ISSUER,
        "not_before": NOW - timedelta(hours=1),
        "not_after": NOW + YEAR,
        **changes,
    }
    return Entry(kind=kind, name=name, der=der, sha256=hashlib.sha256(der).hexdigest(), **values)


def real_entry(
    name: str = "pump-1", *, serial: int | None = None, key: ec.EllipticCurvePrivateKey | None = None
) -> Entry:
    """A certificate that can be read: a root, since nothing here asks who signed it. One key is one issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    root = prepare_root(key, common_name=name, now=NOW, serial=serial or secrets.randbits(150) | 1 << 150).sign()
    return Entry.of("device_ca", root.leaf)


def differences(ledger: Ledger, now: datetime = NOW) -> list[str]:
    """What the log's own verification finds wrong: between log, inventory and checkpoints."""
    return [str(one) for one in verify_home(ledger.log, now=now).differences]


def names(ledger: Ledger) -> list[str]:
    """The names that live, in the order of issuing."""
    return [found.name or "" for found in ledger.inventory.search(now=NOW, limit=10_000).found]


def open_ledger(folder: Path, database: str | None, clock: Clock | None = None) -> Ledger:
    return Ledger.open(folder, database=database, clock=clock or Clock())
