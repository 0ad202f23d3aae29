"""The offline root: everything that needs its key, on a machine without a network, from files carried on a stick.

    online    ask       puts requests on the stick; their digest goes on paper
    offline   plan      reads, checks and prepares all of them; nothing is signed yet, and all is shown
              sign      signs, records, writes the transcript, puts the answer on the stick
    online    take_in   checks the answer, and completes the CAs that wait

A root that is made or rolled over in a ceremony leaves a transcript too. What concerns revocation lists is in
`ceremony_lists.py`. `docs/hierarchy.md` has it step by step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.authority import stick as bundles
from leafward.authority import transcript_log
from leafward.authority.authorities import Authority
from leafward.authority.ceremony_lists import PlannedLists, SignedLists, plan_lists, publish_lists, take_in_lists
from leafward.authority.crl_publication import Published
from leafward.authority.imports import Imported, import_files
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Entry
from leafward.authority.log_verification import verify_proof
from leafward.authority.proofs import ENDING
from leafward.authority.rollover import Rollover
from leafward.authority.stick import Item, ListItem, Record, RequestBundle, ResponseBundle
from leafward.authority.transcript import FOLDER, Transcript, chain_facts, kept, machine
from leafward.errors import AccessDenied, AlreadyExists, InputError, NotFound
from leafward.keys.serial import new_serial
from leafward.pki.chain import Chain, fingerprint, is_issued_by
from leafward.pki.constraints import parse_permitted_ip, parse_policy
from leafward.pki.encoding import load_certificates
from leafward.pki.names import parse_common_name
from leafward.pki.prepared import Prepared
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.issuance_log.note import VerifierKey

RECEIVED = "received"
LOG_KEY = "log-key"


@dataclass(frozen=True)
class Planned:
    """An item that was checked and waits for its one signature."""

    item: Item
    prepared: Prepared


@dataclass(frozen=True)
class Plan:
    """What a ceremony would sign. `digest` is that of `request.json`."""

    stick: Path
    digest: str
    issuer: Authority
    items: tuple[Planned, ...]
    lists: tuple[PlannedLists, ...] = ()

    def lines(self) -> list[str]:
        """What would be revoked; and each certificate in full, as it would be signed, but for signature and digest."""
        found = [line for planned in self.lists for line in (*planned.lines(), "")]
        for planned in self.items:
            found += [f"{planned.item.file}: {planned.item.profile} {planned.item.name!r}", ""]
            found += [
                line for line in chain_facts(Chain.of(planned.prepared.rehearsal)) if "sha256   " not in line[:11]
            ]
        return found


def ask(stick: Path, csr: bytes, item: Item, *, now: datetime) -> str:
    """Puts a request on the stick, unless the signer would refuse it. The digest of the whole, for the paper."""
    profile(item.profile)
    _request(CertificateRequest.from_csr(csr), item)
    return bundles.add_to_request(stick, csr, item, now=now, machine=machine()["machine"])


def ask_for_lists(stick: Path, item: ListItem, *, now: datetime) -> str:
    """Asks for a CA's revocation lists. The digest of the whole, for the paper."""
    return bundles.add_lists(stick, item, now=now, machine=machine()["machine"])


def plan(issuance: Issuance, stick: Path, issuer: Authority, *, now: datetime) -> Plan:
    """Reads a request and prepares every certificate of it. Raises what the rules refuse; nothing is signed then."""
    bundle = RequestBundle.read(stick)
    signer = issuer.issuer()
    items = tuple(
        Planned(
            item,
            signer.prepare(
                profile(item.profile),
                _request(bundle.request_of(stick, item), item),
                now=now,
                serial=new_serial(),
                lifetime=item.lifetime,
                path_length=item.path_length,
            ),
        )
        for item in bundle.items
    )
    lists = tuple(plan_lists(issuance, bundle, issuer, now=now))
    return Plan(stick, bundles.request_digest(stick), issuer, items, lists)


def check_digest(ceremony: Plan, expected: str) -> None:
    """Raises `AccessDenied` unless the digest (or its first 8 digits or more) is the one carried on paper."""
    if len(expected) < 8 or not ceremony.digest.startswith(expected.lower()):
        raise AccessDenied(
            "the request is not the one that was written down",
            why=f"got the digest {ceremony.digest}, expected {expected}",
            hint="sign nothing; make the request again, and carry its digest on paper",
        )


