"""What the operator decides: the manager's tables of `leafward.toml` in the home.

An empty or missing file works. Everything that is wrong is told at once, each with the path of its key. A key that is
not known is refused with the nearest one that is: a misspelt `hostnam` must not become a gateway with the wrong name.

    [device]
    hostname = "iotedgegw.local"                        # the name leaf devices use; lower-cased
    device_id = "edge-device"                           # the gateway's own identity
    device_ca_certificate = "device-ca/full-chain.pem"  # leaf first; relative to this file
    device_ca_key = "file:/etc/leafward/device-ca.key"  # a key reference
    trust_bundle = "roots.pem"
    parent_hostname = "upper.local"                     # the gateway above, in a nested edge
    names = ["gateway", "192.0.2.7"]                    # further names and addresses of the hub
    iothub_hostname = "plant.azure-devices.net"         # the IoT hub that tokens of devices and modules are made for
    production = true                                   # refuses a development device CA

    [renewal]
    threshold = "80%"
    retry = "4%"
    rekey = true                                        # a renewal makes a new key; false keeps the old one
    server_lifetime_days = 30
    workload_ca_lifetime_days = 365

    [enrolment]                                         # the device CA by EST (RFC 7030), instead of from files
    url = "https://est.maker.example:8443/.well-known/est/device_ca"
    trust = "est-roots.pem"                             # whom the EST server is checked against; default: trust_bundle
    common_name = "gw-0001"                             # of the device CA; default: device_id
    key = "pkcs11:token=gw;object=device-ca"            # where the device CA's key is made; default: a file
    key_type = "ec-p256"
    bootstrap_certificate = "bootstrap.pem"             # who asks the first time: a certificate and key,
    bootstrap_key = "file:/etc/leafward/bootstrap.key"
    username = "gw-0001"                                # or a name with a password,
    password_file = "est-password"
    identity_certificate = "idevid.pem"                 # or the device's own identity (802.1AR)
    identity_key = "file:/etc/leafward/idevid.key"
    identity_url = "https://est.maker.example:8443/.well-known/est/device_identity"  # or where to enrol one first
    serial_number = "4711"                              # in an enrolled identity's subject; default: common_name

    [manager]
    metrics = "127.0.0.1:9601"                          # Prometheus metrics over HTTP; none unless set
    log = "text"                                        # or "json"
    module_sockets = false                              # one Workload API socket a module beside the common one
    hub_user = "leafward-hub"                           # another user whose process may attach itself as the hub
    workload_uri = "unix:///run/leafward/workload.sock" # where the Workload API listens; default: in the home. Windows:
    management_uri = "http://127.0.0.1:8081"            # an http address of this machine alone

The tables of other parts ([hub], [provisioning], [maker]) stand in the same file and are not read here.
"""

import hashlib
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainSerializer, ValidationInfo, field_validator, model_validator

from leafward.errors import LeafwardError
from leafward.keys.key_store import KeyReference
from leafward.manager.metrics_address import parse_metrics_address
from leafward.pki.key_types import DEFAULT_KEY_TYPE, KeyType, parse_key_type
from leafward.pki.names import Host, parse_common_name, parse_serial_number
from leafward.pki.renewal import RenewalPolicy
from leafward.store.device_settings import DeviceTable, HostSetting, by
from leafward.store.home import LONGEST_SOCKET_PATH
from leafward.store.settings_file import Table, checked, read_tables
from leafward.wire.est.server_url import ServerUrl
from leafward.wire.iotedge_config.locations import api_uri, is_loopback
from leafward.wire.iotedge_config.values import ApiUri

MOST_DAYS = 3650  # of a lifetime that is set in days

KeySetting = Annotated[KeyReference, by(KeyReference.parse), PlainSerializer(lambda reference: reference.label)]
Days = Annotated[int, Field(ge=1, le=MOST_DAYS, strict=True)]


def _est_address(text: str) -> str:
    ServerUrl.parse(text)
    return text


def _listens_at(text: str) -> ApiUri:
    """Raises `ValueError`; a caller that came from another machine could be nobody we know."""
    uri = api_uri(text, ("unix", "http"))
    if uri.scheme == "http" and not is_loopback(uri):
        raise ValueError(f"got {text!r}, expected an address of this machine alone, as http://127.0.0.1:8081")
    if uri.scheme == "unix" and len(os.fsencode(uri.rest)) > LONGEST_SOCKET_PATH:
        raise ValueError(f"the path of a socket is too long, expected {LONGEST_SOCKET_PATH} octets at most")
    return uri


def _metrics_at(text: str) -> str:
    parse_metrics_address(text)
    return text


EstAddress = Annotated[str, by(_est_address)]
MetricsAddress = Annotated[str, by(_metrics_at)]
ApiUriSetting = Annotated[ApiUri, by(_listens_at), PlainSerializer(str)]


