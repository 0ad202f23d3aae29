"""What the device CA signed here, one line a certificate: so that a wipe can retire also what is no longer on the disk.

A workload CA that was renewed is gone with its key, and its certificate is valid for months yet; so is that of a leaf
device that was removed from the registry. A line is durable before the certificate is handed out.

    KIND SERIAL(hex) SHA-256 NOT-AFTER(RFC 3339) ISSUER(SHA-256 of its public key)
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward import disk
from leafward.errors import NotFound
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.extension import serial_number
from leafward.pki.key_types import PublicKey
from leafward.pki.paths import public_key_bytes

NAME = "issued"
# The kind of a leaf device's certificate. A workload CA's is the name of its folder.
LEAF = "leaf-device"
# 150 octets a line; a gateway that signs for a hundred thousand leaf devices has 15 MB.
_MOST = 256 * 1024 * 1024


@dataclass(frozen=True)
class Issued:
    """A certificate that the device CA signed. `not_after` is aware UTC; `issuer` as `key_digest` gives it."""

    kind: str
    serial: int
    sha256: str
    not_after: datetime
    issuer: str


def key_digest(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate's SubjectPublicKeyInfo, hexadecimal."""
    return hashlib.sha256(public_key_bytes(certificate)).hexdigest()


def public_digest(key: PublicKey) -> str:
    """The same of a key without a certificate."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def note_issued(manager: Path, kind: str, chain: Chain) -> None:
    """Writes down that the device CA signed the leaf of `chain`. `manager` is the manager's folder.

    Any number of processes may do so at once: a line is one write. Raises `StoreError`.
    """
    leaf, issuer = chain.leaf, chain.issuers[0]
    facts = (kind, f"{serial_number(leaf):x}", fingerprint(leaf), leaf.not_valid_after_utc.isoformat())
    # The line end stands in front: a line that a power cut left half spoils only itself.
    line = f"\n{' '.join(facts)} {key_digest(issuer)}".encode()
    path = manager / NAME
    disk.make_folder(manager)
    with disk.told(f"cannot write {path}"):
        is_new = not path.exists()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, disk.PRIVATE)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "the line was not written whole")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            disk.sync_folder(manager)


def read_issued(manager: Path) -> Iterator[Issued]:
    """Every line; one that a power cut left half is passed over: its certificate was never handed out."""
    try:
        text = disk.read_file(manager / NAME, limit=_MOST).decode("ascii", "replace")
    except NotFound:
        return
    for line in text.splitlines():
        try:
            kind, serial, sha256, not_after, issuer = line.split(" ")
            found = Issued(kind, int(serial, 16), sha256, datetime.fromisoformat(not_after), issuer)
        except ValueError:
            continue
        yield found
