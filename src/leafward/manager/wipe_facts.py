"""What a wipe is about to destroy, told without telling whose it was: digests of public keys, and numbers.

Nothing here may stop a wipe: a database that does not read counts as unknown, a certificate that does not read as a key
without one.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import LeafwardError
from leafward.keys.key_store import KeyReference, open_key
from leafward.manager.module_secrets import MASTER_KEY
from leafward.manager.pairs import CERTIFICATE, KEY
from leafward.manager.wipe_issued import LEAF, key_digest, public_digest, read_issued
from leafward.manager.workload_ca import FOLDER as WORKLOAD_CA
from leafward.pki.chain import Chain, fingerprint, is_issued_by
from leafward.pki.extension import serial_number
from leafward.pki.receipt import DestroyedKey, RetiredCertificate
from leafward.store.home import Home

_SESSIONS = "sessions.json"
_MOST_SESSIONS = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Facts:
    """What there is; see `Plan`."""

    keys: tuple[DestroyedKey, ...]
    counts: dict[str, int | None]
    retire: tuple[RetiredCertificate, ...]


def gather(home: Home, going: Iterable[Path], device_ca: x509.Certificate | None, now: datetime) -> Facts:
    """Looks at what is `going`. Certificates that end before `now` need no retiring; nor do those of another issuer."""
    kept_here = list(_kept_certificates(home, going))
    keys = [_key(*found) for found in kept_here]
    if (home.manager / MASTER_KEY).is_file():
        keys.append(DestroyedKey(kind="module-encryption"))
    return Facts(tuple(keys), _counts(home), tuple(_to_retire(home, kept_here, device_ca, now)))


_Found = tuple[str, Path, x509.Certificate | None]


def _kept_certificates(home: Home, going: Iterable[Path]) -> Iterator[_Found]:
    """(kind, folder, certificate) of every key below the manager's folder."""
    for path in going:
        if path.parent == home.manager and path.is_dir() and not path.is_symlink():
            for key in sorted(path.rglob(KEY)):
                yield path.name, key.parent, _leaf(key.parent)


def _key(kind: str, folder: Path, leaf: x509.Certificate | None) -> DestroyedKey:
    certificate = None if leaf is None else fingerprint(leaf)
    return DestroyedKey(kind=kind, key=_digest(folder, leaf), certificate=certificate)


def _leaf(folder: Path) -> x509.Certificate | None:
    try:
        return Chain.from_pem(disk.read_file(folder / CERTIFICATE)).leaf
    except LeafwardError:
        return None


def _digest(folder: Path, leaf: x509.Certificate | None) -> str | None:
    if leaf is not None:
        return key_digest(leaf)
    try:
        return public_digest(open_key(KeyReference("file", str(folder.absolute() / KEY))).public_key())
    except LeafwardError as error:
        _log.warning("a key that goes does not read: %s", error)
        return None


def _to_retire(
    home: Home, kept_here: Iterable[_Found], device_ca: x509.Certificate | None, now: datetime
) -> Iterator[RetiredCertificate]:
    """Each certificate once: what lies here, then what was noted."""
    if device_ca is None:
        return
    found: dict[int, RetiredCertificate] = {}
    lying = [(kind, leaf) for kind, _, leaf in kept_here if kind == WORKLOAD_CA]
    lying += [(LEAF, _leaf(folder)) for folder in (sorted(home.devices.iterdir()) if home.devices.is_dir() else ())]
    for kind, leaf in lying:
        if leaf is not None and leaf.not_valid_after_utc >= now and is_issued_by(leaf, device_ca):
            found[serial_number(leaf)] = _retired(kind, serial_number(leaf), fingerprint(leaf))
    issuer = key_digest(device_ca)
    for one in read_issued(home.manager):
        if one.issuer == issuer and one.not_after >= now:
            found.setdefault(one.serial, _retired(one.kind, one.serial, one.sha256))
    yield from found.values()


def _retired(kind: str, serial: int, sha256: str) -> RetiredCertificate:
    return RetiredCertificate(kind=kind, sha256=sha256, serial=f"{serial:x}")


def _counts(home: Home) -> dict[str, int | None]:
    devices, modules = _identities(home.registry)
    return {
        "devices": devices,
        "modules": modules,
        "leaf_credentials": sum(1 for _ in home.devices.iterdir()) if home.devices.is_dir() else 0,
        "messages": _messages(home.messages),
        "sessions": _sessions(home.hub / _SESSIONS),
    }


def _identities(path: Path) -> tuple[int | None, int | None]:
    """How many devices and modules are registered."""
    if not path.exists():
        return 0, 0
    from leafward.store.registry import Registry  # noqa: PLC0415 - SQLAlchemy is the slowest thing a start would load

    try:
        with Registry.open(path) as registry:
            return registry.count()
    except LeafwardError as error:
        _log.warning("the registrations are not counted: %s", error)
        return None, None


def _messages(path: Path) -> int | None:
    if not path.exists():
        return 0
    from leafward.store.messages import MessageStore  # noqa: PLC0415 - as above

    try:
        with MessageStore.open_read_only(path) as store:
            return store.count()
    except LeafwardError as error:
        _log.warning("the messages are not counted: %s", error)
        return None


def _sessions(path: Path) -> int | None:
    if not path.exists():
        return 0
    try:
        found = json.loads(disk.read_file(path, limit=_MOST_SESSIONS))
    except (LeafwardError, ValueError):
        return None
    return len(found) if isinstance(found, list) else None
