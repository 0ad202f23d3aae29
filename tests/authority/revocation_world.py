"""A maker who revokes: root -> factory, with a clock that stands, and lists read back as anybody would."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.authority.crl_shards import NOWHERE, Publishing, key_id_of, list_name
from leafward.authority.issuance import Issuance
from leafward.authority.ledger import Ledger
from leafward.authority.revocation import Outcome, Revocation
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.key_types import parse_key_type
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.inventory import Issued, Status
from leafward.store.issuance_log.entry import LogEntry
from leafward.store.revocations import COMPLETE
from tests.authority.ledger_entries import NOW, differences

P256 = parse_key_type("ec-p256")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PUBLISHED = Publishing("http://pki.example/crl", "http://pki.example/ocsp")


@dataclass
class World:
    """`now` is the time at which everything happens; move it."""

    folder: Path
    database: str | None = None
    publishing: Publishing = NOWHERE
    now: datetime = NOW
    issuance: Issuance = field(init=False)

    def __post_init__(self) -> None:
        self.issuance = Issuance(self.folder / "maker", database=self.database, publishing=self.publishing)
        self.root = self.issuance.root("Test Root CA", P256, now=NOW - DAY)
        self.factory = self.issuance.intermediate("Test Factory CA", P256, now=NOW - DAY, issuer=self.root)
        self.key_id = key_id_of(self.factory.chain.leaf)
        self.revocation = Revocation(self.issuance)

    @property
    def ledger(self) -> Ledger:
        return self.issuance.ledger

    def publish_to(self, publishing: Publishing) -> None:
        """From now on certificates point elsewhere."""
        self.issuance.publishing = publishing
        self.revocation = Revocation(self.issuance)

    def issue(self, name: str = "pump-1", **more: Any) -> x509.Certificate:
        kind = more.pop("kind", "leaf_device")
        return self.chain(name, kind, **more).leaf

    def chain(self, name: str, kind: str = "leaf_device", **more: Any) -> Chain:
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        request = CertificateRequest(public_key=key, common_name=name)
        return self.issuance.issue(profile(kind), request, now=self.now, **{"issuer": self.factory, **more})

    def revoke(self, certificate: x509.Certificate, reason: str = "keyCompromise") -> Outcome:
        return self.revocation.revoke(fingerprint(certificate), reason, now=self.now)

    def held(self, certificate: x509.Certificate) -> Issued:
        return self.ledger.inventory.get(fingerprint(certificate), self.now)

    def file(self, partition: int = COMPLETE, key_id: str | None = None) -> Path:
        return self.folder / "maker" / "crl" / (key_id or self.key_id) / list_name(partition)

    def crl(self, partition: int = COMPLETE, key_id: str | None = None) -> x509.CertificateRevocationList:
        return x509.load_der_x509_crl(self.file(partition, key_id).read_bytes())

    def publish(self, **options: Any) -> list[Any]:
        return list(self.revocation.publish_due(now=self.now, **options))

    def logged(self, kind: str) -> list[LogEntry]:
        size = self.ledger.log.state().size
        return [one for text in self.ledger.log.entries(0, size) if (one := LogEntry.parse(text)).kind == kind]

    def check_log(self) -> None:
        assert differences(self.ledger, self.now) == []


def number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def serials(crl: x509.CertificateRevocationList) -> list[int]:
    return [one.serial_number for one in crl]


def address(certificate: x509.Certificate) -> str | None:
    """The list that a certificate names."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return None
    return points[0].full_name[0].value


__all__ = ["DAY", "HOUR", "NOW", "P256", "PUBLISHED", "Status", "World", "address", "number", "serials"]
