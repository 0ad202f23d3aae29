"""Revoking: the certificate's standing first, durable, then the one list that speaks for it.

    inventory: revoked -> its list has news, its OCSP answers do not hold -> sign that list, log it, write its file

The first step never waits for the rest. While the issuer's key is out of reach the revocation stands, the server's
clients are refused by it at once, and the list is published by whoever reaches the key next (`leafward ca crl`, or the
authority's server by itself).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from cryptography import x509

from leafward.authority.authorities import Authority
from leafward.authority.crl_publication import Publication, Published, Unpublished
from leafward.authority.crl_shards import Shards, key_id_of
from leafward.authority.issuance import Issuance
from leafward.errors import KeyUnavailable, LeafwardError, NotFound, RuleViolation
from leafward.pki.chain import fingerprint
from leafward.pki.issuer import Issuer
from leafward.store.inventory import Issued
from leafward.store.revocations import COMPLETE, ListState
from leafward.store.revocations.answers import withdraw
from leafward.store.revocations.lists import note_change

ROOT = "root_ca"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A certificate as it stands now, and its list: published, or why it could not be (`pending`).

    Neither of the two for a certificate that says of itself that no list tells of it.
    """

    issued: Issued
    published: Published | None
    pending: LeafwardError | None


class Revocation:
    """Revokes what an authority issued, and publishes that. `now` is aware UTC everywhere. One thread at a time.

    Every method raises `StoreError` where the database refuses.
    """

    def __init__(self, issuance: Issuance) -> None:
        self._issuance = issuance
        self._inventory = issuance.ledger.inventory
        self.publication = Publication(issuance.folder, issuance.ledger, issuance.publishing)
        self._shards = Shards(self.publication.lists, issuance.publishing)
        self._issuers: dict[str, Issuer] = {}

    def revoke(self, wanted: str, reason: str, *, now: datetime) -> Outcome:
        """Revokes the certificate of this name, fingerprint or serial, or of this authority. `reason` is RFC 5280's.

        Raises `NotFound`, `AlreadyExists` where it was revoked before (one on hold may be revoked for good),
        `RuleViolation` for one that has ended, and for a root.
        """
        found = self.find(wanted, now)
        return self._publish_one(found, self.note(found, reason, now=now), now)

    def note(self, found: Issued, reason: str, *, now: datetime) -> int | None:
        """Records that a certificate is revoked, and publishes nothing yet. Which list speaks for it; None: no list.

        Raises as `revoke`.
        """
        partition = self._partition(found)
        also = _in_the_same_transaction(partition)
        self._inventory.revoke(found.sha256, reason, now, partition=partition or COMPLETE, also=also)
        return partition

    def release(self, wanted: str, *, now: datetime) -> Outcome:
        """Takes back that a certificate is on hold.

        Raises `NotFound` where it is not on hold, `AlreadyExists` where another one lives under its name by now.
        """
        found = self.find(wanted, now)
        partition = self._partition(found)
        self._inventory.release(found.sha256, now, also=_in_the_same_transaction(partition))
        return self._publish_one(found, partition, now)

    def publish_due(
        self,
        *,
        now: datetime,
        authority: Authority | None = None,
        everything: bool = False,
        lifetime: timedelta | None = None,
    ) -> Iterator[Published | Unpublished]:
        """Signs each list that is due, of one CA or of all, one after another as they are asked for.

        A CA whose key is elsewhere is passed over unless it has something to tell. `everything` signs what is not due
        too. First the files that are not as the database has them are written anew.
        """
        for one in [authority] if authority else self._issuance.authorities:
            self.publication.mend(one)
            failed: LeafwardError | None = None
            for state in self.publication.due(one, now, everything=everything):
                if one.key is None and not state.has_news and authority is None:
                    continue
                if failed is None:  # a key that did not answer is not asked again for each list
                    try:
                        issuer = self._issuer(one)
                    except LeafwardError as error:
                        failed = error
                if failed is not None:
                    yield Unpublished(one.name, state.partition, state.has_news, failed)
                else:
                    yield self._publish(one, issuer, state, now, lifetime)

    def complete(self, authority: Authority, *, now: datetime, lifetime: timedelta | None = None) -> Published:
        """Signs the complete list of a CA; from now on it is kept up.

        Raises as `Publication.publish`.
        """
        return self.publication.publish(authority, self._issuer(authority), COMPLETE, now=now, lifetime=lifetime)

    def forget_keys(self) -> None:
        """Opens every key anew when it is needed next."""
        self._issuers.clear()

    def _publish(
        self, authority: Authority, issuer: Issuer, state: ListState, now: datetime, lifetime: timedelta | None
    ) -> Published | Unpublished:
        try:
            return self.publication.publish(authority, issuer, state.partition, now=now, lifetime=lifetime)
        except LeafwardError as error:
            return Unpublished(authority.name, state.partition, state.has_news, error)

    def _publish_one(self, found: Issued, partition: int | None, now: datetime) -> Outcome:
        published = pending = None
        if partition is not None:
            try:
                authority = self._signer(found.issuer_key_id)
                published = self.publication.publish(authority, self._issuer(authority), partition, now=now)
            except LeafwardError as error:
                pending = error
        return Outcome(self._inventory.get(found.sha256, now), published, pending)

    def _issuer(self, authority: Authority) -> Issuer:
        key = fingerprint(authority.chain.leaf)
        if key not in self._issuers:
            self._issuers[key] = authority.issuer()
        return self._issuers[key]

    def _signer(self, key_id: str) -> Authority:
        known = [one for one in self._issuance.authorities if key_id_of(one.chain.leaf) == key_id]
        able = next((one for one in known if one.key is not None), None)
        if able is None:
            why = f"the CA with the key {key_id} {'has its key elsewhere' if known else 'is not among the authorities'}"
            raise KeyUnavailable("its list cannot be signed here", why=why, hint="leafward ca list")
        return able

    def find(self, wanted: str, now: datetime) -> Issued:
        """What could be revoked under this name, fingerprint or serial, or as this authority. Raises as `revoke`."""
        try:
            found = self._inventory.get(wanted, now)
        except NotFound as error:
            try:
                authority = self._issuance.authorities.get(wanted)
            except NotFound:
                raise error from None
            found = self._inventory.get(fingerprint(authority.chain.leaf), now)
        if found.kind == ROOT:
            why = "nobody stands above it, and a list that it signs itself would be worth nothing"
            hint = "take it out of every trust bundle: leafward trust uninstall"
            raise RuleViolation("root-not-revocable", "a root cannot be revoked", why=why, hint=hint)
        if found.not_after < now:
            why = f"since {found.not_after:%Y-%m-%dT%H:%M:%SZ} it is accepted nowhere"
            raise RuleViolation("certificate-expired", f"the {found.label} has expired", why=why)
        return found

    def _partition(self, found: Issued) -> int | None:
        certificate = x509.load_der_x509_certificate(self._inventory.der(found.sha256))
        return self._shards.partition_of(certificate, found.issuer_key_id)


def _in_the_same_transaction(partition: int | None) -> Callable[[sa.Connection, Issued], None]:
    """The list has news, and the answers do not hold any more."""

    def also(connection: sa.Connection, held: Issued) -> None:
        if partition is not None:
            note_change(connection, held.issuer_key_id, partition)
        withdraw(connection, held.log_index)

    return also
