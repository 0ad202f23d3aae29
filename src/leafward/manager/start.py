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
from leafward.errors import NotFound
from leafward.manager.device_ca import DeviceCa, find_device_ca, judge_device_ca
from leafward.manager.module_secrets import MASTER_KEY
from leafward.manager.modules import Modules
from leafward.manager.server_certificate import HubCertificate
from leafward.manager.server_names import HUB, ServerNames
from leafward.manager.settings import ManagerSettings
from leafward.manager.time_floor import TimeFloor
from leafward.manager.trust_bundle import publish, read_roots, trust_bundle
from leafward.manager.workload_ca import WorkloadCa
from leafward.pki.chain import fingerprint
from leafward.store.home import Home

LAST_START = "last-start.json"
LAST_SEEN = "last-seen"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Standing:
    """What stands after a start. `issued` names what was issued by it, `changed` what differs from the start before."""

    settings: ManagerSettings
    time: TimeFloor
    device_ca: DeviceCa
    anchors: tuple[x509.Certificate, ...]
    names: ServerNames
    workload_ca: WorkloadCa
    hub: HubCertificate
    modules: Modules
    issued: tuple[str, ...]
    changed: tuple[str, ...]


def bring_up(home: Home, settings: ManagerSettings, time: TimeFloor) -> Standing:
    """Brings the manager's half of the hierarchy into order. Safe to kill at any instant, and to repeat.

    Raises what `find_device_ca` and `judge_device_ca` raise, `RuleViolation` where what was issued does not prove, and
    `StoreError`; then whatever stood before stands as it was.
    """
    disk.make_folder(home.manager)
    _tidy(home)
    roots = read_roots(settings.device.trust_bundle)
    found = find_device_ca(home, settings.device, roots=roots)
    time.learn(found.chain.certificates)
    device_ca = judge_device_ca(found, home, settings.device, now=time.now())
    changed = _changes(home, settings, device_ca)
    anchors = trust_bundle(roots, device_ca.chain)
    names = ServerNames(settings.device)
    workload_ca = WorkloadCa(home.manager, settings, device_ca, anchors=anchors, now=time.now)
    hub = HubCertificate(home.manager, settings, names, workload_ca, now=time.now)
    issued = tuple(kept.name for kept in (workload_ca, hub) if kept.ensure())
    time.learn((workload_ca.certificate, hub.certificate))
    modules = Modules(home.registry, settings.device.device_id, time.now)
    with contextlib.ExitStack() as refused:
        refused.callback(modules.close)
        modules.ensure(HUB)
        publish(home, anchors)
        _remember(home, settings, device_ca)
        time.save()
        refused.pop_all()
    return Standing(settings, time, device_ca, anchors, names, workload_ca, hub, modules, issued, changed)


def _tidy(home: Home) -> None:
    """Removes the half-written files of a killed manager. Those in slots go with their slot."""
    files = [home.manager / name for name in (LAST_START, LAST_SEEN, MASTER_KEY)]
    for path in (*files, home.trust_bundle, home.root_certificate):
        for leftover in disk.leftovers(path):
            disk.remove_file(leftover)


def _changes(home: Home, settings: ManagerSettings, device_ca: DeviceCa) -> tuple[str, ...]:
    """What differs from the last start; nothing on the first one."""
    try:
        last = json.loads(disk.read_file(home.manager / LAST_START))
    except (NotFound, ValueError):
        return ()
    now = _facts(settings, device_ca)
    changed = tuple(name for name in now if last.get(name) != now[name])
    for name in changed:
        _log.info("changed since the last start: %s", name.replace("_", " "))
    return changed


def _remember(home: Home, settings: ManagerSettings, device_ca: DeviceCa) -> None:
    path = home.manager / LAST_START
    data = json.dumps(_facts(settings, device_ca)).encode()
    if not path.is_file() or disk.read_file(path) != data:
        disk.write_file(path, data, mode=disk.PUBLIC)


def _facts(settings: ManagerSettings, device_ca: DeviceCa) -> dict[str, str]:
    return {"settings": settings.digest, "device_ca": fingerprint(device_ca.chain.leaf)}