def sign(issuance: Issuance, ceremony: Plan, *, by: Sequence[str], confirmed: str, now: datetime) -> list[Path]:
    """Signs all, records all in one transaction with the transcript, then writes the answer. Its chains and lists.

    `confirmed` says how the people agreed, for the transcript. A run that was killed before the answer was whole is
    finished by the next one: nothing is signed a second time.
    """
    transcript_log.finish(issuance)
    before = _signed_before(issuance, ceremony)
    lists = publish_lists(issuance, ceremony.lists, ceremony.issuer, now=now, again=before is not None)
    if before is not None:
        signed, path = before
    else:
        signed = [(planned.item, planned.prepared.sign()) for planned in ceremony.items]
        record = _told(ceremony, signed, lists, by=by, confirmed=confirmed, now=now)
        entries = [Entry.of(item.profile, chain.leaf) for item, chain in signed]
        path = transcript_log.keep(issuance, record, ceremony.issuer, entries=entries)
    return bundles.write_response(
        ceremony.stick,
        signed,
        _record(path),
        lists=lists.files() if lists else (),
        now=now,
        machine=machine()["machine"],
    )


def take_in(
    issuance: Issuance, stick: Path, *, now: datetime, log_key: VerifierKey | None = None
) -> tuple[list[Imported], list[Published]]:
    """Brings the answer home: the waiting CAs are completed, the lists kept to be handed out, the transcript kept.

    A chain for somebody else's CA, which is not waiting here, becomes known as one whose key is elsewhere. With
    `log_key`, the public key of the offline machine's log, its transcript must be in that log: else `AccessDenied`.
    """
    answer = ResponseBundle.read(stick)
    if log_key is not None:
        _verify_transcript(stick, answer, log_key)
    found = import_files(issuance.authorities, answer.chains(stick), now=now) if answer.items else []
    lists = take_in_lists(issuance, stick, answer, now=now) if answer.lists else []
    folder = issuance.folder / FOLDER / RECEIVED
    disk.make_folder(folder)
    kept_as = folder / f"{answer.transcript[:16]}.txt"
    disk.write_file(kept_as, disk.read_file(stick / bundles.TRANSCRIPT), mode=disk.PUBLIC)
    if answer.proof is not None:
        disk.write_file(kept_as.with_suffix(ENDING), disk.read_file(stick / bundles.PROOF), mode=disk.PUBLIC)
    return found, lists


def tell_of_root(issuance: Issuance, root: Authority, *, by: Sequence[str], now: datetime) -> Path:
    """The transcript of a root that was just made. Its path."""
    record = Transcript("root", by, now)
    record.tell("key", _issuer_facts(root))
    record.certificate("the root", root.chain.leaf)
    return transcript_log.keep(issuance, record, root)


def tell_of_rollover(
    issuance: Issuance, old: Authority, rollover: Rollover, *, by: Sequence[str], now: datetime
) -> Path:
    """The transcript of a rollover. Its path."""
    record = Transcript("rollover", by, now)
    record.tell("old root", _issuer_facts(old))
    record.tell("new root", _issuer_facts(rollover.root))
    record.certificate("NewWithNew", rollover.root.chain.leaf)
    record.certificate("OldWithNew", rollover.old_with_new.leaf)
    record.certificate("NewWithOld", rollover.new_with_old.leaf)
    return transcript_log.keep(issuance, record, old)


def copy_to_stick(stick: Path, files: Mapping[str, bytes], transcript: Path) -> list[Path]:
    """Puts public files and a transcript on the stick, with its proof. Their paths."""
    disk.make_folder(stick)
    paths = []
    proof = transcript_log.proof_of(transcript)
    also = [transcript, proof] if proof.exists() else [transcript]
    for name, data in {**files, **{one.name: disk.read_file(one) for one in also}}.items():
        disk.write_file(stick / name, data, mode=disk.PUBLIC)
        paths.append(stick / name)
    return paths


def rollover_files(rollover: Rollover) -> dict[str, bytes]:
    """What others need of a rollover: the new root, and the two ways from one root to the other."""
    return {
        "root.pem": rollover.root.chain.to_pem(),
        "old-with-new.pem": rollover.old_with_new.to_pem(),
        "new-with-old.pem": rollover.new_with_old.to_pem(),
    }


