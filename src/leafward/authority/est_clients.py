"""Who asks: the holder of a certificate of ours, or of an account.

TLS took any client certificate and proved that the client holds its key; whether it means anything is decided here
(RFC 7030 3.3.2). It counts when

1. it leads to the root of the label's own hierarchy, is of its time, and is a client's;
2. it is in the inventory: a certificate that our key signed and nobody recorded is not trusted;
3. it is neither revoked nor expired, and not replaced for long;
4. its kind may ask under the label: a device's identity may ask for anything of its own, a leaf device for its own next
   certificate only. A leaf device must never come by a device CA.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from cryptography import x509
from cryptography.x509.oid import NameOID

from leafward.authority.est_labels import Label
from leafward.errors import AccessDenied, LeafwardError, NotFound
from leafward.pki import extension
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.names import common_name
from leafward.pki.verify import verify
from leafward.store.accounts import Account
from leafward.store.database import run
from leafward.store.inventory import Inventory, Issued, Status
from leafward.store.inventory.schema import certificates as _table

IDENTITY = "device_identity"
# A device whose answer was lost on the way comes again with the certificate it still has.
REPLACED_GRACE = timedelta(days=7)
# How long a judgement is kept. Revocation does not wait for it: each issuance asks again (`refuse_revoked`).
REMEMBERED = timedelta(minutes=1)
MAX_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class CertificateClient:
    """The holder of a certificate. `serial_number` is its subject's; `replaced`: it has a successor already."""

    certificate: x509.Certificate = field(repr=False)
    sha256: str
    kind: str
    name: str
    serial_number: str | None = None
    replaced: bool = False

    def covers(self, device: str) -> bool:
        """Its own name and no other, letter for letter."""
        return device == self.name

    @property
    def only_device(self) -> str:
        """The name that a request without one gets."""
        return self.name


@dataclass(frozen=True, slots=True)
class AccountClient:
    """The holder of an account."""

    account: Account

    def covers(self, device: str) -> bool:
        """What the account says."""
        return self.account.covers(device)

    @property
    def only_device(self) -> str | None:
        """The name that a request without one gets; None where the account is for several."""
        return self.account.one_device


Client = CertificateClient | AccountClient


class CertificateDoor:
    """Judges client certificates against the inventory. One thread at a time."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: OrderedDict[tuple[x509.Certificate, str], tuple[CertificateClient, datetime]] = OrderedDict()

    def admit(self, certificates: Sequence[x509.Certificate], label: Label, now: datetime) -> CertificateClient:
        """The holder of the first of `certificates` (those presented, leaf first). Raises `AccessDenied`, saying why.

        What is said is of the certificate the client itself holds, so it tells nothing about others.
        """
        leaf = certificates[0]
        key = leaf, label.name
        known = self._known.get(key)
        if known is not None and now < known[1]:
            return known[0]
        client = self._judge(certificates, fingerprint(leaf), label, now)
        self._known[key] = client, min(now + REMEMBERED, leaf.not_valid_after_utc)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)
        return client

    def succeeded(self, client: CertificateClient) -> None:
        """A certificate took the place of the client's own: what is remembered of it says so too."""
        for key, (known, until) in self._known.items():
            if known.sha256 == client.sha256 and not known.replaced:
                self._known[key] = replace(known, replaced=True), until

    def forget(self) -> None:
        """Judges everybody anew: the CAs have changed."""
        self._known.clear()

    def _judge(
        self, certificates: Sequence[x509.Certificate], sha256: str, label: Label, now: datetime
    ) -> CertificateClient:
        leaf = certificates[0]
        _refuse_strange(leaf, certificates[1:], label, now)
        try:
            found = self._inventory.get(sha256, now)
        except NotFound as error:
            why = "the authority has no record of it"
            raise AccessDenied("the client certificate is not known", why=why, hint=_HOW) from error
        replaced = found.status is Status.REPLACED
        if found.status is not Status.VALID and not (replaced and self._is_in_grace(found, now)):
            raise AccessDenied(f"the client certificate is {found.status}", hint=_HOW)
        name = common_name(leaf.subject)
        if name is None:
            raise AccessDenied("the client certificate names nobody", why="it has no single common name", hint=_HOW)
        if found.kind not in {label.profile.kind, IDENTITY}:
            why = f"a {found.kind} certificate may not ask under the label {label.name!r}"
            raise AccessDenied("the client certificate is of another kind", why=why, hint=_HOW)
        return CertificateClient(leaf, sha256, found.kind, name, _serial_number(leaf), replaced)

    def _is_in_grace(self, found: Issued, now: datetime) -> bool:
        if found.replaced_by is None:
            return False
        return now - self._inventory.get(found.replaced_by, now).issued <= REPLACED_GRACE


def refuse_revoked(connection: sa.Connection, sha256: str) -> None:
    """Inside the transaction that records a certificate: its asker must not have been revoked meanwhile.

    Raises `AccessDenied`; the transaction must not be committed then.
    """
    question = f"SELECT status FROM {_table.name} WHERE sha256 = ?"  # noqa: S608 - ours
    found = run(connection, question, (sha256,)).fetchone()
    if found is None or found[0] == Status.REVOKED.value:
        raise AccessDenied("the client certificate is revoked", hint=_HOW)


def _serial_number(leaf: x509.Certificate) -> str | None:
    found = leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    return str(found[0].value) if found else None


def _refuse_strange(leaf: x509.Certificate, others: Sequence[x509.Certificate], label: Label, now: datetime) -> None:
    """Points 1 and the rest of what a certificate says of itself."""
    try:
        if extension.says_ca(leaf):
            raise AccessDenied("the client certificate is a CA's", why="a CA is nobody's TLS client", hint=_HOW)
        if not label.trust.anchors:
            raise AccessDenied("no client certificate counts here", why="the label's hierarchy has no root at hand")
        verdict = verify(
            Chain.of(leaf, *others), label.trust.anchors, now=now, purpose="client", intermediates=label.trust.material
        )
    except AccessDenied:
        raise
    except LeafwardError as error:
        raise AccessDenied("the client certificate cannot be read", why=str(error), hint=_HOW) from error
    if not verdict.valid:
        raise AccessDenied("the client certificate is not accepted", why=verdict.reason, hint=_HOW)


_HOW = "present a device identity or the certificate to be renewed, or a name and a password"
