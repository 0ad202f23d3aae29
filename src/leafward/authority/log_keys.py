"""The key that signs the issuance log's checkpoints: made when the log is signed first, or before that where wanted.

    maker/log/key.pem         the private key (Ed25519, 0600); or
    maker/log/key.ref         the reference of a key that is in a token or a TPM, 0600
    maker/log/verifier-key    the public half with the log's name, as signed-note has it; for auditors and witnesses
    maker/log/checkpoint      the last checkpoint (`store/issuance_log/checkpoint_file.py`)

It is no CA's key. A checkpoint is signed whenever something was issued, so a key in a file is not encrypted unless its
maker says so.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from leafward import disk
from leafward.authority.authorities import KEY, KEY_REFERENCE, short_name
from leafward.errors import AlreadyExists, Damaged, EncodingError, KeyUnavailable, NotFound, UsageError
from leafward.keys import passphrase
from leafward.keys.key_store import KeyReference, delete_key, generate_key, key_exists, open_key
from leafward.pki.key_types import KeyType, parse_key_type
from leafward.store.database import reader, told_of
from leafward.store.inventory.schema import certificates
from leafward.store.issuance_log.log import IssuanceLog
from leafward.store.issuance_log.note import VerifierKey
from leafward.store.issuance_log.signature_types import encoded

FOLDER = "log"
VERIFIER_KEY = "verifier-key"
# Ed25519 is what every witness reads. A TPM has none.
KEY_TYPES = ("ed25519", "ec-p256")

_NAMELESS = "maker"
_MAX_VERIFIER_KEY = 1024

LogKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class LogSigner:
    """`store.issuance_log.note.NoteSigner`: a private key and the log's name."""

    verifier: VerifierKey
    key: LogKey = field(repr=False)

    def sign(self, message: bytes) -> bytes:
        """See `NoteSigner.sign`. Raises `KeyUnavailable` for a key that cannot be reached."""
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(message)
        return self.key.sign(message, ec.ECDSA(SHA256()))


def open_log(engine: sa.Engine, maker: Path, *, origin: str | None = None) -> IssuanceLog:
    """The issuance log in a maker's database. Its key is opened, or made, when a checkpoint is signed.

    `origin` names a log that was never signed; by default it is named after the maker's first CA and its own key. The
    name is part of what is signed, so it never changes.
    """
    folder = maker / FOLDER
    return IssuanceLog(engine, folder, lambda kept: _signer(engine, folder, kept, origin))


def default_key_type(at: KeyReference) -> KeyType:
    """The kind of a log's key that is made at a place."""
    return parse_key_type("ec-p256" if at.scheme == "tpm" else "ed25519")


def make_key(at: KeyReference, key_type: KeyType) -> LogKey:
    """A key for a log, made where somebody wants it; encrypted where the process was told so.

    Raises `UsageError` for a kind that signs no notes, and as `KeyStore.generate`.
    """
    if key_type.name not in KEY_TYPES:
        hint = f"one of {', '.join(KEY_TYPES)}"
        raise UsageError(f"the issuance log is not signed by {key_type} keys", hint=hint)
    try:
        return _fit(generate_key(at, key_type, passphrase.in_use()), at)
    except KeyUnavailable as error:
        if key_type.name == "ed25519" and at.scheme in ("pkcs11", "tpm"):
            error.hint = f"where it has no Ed25519: --key ec-p256{f'; {error.hint}' if error.hint else ''}"
        raise


def place_key(maker: Path, at: KeyReference, key_type: KeyType, *, origin: str | None = None) -> VerifierKey | None:
    """Makes the key of a log that was never signed, at a reference. Its public half, where `origin` names the log.

    Without `origin` the log gets its name, and its public key its line, when it is signed first. Raises `AlreadyExists`
    where a key was made or chosen before, and as `make_key`.
    """
    folder = maker / FOLDER
    for name in (KEY_REFERENCE, KEY):
        if (folder / name).exists():
            hint = "its key never changes; another log begins with: leafward ca log restart --at REFERENCE"
            raise AlreadyExists("the issuance log has its key", why=f"{folder / name} stands", hint=hint)
    key = make_key(at, key_type)
    try:
        keep_place(maker, at)
    except BaseException:
        delete_key(at)
        raise
    if origin is None:
        return None
    verifier = _verifier(origin, key)
    _keep(folder, verifier)
    return verifier


def keep_place(maker: Path, at: KeyReference) -> None:
    """Says where the key is, of a log that has none yet. Raises `AlreadyExists`."""
    disk.make_folder(maker / FOLDER)
    disk.create_file(maker / FOLDER / KEY_REFERENCE, f"{at}\n".encode(), mode=disk.PRIVATE)


def place_of(maker: Path) -> KeyReference:
    """Where the log's key is, or will be made."""
    return _reference(maker / FOLDER)


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


def _reference(folder: Path) -> KeyReference:
    try:
        return KeyReference.parse(disk.read_file(folder / KEY_REFERENCE).decode("utf-8", "replace").strip())
    except NotFound:
        return KeyReference("file", str((folder / KEY).absolute()))


def _signer(engine: sa.Engine, folder: Path, kept: VerifierKey | None, origin: str | None) -> LogSigner:
    reference = _reference(folder)
    placed = (folder / KEY_REFERENCE).exists()
    key = _opened(reference) if kept is not None or placed or key_exists(reference) else _make(reference)
    verifier = _named(engine, folder.parent, key, origin) if kept is None else _verifier(kept.name, key)
    signer = LogSigner(verifier, key)
    if kept in (None, signer.verifier) and known_key(folder.parent) != signer.verifier:
        _keep(folder, signer.verifier)
    return signer


def _named(engine: sa.Engine, maker: Path, key: LogKey, origin: str | None) -> VerifierKey:
    """The key under the name of a log that was never signed: the one asked for, or given with its key, or a new one."""
    before = known_key(maker)
    if origin is None and before is not None and before == _verifier(before.name, key):
        return before
    return _verifier(origin or _default_origin(engine, encoded(key.public_key())[1]), key)


def _verifier(name: str, key: LogKey) -> VerifierKey:
    kind, public_key = encoded(key.public_key())
    return VerifierKey(name, public_key, kind)


def _keep(folder: Path, verifier: VerifierKey) -> None:
    disk.write_file(folder / VERIFIER_KEY, f"{verifier}\n".encode(), mode=disk.PUBLIC)


def _make(reference: KeyReference) -> LogKey:
    try:
        return _fit(generate_key(reference, default_key_type(reference)), reference)
    except AlreadyExists:  # another process was quicker
        return _opened(reference)


def _opened(reference: KeyReference) -> LogKey:
    try:
        return _fit(open_key(reference), reference)
    except NotFound as error:
        raise KeyUnavailable(
            f"the issuance log cannot be signed here: no key {reference.label}",
            why="the log has a key of its own, and goes on with that",
            hint="copy the folder maker/log from the station that signs, or sign there: leafward ca log checkpoint",
        ) from error


def _fit(key: object, reference: KeyReference) -> LogKey:
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    why = "expected an Ed25519 or a P-256 key"
    raise KeyUnavailable(f"{reference.label} cannot sign the issuance log", why=why)


def _default_origin(engine: sa.Engine, public_key: bytes) -> str:
    """Readable, and another for each log: two makers may name their roots alike."""
    first = sa.select(certificates.c.name).order_by(certificates.c.log_index).limit(1)
    with told_of(engine), reader(engine) as connection:
        name = connection.execute(first).scalar_one_or_none()
    return f"{short_name(name or '') or _NAMELESS}/issuance/{hashlib.sha256(public_key).digest()[:4].hex()}"