class DeviceSettings(DeviceTable):
    """`[device]`: who this gateway is, and where its maker's half lies."""

    device_ca_certificate: Path | None = None
    device_ca_key: KeySetting | None = None
    trust_bundle: Path | None = None
    parent_hostname: HostSetting | None = None
    names: tuple[HostSetting, ...] = ()
    iothub_hostname: HostSetting | None = None
    production: Annotated[bool, Field(strict=True)] = False

    @field_validator("parent_hostname", "names")
    @classmethod
    def _is_not_the_parent(cls, value: Any, info: ValidationInfo) -> Any:
        """A gateway that answers to its parent's name would be the parent to every device that looks for it."""
        parent = value if info.field_name == "parent_hostname" else info.data.get("parent_hostname")
        own = (info.data.get("hostname"),) if info.field_name == "parent_hostname" else value
        if parent is not None and parent in own:
            raise ValueError(f"{str(parent)!r} would be this gateway and its parent, expected a name for each")
        return value


class RenewalSettings(Table):
    """`[renewal]`: when, and how long a new certificate lives."""

    threshold: str = "80%"
    retry: str = "4%"
    rekey: Annotated[bool, Field(strict=True)] = True
    server_lifetime_days: Days = 30
    workload_ca_lifetime_days: Days = 365

    @field_validator("threshold", "retry")
    @classmethod
    def _is_policy(cls, value: str) -> str:
        try:
            RenewalPolicy.parse(threshold=value, retry=value)
        except LeafwardError as error:
            raise ValueError(str(error)) from error
        return value

    @property
    def policy(self) -> RenewalPolicy:
        """The two texts as a policy that decides."""
        return RenewalPolicy.parse(threshold=self.threshold, retry=self.retry)

    @property
    def server_lifetime(self) -> timedelta:
        """How long a server certificate lives."""
        return timedelta(days=self.server_lifetime_days)

    @property
    def workload_ca_lifetime(self) -> timedelta:
        """How long a workload CA lives."""
        return timedelta(days=self.workload_ca_lifetime_days)


class EnrolmentSettings(Table):
    """`[enrolment]`: where the device CA comes from by EST, and who asks for it.

    `password` is never in a leafward.toml: only an IoT Edge configuration, which has it inline, brings it along.
    """

    url: EstAddress
    trust: Path | None = None
    common_name: Annotated[str, by(parse_common_name)] | None = None
    key: KeySetting | None = None
    key_type: Annotated[KeyType, by(parse_key_type), PlainSerializer(lambda kind: kind.name)] = DEFAULT_KEY_TYPE
    bootstrap_certificate: Path | None = None
    bootstrap_key: KeySetting | None = None
    username: str | None = None
    password_file: Path | None = None
    password: str | None = Field(default=None, repr=False, exclude=True)
    identity_certificate: Path | None = None
    identity_key: KeySetting | None = None
    identity_url: EstAddress | None = None
    serial_number: Annotated[str, by(parse_serial_number)] | None = None

    @field_validator("password")
    @classmethod
    def _is_elsewhere(cls, value: str | None) -> None:
        if value is not None:
            raise ValueError("a password stands in a file of its own, expected password_file")


class DaemonSettings(Table):
    """`[manager]`: the process itself."""

    metrics: MetricsAddress | None = None
    log: Literal["text", "json"] = "text"
    module_sockets: Annotated[bool, Field(strict=True)] = False
    hub_user: str | None = None
    workload_uri: ApiUriSetting | None = None
    management_uri: ApiUriSetting | None = None

    @model_validator(mode="after")
    def _listens_twice(self) -> Self:
        if self.workload_uri is not None and self.workload_uri == self.management_uri:
            raise ValueError("workload_uri and management_uri are the same, expected an address for each")
        return self


class ManagerSettings(Table):
    """All that the manager reads."""

    device: DeviceSettings = Field(default_factory=DeviceSettings)
    renewal: RenewalSettings = Field(default_factory=RenewalSettings)
    enrolment: EnrolmentSettings | None = None
    manager: DaemonSettings = Field(default_factory=DaemonSettings)

    @property
    def hostname(self) -> Host:
        """The name leaf devices use for this gateway."""
        return self.device.hostname

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over every value: tells the next start whether something was changed. Holds no secret."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def read_settings(path: Path, *, hostname: str | None = None) -> ManagerSettings:
    """The settings in `path`; defaults where there is no such file. `hostname` (a command's flag) wins over the file.

    Raises `SettingsError` naming the file and every wrong key.
    """
    return settings_from(read_tables(path), source=path, hostname=hostname)


def settings_from(tables: Mapping[str, Any], *, source: Path, hostname: str | None = None) -> ManagerSettings:
    """The settings in already decoded tables; paths in them are relative to the folder of `source`."""
    device = tables.get("device", {})
    if hostname is not None and isinstance(device, dict):
        tables = {**tables, "device": {**device, "hostname": hostname}}
    return _with_absolute_paths(checked(ManagerSettings, tables, source), source.parent)


def _with_absolute_paths(settings: ManagerSettings, folder: Path) -> ManagerSettings:
    tables: dict[str, Table] = {"device": _placed(settings.device, folder)}
    if settings.enrolment is not None:
        tables["enrolment"] = _placed(settings.enrolment, folder)
    return settings.model_copy(update=tables)


def _placed(table: Table, folder: Path) -> Table:
    """The table with its relative paths below `folder`."""
    paths = {name: folder / value for name, value in table if isinstance(value, Path)}
    return table.model_copy(update=paths)
