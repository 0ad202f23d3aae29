"""`leafward ca log verify`: what is held against what, in the database of a home or in files alone."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from leafward import disk
from leafward.authority.ledger import Ledger
from leafward.authority.log_keys import known_key
from leafward.errors import EncodingError, InputError, NotFound
from leafward.pki.chain import fingerprint
from leafward.pki.encoding import load_certificates, load_crls
from leafward.store.issuance_log.audit import audit
from leafward.store.issuance_log.checkpoint import Checkpoint
from leafward.store.issuance_log.difference import Report
from leafward.store.issuance_log.entry import LogEntry
from leafward.store.issuance_log.export_audit import audit_export
from leafward.store.issuance_log.log import IssuanceLog
from leafward.store.issuance_log.note import MAX_NOTE_SIZE, VerifierKey
from leafward.store.issuance_log.proof import InclusionProof
from leafward.store.issuance_log.signatures import Held
from leafward.store.issuance_log.walk import Progress

_SHA256_DIGITS = 64


def read_key(text: str) -> VerifierKey:
    """A public key of a log: the line itself, or the file it stands in. Raises `EncodingError` or `NotFound`."""
    path = Path(text)
    if path.is_file():
        text = disk.read_file(path, limit=MAX_NOTE_SIZE).decode("utf-8", "replace")
    elif "+" not in text:
        raise NotFound(f"no file {text}", hint="give the line that `leafward ca log key` prints, or its file")
    return VerifierKey.parse(text)


def verify_home(
    log: IssuanceLog,
    *,
    now: datetime,
    key: VerifierKey | None = None,
    checkpoints: Sequence[Path] = (),
    exported: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """The log of a home against itself, its inventory, its checkpoint file, and whatever else is given.

    `key` is what the caller knows of the log's key; without it, the one kept beside the database counts.
    """
    expected = key or known_key(log.folder.parent)
    own = log.file.read()
    held = ([Held(str(log.file.path), own)] if own is not None else []) + _held(checkpoints)
    report = audit(log.engine, now=now, key=expected, held=held, progress=progress)
    if own is None and report.signed and log.engine.dialect.name == "sqlite":
        report.add("checkpoint-missing", f"{log.file.path} is gone: an old copy of the database could not be told")
    if exported is not None:
        trusted = expected or _key_of(log)
        files = audit_export(exported, trusted, held=_held(checkpoints), against=log.engine, progress=progress)
        report.add_all(files.differences)
        report.not_shown += files.not_shown
    return report


def verify_files(
    exported: Path, key: VerifierKey, *, checkpoints: Sequence[Path] = (), progress: Progress | None = None
) -> Report:
    """Exported files alone: nothing of the maker's is needed but these and the log's public key."""
    return audit_export(exported, key, held=_held(checkpoints), progress=progress)


def verify_proof(proof: Path, key: VerifierKey, about: Path | None) -> tuple[Checkpoint, LogEntry]:
    """A proof as it was handed out, text or JSON. The checkpoint it leads to, and what was logged.

    `about` is the file it must be of, as the entry says: a certificate (PEM or DER; of a chain the first), a revocation
    list, an OCSP response in DER, a transcript; None: anything. Raises `InputError` for a proof that does not hold or
    is of something else, `NotFound` where a file is not there.
    """
    found = read_proof(proof)
    checkpoint = found.verified(key)
    entry = LogEntry.parse(found.entry)
    if about is not None and (got := _digest(disk.read_file(about), entry)) != entry.sha256:
        why = f"got the proof of {entry.sha256}, and the file's own is {got}"
        raise InputError(f"the proof is of another {_word(entry)}", why=why)
    return checkpoint, entry


def read_proof(path: Path) -> InclusionProof:
    """A proof in a file. Raises `EncodingError` for what is none."""
    text = disk.read_file(path, limit=2 * MAX_NOTE_SIZE).decode("utf-8", "replace")
    if not text.lstrip().startswith("{"):
        return InclusionProof.parse(text)
    try:
        return InclusionProof.from_json(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"{path} is no JSON", why=str(error)) from error


def find_position(ledger: Ledger, wanted: str, *, now: datetime) -> int:
    """The position of a certificate (fingerprint, serial or name), or of a CRL or OCSP response by its SHA-256.

    Raises `NotFound` where nothing, or more than one, is meant.
    """
    try:
        return ledger.inventory.get(wanted, now).log_index
    except NotFound:
        digits = wanted.lower().replace(":", "")
        found = ledger.log.find(digits) if len(digits) == _SHA256_DIGITS else None
        if found is None:
            raise
        return int(found)


def _digest(data: bytes, entry: LogEntry) -> str:
    """The SHA-256 under which something of the entry's kind is logged, lower-case hex."""
    if entry.is_certificate:
        return fingerprint(load_certificates(data)[0])
    if entry.kind == "crl":
        data = load_crls(data)[0].public_bytes(Encoding.DER)
    return hashlib.sha256(data).hexdigest()


def _word(entry: LogEntry) -> str:
    return "certificate" if entry.is_certificate else entry.kind


def _held(paths: Sequence[Path]) -> list[Held]:
    return [Held(str(path), disk.read_file(path, limit=MAX_NOTE_SIZE)) for path in paths]


def _key_of(log: IssuanceLog) -> VerifierKey:
    key = log.state().key
    if key is None:
        raise NotFound("this log was never signed", hint="leafward ca log checkpoint")
    return key
