"""An IoT Edge configuration as the manager's settings: `leafward manager run --config /etc/aziot/config.toml`.

What the file says is written as leafward's own tables and judged as those are; a fault of a value is told at the place
where the IoT Edge file has it. What has no place here is a note, or a fault where passing over it would make another
gateway than the one that is described.

    IoT Edge                               here
    device_ca_cert, edge_ca.cert           the device CA, from files or a token
    edge_ca.method = "est"                 the device CA, by [enrolment]
    edge_ca.method = "local_ca"            the local CA is the device CA: what IoT Edge has it issue is the workload CA
    quickstart, self_signed                no device CA: one is looked for in the home, or made by leafward up
    listen, connect                        manager.workload_uri, manager.management_uri
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import Fault, LeafwardError, SettingsError
from leafward.keys.passphrase import Secret
from leafward.manager.iotedge_edge_ca import carry_edge_ca
from leafward.manager.iotedge_tables import Tables
from leafward.manager.settings import ManagerSettings, settings_from
from leafward.pki.encoding import load_certificates
from leafward.pki.names import common_name
from leafward.store.settings_file import refused
from leafward.wire.iotedge_config.findings import Note
from leafward.wire.iotedge_config.locations import is_loopback
from leafward.wire.iotedge_config.reader import read_iotedge_config
from leafward.wire.iotedge_config.values import ApiUri, FilePair, IotEdgeConfig, Located, Provisioning

_NO_CLOUD = "leafward registers with no cloud: the names of device and IoT hub are taken from here, and nothing else"


@dataclass(frozen=True)
class CarriedOver:
    """The settings, what had no place in them, where each came from, and PINs by the token's name."""

    settings: ManagerSettings
    notes: tuple[Note, ...]
    tables: Tables = field(repr=False)

    @property
    def pins(self) -> Mapping[str, Secret]:
        """For `passphrase.use`: PINs that stood in the file."""
        return self.tables.pins

    def place(self, key: str) -> tuple[str, int | None]:
        """The key and the line in the IoT Edge file of one of our settings ("device.trust_bundle")."""
        found = self.tables.origin(key) or self.tables.origin_of_table(key.partition(".")[0])
        return (key, None) if found is None else (found.key, found.line)


def read_iotedge_settings(path: Path, *, hostname: str | None = None) -> CarriedOver:
    """Reads a config.yaml or config.toml. `hostname` (a command's flag) wins over the file.

    Raises `SettingsError` with all faults of the file and of what it says, `NotFound` and `StoreError`.
    """
    reading = read_iotedge_config(disk.read_file(path), str(path))
    if reading.config is None:
        raise refused(path, reading.faults)
    carried, faults = _carried(reading.config, path, hostname)
    faults = _each_once((*reading.faults, *faults))
    if carried is None or faults:
        raise refused(path, faults)
    return CarriedOver(carried.settings, _by_line((*reading.notes, *carried.notes)), carried.tables)


def carry_over(config: IotEdgeConfig, source: Path, *, hostname: str | None = None) -> CarriedOver:
    """The settings that a configuration means; `source` names it, and its folder is that of relative paths.

    Raises `SettingsError` with everything that cannot be carried over.
    """
    carried, faults = _carried(config, source, hostname)
    if carried is None or faults:
        raise refused(source, faults)
    return carried


def _carried(config: IotEdgeConfig, source: Path, hostname: str | None) -> tuple[CarriedOver | None, tuple[Fault, ...]]:
    tables = Tables(source, config.pkcs11)
    _device(config, tables)
    carry_edge_ca(config, tables)
    _apis(config, tables)
    _left_behind(config, tables)
    try:
        settings = settings_from(tables.tables, source=source, hostname=hostname)
    except SettingsError as error:
        return None, (*tables.findings.faults, *tables.faults_of(error))
    settings = _with_password(settings, config)
    return CarriedOver(settings, tables.findings.notes, tables), tables.findings.faults


def _device(config: IotEdgeConfig, tables: Tables) -> None:
    tables.put("device.hostname", config.hostname)
    tables.put("device.parent_hostname", config.parent_hostname)
    tables.put_path("device.trust_bundle", config.trust_bundle)
    if config.provisioning is not None:
        tables.put("device.device_id", _device_id(config.provisioning, tables))
        tables.put("device.iothub_hostname", config.provisioning.iothub_hostname)
        tables.note(config.provisioning.source, _NO_CLOUD)


def _device_id(provisioning: Provisioning, tables: Tables) -> Located[str] | None:
    """As the cloud has it, or would: DPS gives a device its registration id as name unless told otherwise."""
    found = provisioning.device_id or provisioning.registration_id
    if found is not None:
        return found
    if not isinstance(provisioning.identity, FilePair):
        tables.note(provisioning.source, "no device id stands in the file: leafward's own default is used")
        return None
    place = provisioning.identity.certificate
    try:
        name = _name_in(tables.source.parent / place.value)
    except LeafwardError as error:
        tables.note(place, f"the device's id is the common name in it, and it cannot be read: {error}")
        return None
    return None if name is None else Located(name, place.key, place.line)


def _name_in(certificate: Path) -> str | None:
    return common_name(load_certificates(disk.read_file(certificate))[0].subject)


def _apis(config: IotEdgeConfig, tables: Tables) -> None:
    for name in ("workload", "management"):
        listen, connect = getattr(config.listen, name), getattr(config.connect, name)
        found = _listening(listen, connect, tables)
        tables.put(f"manager.{name}_uri", found, None if found is None else str(found.value))


def _listening(
    listen: Located[ApiUri] | None, connect: Located[ApiUri] | None, tables: Tables
) -> Located[ApiUri] | None:
    """Where to listen: what systemd would hand over (fd) is opened by the manager, where it is to be reached."""
    if listen is None or listen.value.scheme == "fd":
        if listen is not None:
            tables.note(listen, "leafward opens its sockets itself, where connect has them")
        return connect if connect is not None and connect.value.scheme == "unix" else None
    if listen.value.scheme == "http" and not is_loopback(listen.value):
        tables.fault(listen, "other machines would reach it, expected unix:/// or http://127.0.0.1:PORT")
        return None
    return listen


def _left_behind(config: IotEdgeConfig, tables: Tables) -> None:
    tables.note(config.homedir, "leafward's state is in its own home (--home)")
    key = config.imported_master_encryption_key
    tables.note(key, "it is not imported: modules cannot decrypt here what they encrypted before")
    if config.edge_ca is None:
        tables.findings.note(
            "", None, "no CA is named, IoT Edge would make one: have one at manager/device-ca of the home"
        )


def _with_password(settings: ManagerSettings, config: IotEdgeConfig) -> ManagerSettings:
    """Puts the EST password in, which no leafward.toml may hold, behind the back of what refuses it there."""
    if settings.enrolment is None or settings.enrolment.username is None:
        return settings
    issued: Any = getattr(config.edge_ca, "auth", None)
    auth = issued or (None if config.est is None else config.est.auth)
    if auth is None or auth.password is None:
        return settings
    enrolment = settings.enrolment.model_copy(update={"password": auth.password.value.reveal()})
    return settings.model_copy(update={"enrolment": enrolment})


def _each_once(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """One fault a place: what could not be read is not told a second time for what follows from it."""
    found: dict[tuple[str, int | None], Fault] = {}
    for fault in faults:
        found.setdefault((fault.key, fault.line), fault)
    return tuple(sorted(found.values(), key=lambda fault: fault.line or 0))


def _by_line(notes: tuple[Note, ...]) -> tuple[Note, ...]:
    return tuple(sorted(dict.fromkeys(notes), key=lambda note: note.line or 0))
