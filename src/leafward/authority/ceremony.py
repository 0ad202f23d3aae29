"""The offline root: everything that needs its key, on a machine without a network, from files carried on a stick.

    online    ask       puts requests on the stick; their digest goes on paper
    offline   plan      reads, checks and prepares all of them; nothing is signed yet, and all is shown
              sign      signs, records, writes the transcript, puts the answer on the stick
    online    take_in   checks the answer, and completes the CAs that wait

A root that is made or rolled over in a ceremony leaves a transcript too. `docs/hierarchy.md` has it step by step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from leafward import disk
from leafward.authority import stick as bundles
from leafward.authority.authorities import Authority
from leafward.authority.imports import Imported, import_files
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Entry
from leafward.authority.rollover import Rollover
from leafward.authority.stick import Item, RequestBundle, ResponseBundle
from leafward.authority.transcript import FOLDER, Transcript, chain_facts, kept, machine
from leafward.errors import AccessDenied, NotFound
from leafward.keys.serial import new_serial
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.constraints import parse_permitted_ip, parse_policy
from leafward.pki.names import parse_common_name
from leafward.pki.prepared import Prepared
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

RECEIVED = "received"


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

    def lines(self) -> list[str]:
        """Each certificate in full, as it would be signed, but for its signature and fingerprint."""
        found: list[str] = []
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
    return Plan(stick, bundles.request_digest(stick), issuer, items)


def check_digest(ceremony: Plan, expected: str) -> None:
    """Raises `AccessDenied` unless the digest (or its first 8 digits or more) is the one carried on paper."""
    if len(expected) < 8 or not ceremony.digest.startswith(expected.lower()):
        raise AccessDenied(
            "the request is not the one that was written down",
            why=f"got the digest {ceremony.digest}, expected {expected}",
            hint="sign nothing; make the request again, and carry its digest on paper",
        )


def sign(issuance: Issuance, ceremony: Plan, *, by: Sequence[str], confirmed: str, now: datetime) -> list[Path]:
    """Signs all, records all in one transaction, keeps the transcript, then writes the answer. The chain files.

    `confirmed` says how the people agreed, for the transcript.
    """
    signed = [(planned.item, planned.prepared.sign()) for planned in ceremony.items]
    issuance.ledger.record([Entry.of(item.profile, chain.leaf) for item, chain in signed])
    record = Transcript("sign", by, now)
    record.tell("input", {bundles.REQUEST: ceremony.digest, **{item.file: item.sha256 for item, _ in signed}})
    record.tell("confirmed", [confirmed])
    record.tell("signed by", _issuer_facts(ceremony.issuer))
    for item, chain in signed:
        record.certificate(f"certificate for {item.file}: {item.profile} {item.name!r}", chain.leaf)
    path = record.keep(issuance.folder)
    return bundles.write_response(ceremony.stick, signed, disk.read_file(path), now=now, machine=machine()["machine"])


def take_in(issuance: Issuance, stick: Path, *, now: datetime) -> list[Imported]:
    """Brings the answer home: the waiting CAs are completed, the root becomes known, the transcript is kept.

    A chain for somebody else's CA, which is not waiting here, becomes known as one whose key is elsewhere.
    """
    answer = ResponseBundle.read(stick)
    found = import_files(issuance.authorities, answer.chains(stick), now=now)
    folder = issuance.folder / FOLDER / RECEIVED
    disk.make_folder(folder)
    transcript = disk.read_file(stick / bundles.TRANSCRIPT)
    disk.write_file(folder / f"{answer.transcript[:16]}.txt", transcript, mode=disk.PUBLIC)
    return found


def tell_of_root(issuance: Issuance, root: Authority, *, by: Sequence[str], now: datetime) -> Path:
    """The transcript of a root that was just made. Its path."""
    record = Transcript("root", by, now)
    record.tell("key", _issuer_facts(root))
    record.certificate("the root", root.chain.leaf)
    return record.keep(issuance.folder)


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
    return record.keep(issuance.folder)


def copy_to_stick(stick: Path, files: Mapping[str, bytes], transcript: Path) -> list[Path]:
    """Puts public files and a transcript on the stick. Their paths."""
    disk.make_folder(stick)
    paths = []
    for name, data in {**files, transcript.name: disk.read_file(transcript)}.items():
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


def last_transcript(issuance: Issuance) -> Path:
    """The newest transcript. Raises `NotFound` where there is none."""
    found = kept(issuance.folder)
    if not found:
        raise NotFound("there is no transcript yet")
    return found[-1]


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
