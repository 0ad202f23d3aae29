"""A gateway's home as a target: what the manager keeps is read, nothing is written, no daemon is needed.

    manager/device-ca/, or what leafward.toml names, or manager/enrolled-device-ca/      the device CA
    manager/workload-ca/, manager/hub-server/                                            numbered slots, one active
    trust/, run/ready.json, registry.db, manager/last-seen

Where the edge runs, the certificate that it serves is looked at too, and judged in place of the files.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from leafward import disk
from leafward.doctor import file_reader
from leafward.doctor.case import Case, FileEvidence
from leafward.doctor.case_files import Evidence, Question, cases_of
from leafward.doctor.device_faults import ca_faults, clock_faults, name_faults, served_faults, socket_faults
from leafward.doctor.file_contents import FileContents, contents
from leafward.doctor.live_case import server_case
from leafward.doctor.locked import Password, no_password
from leafward.doctor.noted import Noted
from leafward.doctor.probe import Target
from leafward.doctor.target_kinds import TIMEOUT
from leafward.errors import LeafwardError, StoreError
from leafward.store.home import Home
from leafward.store.settings_file import read_tables
from leafward.store.slots import Slots

_CERTIFICATE, _KEY = "certificate.pem", "key.pem"
_CLOCK = "last-seen"


@dataclass(frozen=True)
class Pair:
    """A certificate file and the file of its key as read; either may be missing. `key` None: it is in no file."""

    certificate: FileContents
    key: FileContents | None

    @property
    def files(self) -> tuple[FileContents, ...]:
        """Both."""
        return (self.certificate,) if self.key is None else (self.certificate, self.key)


class DeviceHome:
    """What stands in a home, read when made. Never raises for what it holds."""

    def __init__(self, home: Home, password: Password = no_password) -> None:
        self.home = home
        self._password = password
        self.settings_error: LeafwardError | None = None
        self.device: dict[str, Any] = self._table()
        self.device_ca = self._device_ca()
        self.workload_ca = self._slot("workload-ca")
        self.hub = self._slot("hub-server")
        self.roots = self._roots()
        self.ready = self._ready()

    @property
    def hostname(self) -> str | None:
        """The name that leaf devices use, as far as it is written down."""
        found = self.device.get("hostname") or self.ready.get("hostname")
        return found if isinstance(found, str) else None

    @property
    def anchors(self) -> tuple[x509.Certificate, ...]:
        """What leaf devices of this gateway are given to trust."""
        return tuple(one for file in self.roots for one in file.certificates)

    @property
    def seen(self) -> datetime | None:
        """The newest time that the manager has written down, aware UTC."""
        try:
            text = disk.read_file(self.home.manager / _CLOCK, limit=1024).decode("ascii").partition("\n")[0]
            found = datetime.fromisoformat(text)
        except (LeafwardError, ValueError):
            return None
        return found if found.tzinfo is not None else None

    @property
    def served_at(self) -> Target | None:
        """Where the hub listens, while it runs."""
        place = self.ready.get("mqtts")
        if not isinstance(place, dict) or not isinstance(place.get("port"), int) or self.hostname is None:
            return None
        host = str(place.get("host") or "127.0.0.1")
        return Target("127.0.0.1" if host in ("0.0.0.0", "") else host, place["port"], self.hostname)  # noqa: S104

    def _table(self) -> dict[str, Any]:
        try:
            table = read_tables(self.home.settings).get("device", {})
        except LeafwardError as error:
            self.settings_error = error
            return {}
        return table if isinstance(table, dict) else {}

    def _read(self, path: Path) -> FileContents:
        return contents(file_reader.read(path), self._password)

    def _path(self, name: str) -> Path | None:
        text = self.device.get(name)
        return self.home.root / text.removeprefix("file:") if isinstance(text, str) else None

    def _device_ca(self) -> Pair:
        certificate = self._path("device_ca_certificate")
        if certificate is not None:
            reference = str(self.device.get("device_ca_key", ""))
            in_file = reference and not reference.startswith(("pkcs11:", "tpm:"))
            path = self._path("device_ca_key") if in_file else None
            return Pair(self._read(certificate), None if path is None else self._read(path))
        enrolled = self._slot("enrolled-device-ca")
        if enrolled is not None:
            return enrolled
        folder = self.home.manager / "device-ca"
        return Pair(self._read(folder / _CERTIFICATE), self._read(folder / _KEY))

    def _slot(self, name: str) -> Pair | None:
        try:
            slot = Slots(self.home.manager / name).active()
        except StoreError:
            return None
        if slot is None:
            return None
        key = self._read(slot.path / _KEY) if slot.has(_KEY) else None
        return Pair(self._read(slot.path / _CERTIFICATE), key)

    def _roots(self) -> tuple[FileContents, ...]:
        named = self._path("trust_bundle")
        paths = [named] if named is not None else [self.home.root_certificate, self.home.trust_bundle]
        return tuple(self._read(path) for path in paths if named is not None or path.exists())

    def _ready(self) -> dict[str, Any]:
        try:
            found = json.loads(disk.read_file(self.home.ready, limit=65536))
        except (LeafwardError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def home_case(device: DeviceHome, question: Question, *, timeout: float = TIMEOUT, live: bool = True) -> Case:
    """A case of the chain that leaf devices are shown: over the network where the edge runs, else as it is filed."""
    base = _filed(device, question)
    where = device.served_at if live else None
    if where is None:
        return base
    presented, files = base.presented, base.files
    served = server_case(where, replace(base, presented=(), key=None), timeout=timeout)
    if not served.presented:  # a ready.json of an edge that was killed says nothing of the certificates
        return base
    current = presented if device.hub is not None else ()
    noted = (*served.noted, *served_faults(served.presented, current))
    return replace(served, target=base.target, files=files, noted=noted)


def _filed(device: DeviceHome, question: Question) -> Case:
    name = question.name or device.hostname
    asked = replace(question, name=name, purpose=None if device.hub is not None else "ca")
    shown = device.hub or device.device_ca
    evidence = Evidence(targets=shown.files, roots=device.roots)
    target = str(device.home.root)
    missing = device.hub is None and not device.device_ca.certificate.certificates
    case = cases_of(target, replace(evidence, targets=() if missing else shown.files), asked)[0]
    return replace(case, name=name, files=_files(device, case), noted=tuple(_noted(device, question)))


def _files(device: DeviceHome, case: Case) -> tuple[FileEvidence, ...]:
    """The faults of every file of the gateway, those of the chain that is judged with their part worked out."""
    told = {file.path for file in case.files}
    pairs = [pair for pair in (device.device_ca, device.workload_ca) if pair is not None]
    missing = not device.device_ca.certificate.certificates
    more: list[FileEvidence] = []
    for pair in pairs:
        if missing and pair is device.device_ca:
            continue  # `device-ca-missing` says it better
        described = cases_of("", Evidence(targets=pair.files), Question(now=case.now, purpose="ca"))[0]
        more += [file for file in described.files if file.path not in told]
    return (*case.files, *more)


def _noted(device: DeviceHome, question: Question) -> Iterator[Noted]:
    workload = device.workload_ca.certificate.certificates if device.workload_ca is not None else ()
    yield from ca_faults(
        device.device_ca.certificate,
        workload,
        now=question.now,
        production=device.device.get("production") is True,
        started=device.workload_ca is not None,
    )
    if question.clock_is_real and device.seen is not None:
        yield from clock_faults(question.now, device.seen)
    if device.ready:
        yield from socket_faults(_sockets(device.home), usable=_usable)
    hostname = device.device.get("hostname")
    if isinstance(hostname, str):
        yield from name_faults(hostname, severity="info")


def _sockets(home: Home) -> dict[str, Path]:
    return {"Workload API": home.workload_socket, "Management API": home.management_socket, "hub": home.hub_socket}


def _usable(path: Path) -> bool:
    return path.is_socket() and os.access(path, os.R_OK | os.W_OK)
