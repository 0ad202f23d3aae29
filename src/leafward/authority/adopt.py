"""`leafward ca adopt`: takes over the CA in somebody's folder. It issues from here, and what it issued is known.

    plan -> authorities, roots first, each with its key -> its last revocation list -> what it issued -> what is revoked

Each step is durable and passed over where it is done: a run that was killed is finished by the next, and running it
again after the old tool issued more takes over the rest. Nothing in the folder is changed.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward import disk
from leafward.authority.adopt_folder import Skipped
from leafward.authority.adopt_keys import FolderKeys, key_of
from leafward.authority.adopt_plan import Member, Plan, signer_of
from leafward.authority.authorities import KEY, Authority
from leafward.authority.crl_shards import key_id_of
from leafward.authority.imports import import_files
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Entry
from leafward.authority.revocation import Revocation
from leafward.errors import AlreadyExists, KeyUnavailable
from leafward.keys.key_store import KeyReference
from leafward.keys.serial import new_serial
from leafward.pki.admission import check_key_belongs
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.issuer import prepare_root
from leafward.pki.names import MAX_COMMON_NAME
from leafward.pki.paths import public_key_bytes
from leafward.store.revocations import COMPLETE, RevocationLists

# What the inventory shows as the lot of all that was issued elsewhere: `leafward ca search --lot adopted`.
LOT = "adopted"


@dataclass
class Adopted:
    """What was done. `recorded` and `revoked` count what is new; `known` what was there before."""

    authorities: list[tuple[Authority, str]] = field(default_factory=list)
    recorded: int = 0
    known: int = 0
    revoked: int = 0
    lists: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def refuse_locked(plan: Plan, keys: FolderKeys) -> None:
    """Raises `KeyUnavailable` where a CA has no key and a key did not open: it may be the one."""
    without = [one.name for one in plan.authorities if key_of(keys, one.chain.leaf) is None]
    if without and keys.locked:
        path, error = next(iter(keys.locked.items()))
        what = f"the key of {without[0]!r} is not known, and {path} did not open"
        hint = "give --passphrase-file, or --passphrase-for KEY=FILE; or --skip-locked: its CA will issue nothing here"
        raise KeyUnavailable(what, why=error.why or error.what, hint=hint)


def adopt(issuance: Issuance, plan: Plan, keys: FolderKeys, *, now: datetime) -> Adopted:
    """Carries a plan out. `now` is aware UTC. Raises `StoreError` where the disk or the database refuses."""
    done = Adopted(skipped=list(plan.skipped))
    inventory = issuance.ledger.inventory  # first: a new ledger records the authorities that it finds
    for member in plan.authorities:
        done.authorities.append(_adopt_authority(issuance, member, keys, now))
    for member in (*plan.authorities, *plan.issued):
        if inventory.has(fingerprint(member.chain.leaf)):
            done.known += 1
        else:
            _record(issuance, member, done, now)
    _keep_lists(issuance, plan, done)
    _revoke(issuance, plan, done, now)
    return done


def _adopt_authority(issuance: Issuance, member: Member, keys: FolderKeys, now: datetime) -> tuple[Authority, str]:
    chain = _mended(issuance, member, keys, now) if member.to_mend else member.chain
    imported = import_files(issuance.authorities, [chain.to_pem()], now=now)
    mine = fingerprint(chain.leaf)
    one = next(
        one
        for one in imported
        if mine in {fingerprint(chain.leaf) for chain in (one.authority.chain, *one.authority.further)}
    )
    opened = key_of(keys, member.chain.leaf)
    if opened is None or one.authority.key is not None:
        return one.authority, one.how
    check_key_belongs(member.chain.leaf, opened.key.public_key())
    path = issuance.authorities.folder / one.authority.name / KEY
    disk.create_file(path, opened.to_pem(), mode=disk.PRIVATE)
    reference = KeyReference("file", str(path.absolute()))
    how = "mended" if member.to_mend else one.how
    return replace(one.authority, key=reference), "key added" if how == "known" else how


def _mended(issuance: Issuance, member: Member, keys: FolderKeys, now: datetime) -> Chain:
    """Another certificate for a root's name and key, until the same day: the one that was made before, or a new one.

    The old certificate is recorded first, and the new one in its place. Raises `KeyUnavailable` without the key.
    """
    leaf = member.chain.leaf
    subject, key = leaf.subject, public_key_bytes(leaf)
    held = (one.chain for one in issuance.authorities if one.is_root and one.chain.leaf.subject == subject)
    if (made := next((chain for chain in held if public_key_bytes(chain.leaf) == key), None)) is not None:
        return made
    opened = key_of(keys, leaf)
    if opened is None:
        hint = "give its passphrase, or leave out --mend-root"
        raise KeyUnavailable(f"the root {member.name!r} cannot be mended", why="its key is not at hand", hint=hint)
    chain = prepare_root(
        opened.key,
        common_name=member.name[:MAX_COMMON_NAME],
        now=now,
        serial=new_serial(),
        lifetime=leaf.not_valid_after_utc - now,
        allow_rsa_2048_after_2030=True,  # the key and the day are those it has
        whole_name=subject,
    ).sign()
    old, new = Entry.of("root_ca", leaf), Entry.of("root_ca", chain.leaf)
    if not issuance.has_recorded(member.chain):
        issuance.ledger.record([old], lot=LOT, replacing={old.sha256: None})
    issuance.ledger.record([new], replacing={new.sha256: None})
    return chain


def _record(issuance: Issuance, member: Member, done: Adopted, now: datetime) -> None:
    """Into the inventory and the log. Of several with one name the newest lives, the others it has replaced."""
    entry = Entry.of(member.kind, member.chain.leaf)
    if len(member.chain) > 1:
        # One without an authority key identifier is on its issuer's list all the same.
        entry = replace(entry, issuer_key_id=key_id_of(member.chain.issuers[0]))
    held = (
        issuance.ledger.inventory.living(entry.kind, entry.name, now)
        if entry.name is not None and entry.name_key
        else None
    )
    if held is not None and held.lot != LOT:
        done.skipped.append(Skipped(member.path, f"a {held.label} lives here already, issued by this home"))
        return
    try:
        issuance.ledger.record([entry], lot=LOT, replacing={entry.sha256: None})
        done.recorded += 1
    except AlreadyExists as error:
        done.skipped.append(Skipped(member.path, str(error)))


def _keep_lists(issuance: Issuance, plan: Plan, done: Adopted) -> None:
    """The newest list of each CA: the next one that is signed here has a higher number (RFC 5280 5.2.3)."""
    lists = RevocationLists(issuance.ledger.engine)
    ours = {fingerprint(one.chain.leaf) for one in plan.authorities}
    for _, crl in sorted(plan.folder.crls, key=lambda found: found[1].last_update_utc):
        signer, number, end = signer_of(crl, plan.folder), _number(crl), crl.next_update_utc
        if signer is None or fingerprint(signer) not in ours or number is None or end is None:
            continue
        try:
            done.lists += lists.keep(
                key_id_of(signer),
                COMPLETE,
                address=None,
                number=number,
                this_update=crl.last_update_utc,
                next_update=end,
                lines=len(crl),
                der=crl.public_bytes(Encoding.DER),
            )
        except AlreadyExists:
            continue  # a newer one is here


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, ValueError):
        return None


def _revoke(issuance: Issuance, plan: Plan, done: Adopted, now: datetime) -> None:
    """Notes what is revoked; the lists that tell of it are due then, and `leafward ca crl` signs them."""
    revocation, inventory = Revocation(issuance), issuance.ledger.inventory
    for member in plan.issued:
        digest = fingerprint(member.chain.leaf)
        if member.revoked is None or not inventory.has(digest):
            continue
        found = inventory.get(digest, now)
        if found.revoked is None:
            revocation.note(found, member.revoked.reason, now=member.revoked.when)
            done.revoked += 1
