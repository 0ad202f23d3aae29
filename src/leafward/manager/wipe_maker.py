"""The maker's half as a wipe needs it: the device CA, able to sign; nothing else about it is judged.

A device that changes hands may have another name than its settings say, or a device CA that no gateway could be served
with any more. That is the next start's affair.
"""

from dataclasses import dataclass
from typing import Self

from leafward import disk
from leafward.errors import KeyUnavailable, LeafwardError
from leafward.manager.device_ca import DeviceCaFiles, find_device_ca, is_development
from leafward.manager.enrolment_slots import enrolled_device_ca
from leafward.manager.settings import ManagerSettings, read_settings
from leafward.manager.time_floor import TimeFloor
from leafward.manager.trust_bundle import read_roots
from leafward.pki.chain import Chain
from leafward.pki.crl import issue_crl
from leafward.pki.issuer import Issuer
from leafward.pki.validity import NO_EXPIRY
from leafward.store.home import Home


@dataclass(frozen=True)
class MakersHalf:
    """The device CA with its chain up to the root. `root_apart`: its own file has no root in it."""

    issuer: Issuer
    development: bool
    root_apart: bool

    @classmethod
    def find(cls, home: Home, time: TimeFloor, settings: ManagerSettings | None = None) -> Self:
        """Reads it, and lets `time` learn from it. Raises what `find_device_ca` and `Issuer` raise."""
        settings = settings or read_settings(home.settings)
        roots = read_roots(settings.device.trust_bundle)
        enrolled = None if settings.enrolment is None else enrolled_device_ca(home)
        files = None if enrolled is None else DeviceCaFiles(enrolled.certificate, enrolled.key)
        found = find_device_ca(home, settings.device, roots=roots, files=files)
        time.learn(found.chain.certificates)
        own = Chain.from_pem(disk.read_file(found.files.certificate))
        return cls(Issuer(found.chain, found.key), is_development(home, found.chain), found.chain.top not in own)

    def prove(self, time: TimeFloor) -> None:
        """Raises `KeyUnavailable` unless the device CA can sign a list and a receipt now: it signs one for nobody."""
        try:
            now = time.now()
            issue_crl(self.issuer, [], number=1, now=now, lifetime=NO_EXPIRY - now)
        except LeafwardError as error:
            raise no_receipt(error) from error


def no_receipt(error: LeafwardError) -> KeyUnavailable:
    """Why there can be no receipt, with what to do."""
    hint = "mend that first; or wipe with --without-receipt, and the next owner has no proof"
    return KeyUnavailable("the device CA can sign no receipt", why=str(error), hint=hint)
