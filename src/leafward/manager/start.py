"""Every start of the manager: what is kept is looked at, and only what is missing, wrong or due is issued.

    device CA  (read, judged)
    └── workload CA            anew when there is none, the device CA is another, or it is due
        └── hub certificate    anew when there is none, the workload CA is another, the names are others, or it is due

Nothing is issued because of a digest: each pair says for itself whether it is right, so a start after a kill at any
instant ends like any other. The digest of the settings and the device CA's fingerprint are kept beside them only to
say in the log what was changed since.
"""

import contextlib
import json
import logging
from dataclasses import dataclass

from cryptography import x509

from leafward import disk
from leafward.manager.current_device_ca import CurrentDeviceCa
from leafward.manager.device_ca import DeviceCa
from leafward.manager.device_ca_source import DeviceCaSource
from leafward.manager.events import Events
from leafward.manager.last_start import (
    HAD_SETTINGS,
    LAST_START,
    has_settings,
    read_last_start,
    refuse_lost_registry,
    refuse_lost_settings,
)
from leafward.manager.module_ledger import ModuleLedger
from leafward.manager.module_secrets import MASTER_KEY
from leafward.manager.modules import Modules
from leafward.manager.renewal_journal import RenewalJournal
from leafward.manager.server_certificate import HubCertificate
from leafward.manager.server_names import HUB, ServerNames
from leafward.manager.settings import ManagerSettings, read_settings
from leafward.manager.time_floor import TimeFloor
from leafward.manager.trust_bundle import publish
from leafward.manager.wipe_epoch import owner_epoch
from leafward.manager.wipe_resume import resume_wipe
from leafward.manager.workload_ca import WorkloadCa
from leafward.pki.chain import fingerprint
from leafward.store.home import Home

LAST_SEEN = "last-seen"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """What stands after a start. `issued` names what was issued by it, `changed` what differs from the start before.

    What it holds changes while the manager runs: `device_ca` and `anchors` are those of now.
    """

    settings: ManagerSettings
    time: TimeFloor
    source: DeviceCaSource
    current: CurrentDeviceCa
    names: ServerNames
    workload_ca: WorkloadCa
    hub: HubCertificate
    modules: Modules
    issued: tuple[str, ...]
    changed: tuple[str, ...]
    events: Events
    journal: RenewalJournal
    held: ModuleLedger
    owner_epoch: int

    @property
    def device_ca(self) -> DeviceCa:
        """The device CA in use."""
        return self.current.value

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """The roots to trust: the trust bundle."""
        return self.current.anchors


def bring_up(home: Home, settings: ManagerSettings, time: TimeFloor) -> Standing:
    """Brings the manager's half of the hierarchy into order. Safe to kill at any instant, and to repeat.

    Raises what `DeviceCaSource.read` raises, `RuleViolation` where what was issued does not prove, and
    `StoreError`; then whatever stood before stands as it was.
    """
    disk.make_folder(home.manager)
    if resume_wipe(home, time):
        settings = read_settings(home.settings)
    _tidy(home)
    refuse_lost_settings(home)
    refuse_lost_registry(home)
    source = DeviceCaSource(home, settings, time)
    read = source.read(starting=True)
    changed = _changes(home, settings, read.device_ca)
    current = CurrentDeviceCa(read.device_ca, read.roots)
    names = ServerNames(settings.device)
    workload_ca = WorkloadCa(home.manager, settings, current, now=time.now)
    hub = HubCertificate(home.manager, settings, names, workload_ca, now=time.now)
    issued = tuple(kept.name for kept in (workload_ca, hub) if kept.ensure())
    time.learn_own((workload_ca.certificate, hub.certificate))
    modules = Modules(home.registry, settings.device.device_id, time.now)
    with contextlib.ExitStack() as refused:
        refused.callback(modules.close)
        modules.ensure(HUB)
        publish(home, current.anchors)
        remember(home, settings, read.device_ca)
        time.save()
        refused.pop_all()
    return Standing(
        settings=settings,
        time=time,
        source=source,
        current=current,
        names=names,
        workload_ca=workload_ca,
        hub=hub,
        modules=modules,
        issued=issued,
        changed=changed,
        events=Events(time.now),
        journal=RenewalJournal(),
        held=ModuleLedger(settings.renewal.policy),
        owner_epoch=owner_epoch(home),
    )


def _tidy(home: Home) -> None:
    """Removes the half-written files of a killed manager. Those in slots go with their slot."""
    files = [home.manager / name for name in (LAST_START, LAST_SEEN, MASTER_KEY)]
    for path in (*files, home.trust_bundle, home.root_certificate, home.published_retired, home.wipe_marker):
        for leftover in disk.leftovers(path):
            disk.remove_file(leftover)


def _changes(home: Home, settings: ManagerSettings, device_ca: DeviceCa) -> tuple[str, ...]:
    """What differs from the last start; nothing on the first one."""
    last = read_last_start(home)
    if not last:
        return ()
    now = _facts(home, settings, device_ca)
    changed = tuple(name for name in now if name != HAD_SETTINGS and last.get(name) != now[name])
    for name in changed:
        _log.info("changed since the last start: %s", name.replace("_", " "))
    return changed


def remember(home: Home, settings: ManagerSettings, device_ca: DeviceCa) -> None:
    """Keeps the digest and the device CA's fingerprint for the next start to compare."""
    path = home.manager / LAST_START
    data = json.dumps(_facts(home, settings, device_ca)).encode()
    if not disk.holds(path, data):
        disk.write_file(path, data, mode=disk.PUBLIC)


def _facts(home: Home, settings: ManagerSettings, device_ca: DeviceCa) -> dict[str, object]:
    return {
        "settings": settings.digest,
        "device_ca": fingerprint(device_ca.chain.leaf),
        HAD_SETTINGS: has_settings(home),
    }
