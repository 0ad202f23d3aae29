"""Transcripts in the issuance log: recorded with what they tell of, signed with the log, held against it.

    .0002-sign.txt.pending    written before anything is recorded
        one transaction: the certificates, and the transcript's digest as an entry of the kind "ceremony"
    0002-sign.txt             in its place
    0002-sign.tlog-proof      its proof: the log's signed checkpoint, and the way from the transcript to it

So the log's key signs each transcript, and nobody can take one away afterwards, the last one included. It is not the
root's key that signs: that is for certificates and revocation lists alone (RFC 5280 4.2.1.3), and whatever else it
signs would be a signature outside the log. A kill leaves a pending file: where the log has it, it is put in its place
by the next run; where not, nothing was recorded and it is removed.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import Authority
from leafward.authority.crl_shards import key_id_of
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Entry
from leafward.authority.log_verification import read_proof
from leafward.authority.proofs import ENDING
from leafward.authority.transcript import FOLDER, Transcript, digest_of, verify_chain
from leafward.errors import Damaged, InputError, KeyUnavailable, LeafwardError, StoreError
from leafward.store.issuance_log.entry import CEREMONY, LogEntry

_PENDING = ".pending"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verified:
    """A transcript that is as it was written. `log_index` is None for one from before transcripts were logged.

    `proof` is None where the log could not be signed up to it yet.
    """

    path: Path
    sha256: str
    log_index: int | None
    proof: Path | None


def keep(issuance: Issuance, record: Transcript, signer: Authority, *, entries: Sequence[Entry] = ()) -> Path:
    """Records a transcript, in one transaction with `entries`, and puts it in its place. Its path.

    `signer` is the CA whose key the ceremony was about. Raises as `Ledger.record`: then nothing was recorded, and no
    transcript is left. Its proof is written where the log can be signed now, else by the next verification.
    """
    finish(issuance)
    number, name, text = record.following(issuance.folder)
    folder = issuance.folder / FOLDER
    disk.make_folder(folder)
    pending = folder / f".{name}{_PENDING}"
    disk.write_file(pending, text, mode=disk.PUBLIC)
    entry = Entry(
        kind=CEREMONY,
        name=None,
        serial=number,
        issuer_key_id=key_id_of(signer.chain.leaf),
        not_before=record.now,
        not_after=record.now,
        der=text,
        sha256=hashlib.sha256(text).hexdigest(),
    )
    try:
        *_, position = issuance.ledger.record([*entries, entry])
    except LeafwardError:
        disk.remove_file(pending)
        raise
    path = _put_in_place(pending)
    _prove(issuance, path, position)
    return path


def proof_of(transcript: Path) -> Path:
    """Where the proof of a transcript is, or would be."""
    return transcript.with_suffix(ENDING)


def finish(issuance: Issuance) -> None:
    """Puts what a killed run recorded in its place, and removes what it did not record."""
    for pending in sorted((issuance.folder / FOLDER).glob(f".*{_PENDING}")):
        if issuance.ledger.log.find(digest_of(pending)) is None:
            disk.remove_file(pending)
        else:
            _put_in_place(pending)


def verify_transcripts(issuance: Issuance) -> list[Verified]:
    """Every transcript, first to last: each follows the one before it, and is what the log says, which is signed.

    Raises `Damaged` naming the first that is not so. A maker that shares its log with other stations is not told of
    transcripts that are gone from its own folder: they may be another's.
    """
    if issuance.has_issued:
        finish(issuance)
    chain = verify_chain(issuance.folder)
    if not issuance.has_issued:
        return [Verified(path, digest, None, None) for path, digest in chain]
    logged = {entry.sha256: (position, entry.serial) for position, entry in _logged(issuance)}
    if issuance.ledger.engine.dialect.name == "sqlite":
        _refuse_missing({digest for _, digest in chain}, logged)
    first = min((number for _, number in logged.values()), default=None)
    return [
        _verified(issuance, path, digest, logged, is_old=first is None or number < first)
        for number, (path, digest) in enumerate(chain, start=1)
    ]


def _verified(
    issuance: Issuance, path: Path, digest: str, logged: dict[str, tuple[int, int]], *, is_old: bool
) -> Verified:
    if digest not in logged:
        if is_old:
            return Verified(path, digest, None, None)
        why, hint = f"no entry has its digest {digest}", "it was changed or put in later: look at its proof file"
        raise Damaged(f"the transcript {path.name} is not in the issuance log", why=why, hint=hint)
    position = logged[digest][0]
    return Verified(path, digest, position, _prove(issuance, path, position))


def _refuse_missing(there: set[str], logged: dict[str, tuple[int, int]]) -> None:
    for digest, (position, number) in logged.items():
        if digest not in there:
            why = f"entry {position} of the issuance log has the digest {digest} for it"
            hint = "it was removed or changed: put back the one that was carried away with the ceremony"
            raise Damaged(f"the transcript {number:04} is gone, or is another one", why=why, hint=hint)


def _logged(issuance: Issuance) -> Iterator[tuple[int, LogEntry]]:
    for position, text in issuance.ledger.log.find_kind(CEREMONY).items():
        entry = LogEntry.parse(text)
        if entry.kind == CEREMONY:
            yield position, entry


def _prove(issuance: Issuance, transcript: Path, position: int) -> Path | None:
    """Writes the proof, unless one is there that holds. None where the log cannot be signed up to it now."""
    path = proof_of(transcript)
    if _holds(issuance, path, position):
        return path
    try:
        disk.write_file(path, str(issuance.ledger.log.proof(position)).encode(), mode=disk.PUBLIC)
    except Damaged:
        raise
    except (KeyUnavailable, StoreError) as error:
        _logger.warning("the transcript %s is recorded, and not signed yet: %s", transcript.name, error)
        return None
    return path


def _holds(issuance: Issuance, path: Path, position: int) -> bool:
    """Whether a proof file proves the entry at a position; after the log began anew it is under the old key."""
    key = issuance.ledger.log.state().key
    if key is None or not path.exists():
        return False
    try:
        proof = read_proof(path)
        proof.verified(key)
    except InputError:
        return False
    return (proof.index, [proof.entry]) == (position, issuance.ledger.log.entries(position, position + 1))


def _put_in_place(pending: Path) -> Path:
    path = pending.with_name(pending.name.removeprefix(".").removesuffix(_PENDING))
    with disk.told(f"cannot put the transcript {path.name} in its place"):
        pending.rename(path)
        disk.sync_folder(path.parent)
    return path
