"""The file that the manager's settings come from: a leafward.toml, or an IoT Edge configuration as it is.

Which of the two it is: a name ending in .yaml is IoT Edge's, one called leafward.toml is ours, and of other TOML files
the tables tell.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leafward import disk
from leafward.errors import LeafwardError
from leafward.keys.passphrase import Secret, add_pins
from leafward.manager.iotedge_settings import read_iotedge_settings
from leafward.manager.settings import ManagerSettings, read_settings
from leafward.store.device_settings import read_device
from leafward.store.home import Home
from leafward.store.settings_file import lines_of
from leafward.toml_lines import line_of
from leafward.wire.iotedge_config.findings import Note
from leafward.wire.iotedge_config.reader import is_iotedge_toml

OURS = "leafward.toml"

_log = logging.getLogger(__name__)

# The dotted key in the file, and its line where it stands there.
Place = tuple[str, int | None]


@dataclass(frozen=True)
class SettingsSource:
    """Settings, with what there is to say of the file, PINs that stood in it (for `passphrase.use`), and `place`:
    where the file has one of our settings ("device.trust_bundle").
    """

    path: Path
    settings: ManagerSettings
    place: Callable[[str], Place]
    is_iotedge: bool = False
    notes: tuple[Note, ...] = ()
    pins: Mapping[str, Secret] = field(default_factory=dict, repr=False)

    @property
    def holds_secrets(self) -> bool:
        """Whether a PIN or a password stands in the file itself."""
        enrolment = self.settings.enrolment
        return bool(self.pins) or (enrolment is not None and enrolment.password is not None)


def is_iotedge_file(path: Path) -> bool:
    """Whether a file is a configuration of IoT Edge. Raises `NotFound` and `StoreError`."""
    if path.suffix.lower() in (".yaml", ".yml"):
        return True
    return path.name != OURS and is_iotedge_toml(disk.read_file(path))


def read_settings_source(path: Path, *, hostname: str | None = None) -> SettingsSource:
    """Reads either file; a leafward.toml may be missing, as everywhere. `hostname` (a flag) wins over the file.

    Raises `SettingsError` with every fault and its line, `StoreError` and, for another file than ours, `NotFound`.
    """
    if is_iotedge_file(path):
        carried = read_iotedge_settings(path, hostname=hostname)
        return SettingsSource(path, carried.settings, carried.place, True, carried.notes, carried.pins)
    settings = read_settings(path, hostname=hostname)

    def place(key: str) -> Place:
        return key, line_of(lines_of(path), tuple(key.split(".")))

    return SettingsSource(path, settings, place)


def settings_to_run_with(path: Path) -> ManagerSettings:
    """The settings of a process that is started with this file: its notes go to the log, its PINs to where keys are
    opened. Raises as `read_settings_source`.
    """
    source = read_settings_source(path)
    add_pins(source.pins)
    for note in source.notes:
        _log.info("%s", note)
    return source.settings


def read_otherwise(source: Path, home: Home) -> list[str]:
    """What hub, provisioning and commands take for granted, and a manager that runs with `source` does not: they read
    the home's own leafward.toml. A sentence, or none where both say the same.

    Raises as `read_settings_source`, but for the home's file: that is told, the manager does not need it.
    """
    given = read_settings_source(source).settings.device
    try:
        own = read_device(home.settings)
    except LeafwardError as error:
        return [f"the hub and all commands read {home.settings}: {error}"]
    apart = [
        f"device.{name} {theirs!s} instead of {ours!s}"
        for name, ours, theirs in (
            ("hostname", given.hostname, own.hostname),
            ("device_id", given.device_id, own.device_id),
        )
        if ours != theirs
    ]
    if not apart:
        return []
    told = " and ".join(apart)
    return [f"the hub and all commands read {home.settings}, and take {told}: leafward manager import {source}"]
