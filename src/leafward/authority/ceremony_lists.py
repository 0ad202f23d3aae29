"""Revocation in a ceremony: what an offline root shall revoke, its lists signed, and brought home to be handed out.

    online    ask       which certificates of the root's, and why; on the stick, with the requests
    offline   plan      each is looked up in the root's own inventory, and shown
              publish   recorded as revoked, then every list of the root signed anew
    online    take_in   verified, kept, and served like the lists that are signed here

Recording comes first and is never undone: a ceremony that ends between the two is done again, and says the same.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.authority.authorities import Authorities, Authority
from leafward.authority.crl_publication import Publication, Published, Unpublished
from leafward.authority.crl_shards import key_id_of, list_name
from leafward.authority.issuance import Issuance
from leafward.authority.revocation import Revocation
from leafward.authority.stick import ListItem, RequestBundle, ResponseBundle, Revoked, SignedList
from leafward.errors import EncodingError, NotFound, RuleViolation, UsageError
from leafward.pki import extension
from leafward.pki.chain import fingerprint
from leafward.pki.crl import parse_reason
from leafward.pki.encoding import load_crls
from leafward.pki.revocation import UNSPECIFIED, fault_of
from leafward.store.inventory import Issued, Status
from leafward.store.revocations import COMPLETE

_MAX_LIST = 1 << 30


@dataclass(frozen=True)
class PlannedLists:
    """The lists of a CA that would be signed, and the certificates that would be revoked before."""

    item: ListItem
    revoked: tuple[tuple[Issued, str], ...]

    def lines(self) -> Iterator[str]:
        """What would be done, for those who agree to it."""
        until = f"for {self.item.days} days" if self.item.days else "as this machine is set"
        yield f"revocation lists of the CA {self.item.issuer}, to hold {until}"
        for found, reason in self.revoked:
            before = f" (revoked before, {found.reason})" if found.status is Status.REVOKED else ""
            yield f"    revoke {found.label}, serial {found.serial:x}, {reason}{before}"
            yield f"           {found.sha256}"
        if not self.revoked:
            yield "    nothing more is revoked"


@dataclass(frozen=True, slots=True)
class SignedLists:
    """The lists that were signed, with their bytes."""

    issuer: Authority
    lists: tuple[tuple[Published, bytes], ...]

    def files(self) -> list[tuple[SignedList, bytes]]:
        """Them as they go on the stick."""
        return [
            (
                SignedList(
                    file=f"{self.issuer.name}-{list_name(one.partition)}",
                    sha256=hashlib.sha256(der).hexdigest(),
                    issuer_key_id=one.issuer_key_id,
                    partition=one.partition,
                ),
                der,
            )
            for one, der in self.lists
        ]

    def facts(self) -> list[str]:
        """Them as the transcript tells of them."""
        return [
            f"{placed.file}: number {one.number}, {one.lines} revoked, {one.this_update:%Y-%m-%dT%H:%M:%SZ} to "
            f"{one.next_update:%Y-%m-%dT%H:%M:%SZ}, sha256 {placed.sha256}"
            for (one, _), (placed, _) in zip(self.lists, self.files(), strict=True)
        ]


def list_item(authorities: Authorities, issuer: Authority, asked: Sequence[str], days: int | None) -> ListItem:
    """What is asked of a CA: its lists, and first that these are revoked: NAME or SERIAL, with =REASON behind.

    Raises `UsageError` for a reason there is not, `NotFound` for a CA that the issuer has not signed.
    """
    revoke = [_wanted(authorities, issuer, *text.partition("=")) for text in asked]
    return ListItem(issuer=fingerprint(issuer.chain.leaf), days=days, revoke=revoke)


def plan_lists(issuance: Issuance, bundle: RequestBundle, issuer: Authority, *, now: datetime) -> list[PlannedLists]:
    """What would be done. Raises what stands against it, before anything is."""
    revocation, found = Revocation(issuance), []
    for item in bundle.lists:
        if item.issuer != fingerprint(issuer.chain.leaf):
            why = (
                f"asked for are those of the CA {item.issuer}, and {issuer.name!r} is {fingerprint(issuer.chain.leaf)}"
            )
            hint = "name the CA that is asked with --issuer"
            raise RuleViolation(
                "issuer-name-mismatch", "another CA's revocation lists are asked for", why=why, hint=hint
            )
        revoked = ((_issued(revocation, issuer, one, now), parse_reason(one.reason)) for one in item.revoke)
        found.append(PlannedLists(item, tuple(revoked)))
    return found


def publish_lists(
    issuance: Issuance, planned: Sequence[PlannedLists], issuer: Authority, *, now: datetime, again: bool = False
) -> SignedLists | None:
    """Records what is revoked, and signs every list of the CA. None where none is asked for. `again`: as signed before.

    Raises as `Revocation.revoke` and `Publication.publish`; what was recorded until then stays.
    """
    if not planned:
        return None
    revocation = Revocation(issuance)
    signed = {one.partition: one for one in revocation.publication.published(issuer)} if again else {}
    for one in () if again else planned:
        for found, reason in one.revoked:
            if found.status is not Status.REVOKED:
                revocation.note(found, reason, now=now)
        due = revocation.publish_due(now=now, authority=issuer, everything=True, lifetime=one.item.lifetime)
        for published in due:
            if isinstance(published, Unpublished):
                raise published.reason
            signed[published.partition] = published
    lists = revocation.publication.lists
    found_ders = ((one, lists.der(one.issuer_key_id, one.partition) or b"") for one in signed.values())
    return SignedLists(issuer, tuple(found_ders))


def take_in_lists(issuance: Issuance, stick: Path, answer: ResponseBundle, *, now: datetime) -> list[Published]:
    """Brings lists home: verified, kept, written to `maker/crl/`. What is there now of those CAs.

    Raises `RuleViolation` ("crl-unusable") for one that cannot be believed, `NotFound` where its CA is not known here,
    `AlreadyExists` for one that is older than what is here.
    """
    taken: dict[str, Authority] = {}
    publication = Publication(issuance.folder, issuance.ledger, issuance.publishing)
    for placed in answer.lists:
        taken[placed.issuer_key_id] = issuer = _authority(issuance.authorities, placed.issuer_key_id)
        der = disk.read_file(stick / placed.file, limit=_MAX_LIST)
        crl = _believed(der, issuer, placed, now)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        assert crl.next_update_utc is not None
        publication.lists.keep(
            placed.issuer_key_id,
            placed.partition,
            address=_address(crl),
            number=number,
            this_update=crl.last_update_utc,
            next_update=crl.next_update_utc,
            lines=len(crl),
            der=der,
        )
    for issuer in taken.values():
        publication.mend(issuer)
    return [one for issuer in taken.values() for one in publication.published(issuer)]


def _wanted(authorities: Authorities, issuer: Authority, name: str, sign: str, reason: str) -> Revoked:
    told = parse_reason(reason) if sign else UNSPECIFIED
    digits = name.lower().replace(":", "")
    try:
        known = authorities.get(name).chain
    except NotFound as error:
        if not digits or not set(digits) <= set("0123456789abcdef") or len(digits) > 40:
            raise UsageError(
                error.what, why="and it is no serial number", hint="NAME=REASON or SERIAL=REASON"
            ) from None
        return Revoked(serial=f"{int(digits, 16):x}", reason=told)
    if len(known) < 2 or known.certificates[1] != issuer.chain.leaf:
        raise NotFound(
            f"{issuer.name!r} has not signed {name!r}", hint="leafward ca list; name its issuer with --issuer"
        )
    return Revoked(serial=f"{extension.serial_number(known.leaf):x}", reason=told)


def _issued(revocation: Revocation, issuer: Authority, asked: Revoked, now: datetime) -> Issued:
    """What was issued here under a serial number, by this CA."""
    found = revocation.find(asked.serial, now)
    if found.serial != int(asked.serial, 16) or found.issuer_key_id != key_id_of(issuer.chain.leaf):
        why = f"{found.label} is another certificate"
        raise NotFound(f"{issuer.name!r} signed no certificate {asked.serial} here", why=why)
    return found


def _authority(authorities: Authorities, key_id: str) -> Authority:
    found = next((one for one in authorities if key_id_of(one.chain.leaf) == key_id), None)
    if found is None:
        hint = "make it known first: leafward ca import root.pem"
        raise NotFound("a revocation list is of a CA that is not known here", why=f"its key is {key_id}", hint=hint)
    return found


def _believed(der: bytes, issuer: Authority, placed: SignedList, now: datetime) -> x509.CertificateRevocationList:
    """A list that its CA signed, for now or earlier, whole, with a number and an end."""
    crl = load_crls(der)[0]
    why = fault_of(crl, issuer.chain.leaf, now)
    if crl.issuer != issuer.chain.leaf.subject:
        why = f"it is of {crl.issuer.rfc4514_string()!r}"
    elif (placed.partition == COMPLETE) != (_address(crl) is None):
        why = "it is not the part that the answer says"
    elif crl.next_update_utc is None or not any(isinstance(one.value, x509.CRLNumber) for one in crl.extensions):
        why = "it has no number, or no end"
    if why is not None:
        hint = "nothing of it is used; have it signed again"
        raise RuleViolation("crl-unusable", f"the revocation list {placed.file} cannot be believed", why=why, hint=hint)
    return crl


def _address(crl: x509.CertificateRevocationList) -> str | None:
    """The distribution point of a part; None for a complete list."""
    try:
        scope = crl.extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    except x509.ExtensionNotFound:
        return None
    names = [one.value for one in scope.full_name or () if isinstance(one, x509.UniformResourceIdentifier)]
    if len(names) != 1:
        raise EncodingError("a revocation list names no single address", why=f"got {names}")
    return str(names[0])