def log_key_file(issuance: Issuance) -> dict[str, bytes]:
    """The public key of this machine's log, which signs the transcripts; nothing where it was never signed."""
    key = issuance.ledger.log.state().key
    return {} if key is None else {LOG_KEY: f"{key}\n".encode()}


def last_transcript(issuance: Issuance) -> Path:
    """The newest transcript. Raises `NotFound` where there is none."""
    found = kept(issuance.folder)
    if not found:
        raise NotFound("there is no transcript yet")
    return found[-1]


def _told(
    ceremony: Plan,
    signed: Sequence[tuple[Item, Chain]],
    lists: SignedLists | None,
    *,
    by: Sequence[str],
    confirmed: str,
    now: datetime,
) -> Transcript:
    record = Transcript("sign", by, now)
    record.tell("input", {bundles.REQUEST: ceremony.digest, **{item.file: item.sha256 for item, _ in signed}})
    record.tell("confirmed", [confirmed])
    record.tell("signed by", _issuer_facts(ceremony.issuer))
    if lists is not None:
        record.tell("revoked", [line for planned in ceremony.lists for line in planned.lines()])
        record.tell("revocation lists", lists.facts())
    for item, chain in signed:
        record.certificate(_title(item), chain.leaf)
    return record


def _title(item: Item) -> str:
    return f"certificate for {item.file}: {item.profile} {item.name!r}"


def _record(transcript: Path) -> Record:
    proof = transcript_log.proof_of(transcript)
    return Record(disk.read_file(transcript), disk.read_file(proof) if proof.exists() else None)


def _signed_before(issuance: Issuance, ceremony: Plan) -> tuple[list[tuple[Item, Chain]], Path] | None:
    """What an earlier run signed for this very request: its answer was not whole, or got lost. From its transcript.

    A request for revocation lists alone is answered anew, with newer lists.
    """
    if not ceremony.items:
        return None
    for path in reversed(kept(issuance.folder)):
        text = disk.read_file(path).decode("utf-8", "replace")
        if f"\n    {bundles.REQUEST}: {ceremony.digest}\n" in text:
            return [(one.item, _chain_in(text, one.item, ceremony.issuer)) for one in ceremony.items], path
    return None


def _chain_in(transcript: str, item: Item, issuer: Authority) -> Chain:
    _, _, told = transcript.partition(f"\n\n{_title(item)}\n")
    text, _, _ = told.partition("\n\n")
    pem = "\n".join(line.strip() for line in text.splitlines())
    certificate: x509.Certificate = load_certificates(pem.encode())[0]
    if not is_issued_by(certificate, issuer.chain.leaf):
        why = "its transcript says that another CA signed it"
        raise AlreadyExists(
            f"{item.file} was signed in an earlier ceremony", why=why, hint="name that CA with --issuer"
        )
    return Chain.of(certificate, *issuer.chain)


def _verify_transcript(stick: Path, answer: ResponseBundle, key: VerifierKey) -> None:
    if answer.proof is None:
        why = "the machine that signed could not sign its log"
        raise AccessDenied("the transcript has no proof", why=why, hint="leafward ca ceremony verify there writes it")
    try:
        verify_proof(stick / bundles.PROOF, key, stick / bundles.TRANSCRIPT)
    except InputError as error:
        hint = "use nothing from this stick"
        raise AccessDenied("the transcript is not signed by that log", why=str(error), hint=hint) from error


def _request(request: CertificateRequest, item: Item) -> CertificateRequest:
    """A request with the names and limits of its item: of the PKCS#10 request itself, the key is taken."""
    return replace(
        request,
        common_name=parse_common_name(item.name),
        serial_number=item.serial_number or request.serial_number,
        permit_dns=tuple(item.permit_dns),
        permit_ip=tuple(map(parse_permitted_ip, item.permit_ip)),
        policies=tuple(map(parse_policy, item.policies)),
    )


def _issuer_facts(authority: Authority) -> dict[str, str]:
    leaf = authority.chain.leaf
    key = authority.key.label if authority.key else "elsewhere"
    return {"name": leaf.subject.rfc4514_string(), "sha256": fingerprint(leaf), "key reference": key}
