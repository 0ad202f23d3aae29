"""A leaf device's client certificate, signed by this gateway's device CA: for leaf devices that have no maker's own."""

from datetime import datetime, timedelta

from leafward.keys.serial import new_serial
from leafward.manager.device_ca import DeviceCaFiles, load_device_ca
from leafward.manager.settings import ManagerSettings, read_settings
from leafward.manager.trust_bundle import read_roots
from leafward.manager.wipe_issued import LEAF, note_issued
from leafward.pki.chain import Chain
from leafward.pki.key_types import PublicKey
from leafward.pki.names import parse_device_id
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.home import Home


def issue_leaf(
    home: Home,
    device_id: str,
    public_key: PublicKey,
    *,
    now: datetime,
    lifetime: timedelta | None = None,
    settings: ManagerSettings | None = None,
) -> Chain:
    """The chain for a leaf device's key, leaf first up to the root; CN is the device id, letter for letter.

    `now` is aware UTC. Raises what `load_device_ca` raises, `NameFormatError` for an id that is none or longer than the
    64 characters of a common name.
    """
    chosen = settings or read_settings(home.settings)
    files = DeviceCaFiles.of(chosen.device, home, chosen.enrolment)
    roots = read_roots(chosen.device.trust_bundle)
    device_ca = load_device_ca(home, chosen.device, roots=roots, now=now, files=files)
    request = CertificateRequest(public_key=public_key, common_name=parse_device_id(device_id))
    chain = device_ca.issuer.prepare(
        profile("leaf_device"), request, now=now, serial=new_serial(), lifetime=lifetime
    ).sign()
    note_issued(home.manager, LEAF, chain)
    return chain
