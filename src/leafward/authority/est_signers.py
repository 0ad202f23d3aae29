"""The keys of the EST server's labels, opened once and kept: loading an RSA key takes longer than fifty signatures.

A key that cannot be reached is not tried again for a while: each try could be one of the few that a token allows for
its PIN. Until then the authority says that it cannot sign.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from cryptography import x509

from leafward.authority.authorities import Authority
from leafward.authority.est_labels import Label
from leafward.errors import KeyUnavailable, LeafwardError, NotFound
from leafward.pki.bulk import Asked, BulkIssuer
from leafward.pki.chain import fingerprint
from leafward.pki.issuer import Issuer
from leafward.pki.pointers import NO_POINTERS, Pointers
from leafward.pki.profile import Profile
from leafward.pki.validity import Validity
from leafward.store.inventory import Entry
from leafward.store.inventory.entry import issuer_key_id

# A bulk issuer has one `now`. Certificates are back-dated by an hour: a minute more or less tells nobody anything.
SAME_NOW = timedelta(minutes=1)
TRY_AGAIN = timedelta(minutes=1)


class GivePointers(Protocol):
    """As `Issuance.pointers`."""

    def __call__(
        self, kind: Profile, issuer: x509.Certificate, lifetime: timedelta | None, *, now: datetime, count: int = 1
    ) -> Pointers:
        """See there."""


def no_pointers(*_args: object, **_options: object) -> Pointers:
    """For an authority that publishes nothing."""
    return NO_POINTERS


@dataclass(slots=True, eq=False)  # frozen would cost a microsecond each
class Issued:
    """A certificate that is signed and not recorded yet."""

    entry: Entry


class Signer:
    """A label's issuer for one minute. One thread at a time."""

    def __init__(self, label: Label, issuer: Issuer, now: datetime, pointers: GivePointers) -> None:
        self.label = label
        self.made = now
        self._issuer, self._give, self._pointers = issuer, pointers, NO_POINTERS
        self._bulk = self._bulk_issuer()
        self._issuer_key_id: str | None = None
        self._seen: set[str] = set()

    def has_seen(self, name: str) -> bool:
        """Whether `see` was called with this name, this minute."""
        return name in self._seen

    def see(self, name: str) -> None:
        """Remembers a name whose living holder has been looked at."""
        self._seen.add(name)

    def issue(self, asked: Sequence[Asked]) -> list[Issued | LeafwardError]:
        """As `BulkIssuer.issue_batch`, each certificate with its entry for the ledger."""
        self._point(len(asked))
        made = self._bulk.issue_batch(asked)
        return [
            self._issued(der, name, serial) if isinstance(der, bytes) else der
            for der, (_, name, serial) in zip(made, asked, strict=True)
        ]

    def _point(self, count: int) -> None:
        """Where it is told whether the next certificates are revoked: another place each thousand of them."""
        label = self.label
        issuer = self._issuer.chain.leaf
        pointers = self._give(label.profile, issuer, label.lifetime, now=self.made, count=count)
        if pointers != self._pointers:
            self._pointers = pointers
            self._bulk = self._bulk_issuer()

    def _bulk_issuer(self) -> BulkIssuer:
        return BulkIssuer(
            self._issuer,
            self.label.profile,
            now=self.made,
            lifetime=self.label.lifetime,
            pointers=self._pointers,
        )

    def _issued(self, der: bytes, name: str, serial: int) -> Issued:
        """What was just made is known: only who signed it is read back, once."""
        if self._issuer_key_id is None:
            self._issuer_key_id = issuer_key_id(x509.load_der_x509_certificate(der))
        window = self._bulk.validity or Validity.of(x509.load_der_x509_certificate(der))
        entry = Entry(
            kind=self.label.profile.kind,
            name=name,
            serial=serial,
            issuer_key_id=self._issuer_key_id,
            not_before=window.not_before,
            not_after=window.not_after,
            der=der,
            sha256=hashlib.sha256(der).hexdigest(),
        )
        return Issued(entry)


class Signers:
    """The signers of all labels. One thread at a time. `pointers` is as `Issuance.pointers`."""

    def __init__(self, pointers: GivePointers = no_pointers) -> None:
        self._pointers = pointers
        self._signers: dict[str, Signer] = {}
        self._issuers: dict[str, Issuer] = {}
        self._failed: dict[str, tuple[datetime, KeyUnavailable]] = {}

    def get(self, label: Label, now: datetime) -> Signer:
        """The signer of a label. Raises `KeyUnavailable`."""
        signer = self._signers.get(label.name)
        if signer is None or signer.label is not label or not timedelta(0) <= now - signer.made < SAME_NOW:
            signer = self._signers[label.name] = Signer(label, self._issuer(label.authority, now), now, self._pointers)
        return signer

    def lose(self, label: Label, error: KeyUnavailable, now: datetime) -> None:
        """The key did not answer: it is opened anew, and not at once."""
        key = fingerprint(label.authority.chain.leaf)
        self._failed[key] = now, error
        self._issuers.pop(key, None)
        self._signers = {
            name: signer for name, signer in self._signers.items() if signer.label.authority != label.authority
        }

    def _issuer(self, authority: Authority, now: datetime) -> Issuer:
        key = fingerprint(authority.chain.leaf)
        failed = self._failed.get(key)
        if failed is not None and timedelta(0) <= now - failed[0] < TRY_AGAIN:
            raise failed[1]
        if key not in self._issuers:
            try:
                self._issuers[key] = authority.issuer()
            except (KeyUnavailable, NotFound) as error:
                unavailable = error if isinstance(error, KeyUnavailable) else _gone(error)
                self._failed[key] = now, unavailable
                raise unavailable from error
        self._failed.pop(key, None)
        return self._issuers[key]


def _gone(error: NotFound) -> KeyUnavailable:
    return KeyUnavailable(error.what, why=error.why, hint=error.hint)
