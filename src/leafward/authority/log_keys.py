"""The key that signs the issuance log's checkpoints: Ed25519, made when the log is signed first.

    maker/log/key.pem         the private key, 0600
    maker/log/verifier-key    the public half with the log's name, as signed-note has it; for auditors and witnesses
    maker/log/checkpoint      the last checkpoint (`store/issuance_log/checkpoint_file.py`)

It is no CA's key, and never passphrase-protected: a checkpoint is signed whenever something was issued.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leafward import disk
from leafward.authority.authorities import short_name
from leafward.errors import AlreadyExists, Damaged, EncodingError, KeyUnavailable, NotFound
from leafward.keys.key_store import KeyReference, generate_key, key_exists, open_key
from leafward.pki.key_types import parse_key_type
from leafward.store.database import reader, told_of
from leafward.store.inventory.schema import certificates
from leafward.store.issuance_log.log import IssuanceLog
from leafward.store.issuance_log.note import VerifierKey

FOLDER = "log"
KEY = "key.pem"
VERIFIER_KEY = "verifier-key"

_NAMELESS = "maker"
_MAX_VERIFIER_KEY = 1024


@dataclass(frozen=True)
class LogSigner:
    """`store.issuance_log.note.NoteSigner`: a private key and the log's name."""

    verifier: VerifierKey
    key: Ed25519PrivateKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """See `NoteSigner.sign`."""
        return self.key.sign(message)


def open_log(engine: sa.Engine, maker: Path, *, origin: str | None = None) -> IssuanceLog:
    """The issuance log in a maker's database. Its key is opened, or made, when a checkpoint is signed.

    `origin` names a log that was never signed; by default it is named after the maker's first CA and its own key. The
    name is part of what is signed, so it never changes.
    """
    folder = maker / FOLDER
    return IssuanceLog(engine, folder, lambda kept: _signer(engine, folder, kept, origin))


def known_key(maker: Path) -> VerifierKey | None:
    """The log's public key as this station keeps it beside the database; None where the log was never signed here.

    Raises `Damaged` for a file that is no such key.
    """
    path = maker / FOLDER / VERIFIER_KEY
    try:
        return VerifierKey.parse(disk.read_file(path, limit=_MAX_VERIFIER_KEY).decode("utf-8", "replace"))
    except NotFound:
        return None
    except EncodingError as error:
        hint = "write the line that `leafward ca log key` printed before into it"
        raise Damaged(f"{path} is no key of a log", why=str(error), hint=hint) from error


def _signer(engine: sa.Engine, folder: Path, kept: VerifierKey | None, origin: str | None) -> LogSigner:
    reference = KeyReference("file", str((folder / KEY).absolute()))
    key = _open(reference) if kept is not None or key_exists(reference) else _make(reference)
    public = key.public_key().public_bytes_raw()
    name = kept.name if kept is not None else origin or _default_origin(engine, public)
    signer = LogSigner(VerifierKey(name, public), key)
    if kept in (None, signer.verifier) and known_key(folder.parent) != signer.verifier:
        disk.write_file(folder / VERIFIER_KEY, f"{signer.verifier}\n".encode(), mode=disk.PUBLIC)
    return signer


def _make(reference: KeyReference) -> Ed25519PrivateKey:
    try:
        made = generate_key(reference, parse_key_type("ed25519"))
    except AlreadyExists:  # another process was quicker
        return _open(reference)
    assert isinstance(made, Ed25519PrivateKey)
    return made


def _open(reference: KeyReference) -> Ed25519PrivateKey:
    try:
        key = open_key(reference)
    except NotFound as error:
        raise KeyUnavailable(
            f"the issuance log cannot be signed here: no key {reference.label}",
            why="the log was signed by another key before, and goes on with that",
            hint="copy the folder maker/log from the station that signs, or sign there: leafward ca log checkpoint",
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnavailable(f"{reference.label} cannot sign the issuance log", why="expected an Ed25519 key")
    return key


def _default_origin(engine: sa.Engine, public_key: bytes) -> str:
    """Readable, and another for each log: two makers may name their roots alike."""
    first = sa.select(certificates.c.name).order_by(certificates.c.log_index).limit(1)
    with told_of(engine), reader(engine) as connection:
        name = connection.execute(first).scalar_one_or_none()
    return f"{short_name(name or '') or _NAMELESS}/issuance/{hashlib.sha256(public_key).digest()[:4].hex()}"
