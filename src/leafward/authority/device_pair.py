"""A device CA and the device's identity beside it (IEEE 802.1AR IDevID): both, or neither.

    FOLDER/certificate.pem, key.pem             the device CA
    FOLDER/identity/certificate.pem, key.pem    who the device is, for the maker's services

The identity is signed by the issuer of the device CA, and carries the device's serial number.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from leafward.authority.authorities import Authority
from leafward.authority.delivery import Delivery, deliver
from leafward.authority.elsewhere import NO_LIMITS, Limits
from leafward.authority.issuance import Issuance
from leafward.authority.succession import predecessor
from leafward.keys.serial import new_serial
from leafward.pki.key_types import KeyType
from leafward.pki.names import parse_common_name
from leafward.pki.profile import Profile
from leafward.pki.profiles import profile
from leafward.pki.rehearsal import throw_away_key
from leafward.pki.request import CertificateRequest

FOLDER = "identity"

Source = CertificateRequest | KeyType


@dataclass(frozen=True)
class Identity:
    """The identity that is wanted: for the key of a request or for a new one. `lifetime` FOREVER is allowed."""

    source: Source
    serial_number: str
    lifetime: timedelta | None = None


def deliver_device(
    issuance: Issuance,
    name: str,
    source: Source,
    identity: Identity,
    folder: Path,
    *,
    now: datetime,
    issuer: Authority,
    lifetime: timedelta | None = None,
    limits: Limits = NO_LIMITS,
    replacing: bool = False,
    renewing: bool = False,
) -> tuple[Delivery, Delivery]:
    """Issues the device CA and the identity. Both are prepared first, so that a refusal of one leaves neither.

    Raises as `deliver`.
    """
    rehearse = _Rehearsal(issuance, issuer, now, replacing, renewing)
    rehearse(limits.profile("device_ca"), limits.on(_request(source, name)), lifetime)
    rehearse(profile("device_identity"), _request(identity.source, name, identity.serial_number), identity.lifetime)
    first = deliver(
        issuance,
        "device_ca",
        name,
        source,
        folder,
        now=now,
        issuer=issuer,
        lifetime=lifetime,
        limits=limits,
        replacing=replacing,
        renewing=renewing,
    )
    second = deliver(
        issuance,
        "device_identity",
        name,
        identity.source,
        folder / FOLDER,
        now=now,
        issuer=issuer,
        lifetime=identity.lifetime,
        serial_number=identity.serial_number,
        replacing=replacing,
        renewing=renewing,
    )
    return first, second


def _request(source: Source, name: str, serial_number: str | None = None) -> CertificateRequest:
    """What will be asked, with a throw-away key where the real one is still to be made."""
    if isinstance(source, KeyType):
        source = CertificateRequest(public_key=throw_away_key(source).public_key())
    return replace(source, common_name=parse_common_name(name), serial_number=serial_number or source.serial_number)


@dataclass(frozen=True)
class _Rehearsal:
    """Refuses everything that issuing would refuse, but for the key that a renewal keeps."""

    issuance: Issuance
    issuer: Authority
    now: datetime
    replacing: bool
    renewing: bool

    def __call__(self, kind: Profile, request: CertificateRequest, lifetime: timedelta | None) -> None:
        if not self.renewing:
            inventory = self.issuance.ledger.inventory
            predecessor(inventory, kind, request, now=self.now, replacing=self.replacing)
        signer = self.issuer.issuer()
        signer.prepare(kind, request, now=self.now, serial=new_serial(), lifetime=lifetime)
