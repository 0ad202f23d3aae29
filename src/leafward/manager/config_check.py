"""What a settings file refers to, looked at before a start needs it: files, keys, chains, who asks the EST server.

Nothing is judged here that a start would not judge the same way. A start stops at the first fault; here each is told,
at the line of the setting that refers to it.
"""

import os
import stat
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509

from leafward.errors import Fault, LeafwardError, RuleViolation
from leafward.keys.key_store import key_exists, open_key
from leafward.manager import enrolment_credentials as credentials
from leafward.manager.device_ca import (
    DeviceCaFiles,
    FoundDeviceCa,
    find_device_ca,
    judge_device_ca,
    refusals,
)
from leafward.manager.enrolment import Enrolment
from leafward.manager.hub_user import hub_uid
from leafward.manager.settings import EnrolmentSettings
from leafward.manager.settings_source import SettingsSource
from leafward.manager.trust_bundle import read_roots
from leafward.store.home import Home
from leafward.wire.iotedge_config.findings import Note

T = TypeVar("T")

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class ConfigCheck:
    """Looks once, when made; `faults` and `notes` are what was found. `now` is aware UTC. Changes nothing."""

    def __init__(self, source: SettingsSource, home: Home, *, now: datetime) -> None:
        self.faults: list[Fault] = []
        self.notes: list[Note] = list(source.notes)
        self._source = source
        self._settings = source.settings
        self._home = home
        self._now = now
        roots = self._try("device.trust_bundle", lambda: read_roots(self._settings.device.trust_bundle))
        if self._settings.enrolment is None:
            self._device_ca(roots)
        else:
            self._enrolment(self._settings.enrolment, roots)
        self._try("manager.hub_user", lambda: hub_uid(self._settings.manager.hub_user))
        self._own_file()
        self._sockets()

    def _device_ca(self, roots: tuple[x509.Certificate, ...] | None) -> None:
        files = self._try("device.device_ca_certificate", lambda: DeviceCaFiles.of(self._settings.device, self._home))
        if files is None:
            return
        if self._settings.device.device_ca_certificate is None and not files.certificate.exists():
            self._none_yet(files.certificate)
        elif roots is not None:
            self._judged(files, roots)

    def _none_yet(self, expected: Path) -> None:
        if self._settings.device.production:
            message = f"there is no device CA at {expected}, and none for development is made in production"
            self._fault("device.production", message, expected=str(expected))
        else:
            key, line = self._source.place("device.device_ca_certificate")
            message = f"there is no device CA at {expected} yet: leafward up makes one for development"
            self.notes.append(Note(str(self._source.path), line, key, message))

    def _judged(self, files: DeviceCaFiles, roots: tuple[x509.Certificate, ...]) -> None:
        key = self._try("device.device_ca_key", lambda: open_key(files.key))
        try:
            found = find_device_ca(self._home, self._settings.device, roots=roots, files=files)
        except LeafwardError as error:
            # A key at fault is told of already.
            if key is not None or files.key.label not in str(error):
                self._told("device.device_ca_certificate", error)
            return
        refused = list(self._refusals(found))
        for refusal in refused:
            about_key = refusal.code == "key-mismatch"
            self._told("device.device_ca_key" if about_key else "device.device_ca_certificate", refusal)
        if not refused:
            device = self._settings.device
            self._try("device.production", lambda: judge_device_ca(found, self._home, device, now=self._now))

    def _refusals(self, found: FoundDeviceCa) -> Iterator[RuleViolation]:
        return refusals(found, self._settings.hostname, self._now)

    def _enrolment(self, enrolment: EnrolmentSettings, roots: tuple[x509.Certificate, ...] | None) -> None:
        self._try("enrolment", lambda: credentials.check_settings(enrolment))
        self._try("enrolment.trust", lambda: read_roots(enrolment.trust))
        self._try("enrolment.bootstrap_certificate", lambda: credentials.bootstrap(enrolment, self._now))
        given = credentials.given_identity(enrolment)
        self._try("enrolment.identity_certificate", lambda: credentials.identity(given, self._now))
        reference = enrolment.key
        if reference is not None:
            self._try("enrolment.key", lambda: key_exists(reference))
        if self.faults or roots is None:
            return
        made = self._try("enrolment", lambda: Enrolment.of(self._home, self._settings, now=lambda: self._now))
        if made is None:
            return
        self._try("enrolment", made.check)
        files = self._try("enrolment", made.current)
        if files is not None:
            self._judged(files, roots)

    def _own_file(self) -> None:
        try:
            mode = self._source.path.stat().st_mode
        except OSError:
            return
        if self._source.holds_secrets and mode & _OTHERS:
            message = (
                f"there are secrets in it, and its mode is {stat.S_IMODE(mode):04o}: chmod 600 {self._source.path}"
            )
            self.notes.append(Note(str(self._source.path), None, "", message))

    def _sockets(self) -> None:
        daemon = self._settings.manager
        for name, uri in (("workload_uri", daemon.workload_uri), ("management_uri", daemon.management_uri)):
            if uri is None or uri.scheme != "unix":
                continue
            folder = Path(uri.rest).parent
            if not os.access(folder, os.W_OK | os.X_OK):
                key, line = self._source.place(f"manager.{name}")
                why = "is not writable for this user" if folder.is_dir() else "does not exist"
                self.notes.append(Note(str(self._source.path), line, key, f"the folder {folder} {why}"))

    def _try(self, key: str, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except LeafwardError as error:
            self._told(key, error)
            return None

    def _told(self, key: str, error: LeafwardError) -> None:
        self._fault(key, str(error), expected=error.hint)

    def _fault(self, key: str, message: str, *, expected: str | None) -> None:
        if any(fault.message == message for fault in self.faults):
            return
        place, line = self._source.place(key)
        self.faults.append(Fault(str(self._source.path), line, place, message, expected=expected))
