"""What the operator decides about the hub: the `[hub]` table of `leafward.toml`.

An empty or missing file works. Everything that is wrong is told at once, each with the path of its key; a route that
cannot be read says where it stops making sense. The hub's name comes from `[device]`, which is the manager's table.

    [hub]
    leaf_cas = "line-3.pem"      # CAs that sign leaf devices of this gateway beside its own device CA

    [hub.routes]
    upstream = "FROM /messages/* INTO $upstream"
    sensor-to-filter = 'FROM /messages/modules/sensor/outputs/* INTO BrokeredEndpoint("/modules/filter/inputs/in1")'

    [hub.limits]
    connections = 10000
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from cryptography import x509
from pydantic import BeforeValidator, Field

from leafward import disk
from leafward.errors import LeafwardError, SettingsError
from leafward.pki.encoding import load_certificates
from leafward.pki.extension import says_ca
from leafward.store.device_settings import DeviceFacts
from leafward.store.settings_file import Table, checked, read_tables
from leafward.wire.routes import DEFAULT_ROUTE, Route

Count = Annotated[int, Field(ge=1, strict=True)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Limits(Table):
    """What one peer, or all together, may use. Every limit is explicit, with its reason.

    connections          about 25 KiB each, so 10,000 are 250 MB; the next one is reset at once. Counted from the accept
    connections_per_address  of these from one address, a quarter of all if not set; this machine's are not limited so
    packet_size          bytes; IoT Hub's own bound is 256 KiB for a message, so no client sends more
    connect_timeout      seconds from the end of the handshake to a whole CONNECT; the SDKs send it at once
    handshake_timeout    seconds for the TLS handshake; a slow radio link needs about ten
    keep_alive           seconds, the longest a client may be silent; also for one that asks for no keep-alive at all
    packet_timeout       seconds from the first byte of a packet to its last: a peer that dribbles holds memory
    inflight             messages sent to a module and not yet acknowledged
    unstored             messages taken from one peer and not yet durable; beyond it that peer is not read
    write_bytes          bytes waiting for a peer that does not read; beyond it the connection ends
    stall_timeout        seconds that a peer may not read while something waits for it
    shutdown_timeout     seconds for goodbyes when the hub stops, and for a TLS close that the peer does not answer
    queue_bytes          bytes of all messages waiting for the disk; beyond it their senders are not read
    batch_size           messages in one durable transaction: a larger one gains little and delays acknowledgements
    subscriptions        topic filters of one session; a client of ours has five
    store_messages       messages kept on disk; beyond it the oldest go
    store_days           days a message is kept that nobody reads
    """

    connections: Count = 10_000
    connections_per_address: Count | None = None
    packet_size: Annotated[int, Field(ge=1024, le=268_435_455, strict=True)] = 262_144
    connect_timeout: Seconds = 30.0
    handshake_timeout: Seconds = 30.0
    keep_alive: Seconds = 1740.0
    packet_timeout: Seconds = 60.0
    inflight: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 32
    unstored: Count = 1024
    write_bytes: Count = 1_048_576
    stall_timeout: Seconds = 30.0
    shutdown_timeout: Seconds = 2.0
    queue_bytes: Count = 67_108_864
    batch_size: Count = 4096
    subscriptions: Count = 64
    store_messages: Count = 1_000_000
    store_days: Count = 7

    @property
    def most_from_one_address(self) -> int:
        """How many connections one address may have open."""
        return self.connections_per_address or max(1, self.connections // 4)

    @property
    def store_age(self) -> timedelta:
        """How long a message is kept that nobody reads."""
        return timedelta(days=self.store_days)


def _route(text: object) -> Route:
    if not isinstance(text, str):
        raise ValueError(f"got {type(text).__name__}, expected text such as FROM /messages/* INTO $upstream")
    try:
        return Route.parse(text)
    except LeafwardError as error:
        raise ValueError(str(error)) from error


# A `Route` once validated; pydantic need not look into it.
RouteSetting = Annotated[Any, BeforeValidator(_route)]


class HubTable(Table):
    """`[hub]`: routes, limits, and the file of further CAs that sign leaf devices."""

    routes: dict[str, RouteSetting] = Field(default_factory=dict)
    leaf_cas: Annotated[str, Field(min_length=1)] | None = None
    limits: Limits = Limits()


class HubSettings(Table):
    """All that the hub reads of the file: its own table, and who this gateway is."""

    hub: HubTable = Field(default_factory=HubTable)
    device: DeviceFacts = Field(default_factory=DeviceFacts)

    @property
    def hostname(self) -> str:
        """The name leaf devices use."""
        return str(self.device.hostname)

    @property
    def device_id(self) -> str:
        """The gateway's own identity, under which its modules stand."""
        return self.device.device_id

    @property
    def routes(self) -> dict[str, Route]:
        """The routes by name; never empty."""
        return self.hub.routes or {"upstream": DEFAULT_ROUTE}

    @property
    def limits(self) -> Limits:
        """What peers may use."""
        return self.hub.limits


def read_leaf_cas(settings: HubSettings, path: Path) -> list[x509.Certificate]:
    """The CAs that `leaf_cas` names; none where it is not set. `path` is the settings file, which it is relative to.

    Raises `SettingsError` for a file that cannot be read or holds what is no CA certificate.
    """
    if settings.hub.leaf_cas is None:
        return []
    file = path.parent / settings.hub.leaf_cas
    what = f"hub.leaf_cas: {file} cannot be used"
    try:
        found = load_certificates(disk.read_file(file))
    except LeafwardError as error:
        raise SettingsError(what, why=str(error), hint="it is a PEM file of CA certificates") from error
    for certificate in found:
        if not says_ca(certificate):
            why = f"{certificate.subject.rfc4514_string()} is no CA"
            raise SettingsError(what, why=why, hint="it names CAs, not devices")
    return found


def read_settings(path: Path) -> HubSettings:
    """The hub's settings in `path`; defaults where there is no such file, and no routes but the default one.

    Raises `SettingsError` naming the file and every wrong key.
    """
    return checked(HubSettings, read_tables(path), path)
