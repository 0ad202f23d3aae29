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

    [hub.upstream]               # without it messages stay here (docs/upstream.md)
    kind = "iot-hub"
    connection_string_file = "upstream-connection-string"

    [hub.policy]                 # who may use plain topics; without rules nobody
    rules = [
      {who = "pump-*", publish = ["plant/{device}/#"], subscribe = ["plant/{device}/orders/#"]},
    ]
"""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from pydantic import Field

from leafward import disk
from leafward.errors import LeafwardError, SettingsError
from leafward.hub.amqp.settings import AmqpTable
from leafward.hub.devicebound_settings import DeviceBoundTable
from leafward.hub.policy_settings import PolicyTable
from leafward.hub.route_settings import RouteSetting
from leafward.hub.security_settings import FileName, NamedCertificate
from leafward.hub.upstream_settings import UpstreamTable
from leafward.pki.encoding import load_certificates
from leafward.pki.extension import says_ca
from leafward.store.device_settings import DeviceFacts
from leafward.store.message_limits import StoreLimits
from leafward.store.settings_file import Table, checked, read_tables
from leafward.wire.routes import DEFAULT_ROUTE, FOREVER, LONGEST_LIFE, Route

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
    inflight             messages of the store sent to a client and not yet acknowledged
    plain_inflight       messages of all kinds sent to a client and not yet acknowledged: as many as ten publishers send
                         while the client's acknowledgements are on their way. A client of MQTT 5 may ask for fewer
    unstored             messages taken from one peer and not yet durable or released; beyond it that peer is not read.
                         What MQTT 5 calls the hub's receive maximum
    topic_aliases        topics that a client of MQTT 5 may number, and that the hub numbers for it; 64 KiB each at most
    write_bytes          bytes waiting for a peer that does not read; beyond it the connection ends
    stall_timeout        seconds that a peer may not read while something waits for it
    shutdown_timeout     seconds for goodbyes when the hub stops, and for a TLS close that the peer does not answer
    queue_bytes          bytes of all messages waiting for the disk; beyond it their senders are not read
    batch_size           messages in one durable transaction: a larger one gains little and delays acknowledgements
    subscriptions        topic filters of one session; a client of ours has five
    subscriptions_all    topic filters on plain topics of all sessions: about 500 bytes each in the tree
    queued_messages      messages of QoS 1 and 2 on plain topics that wait for one client; beyond it the newest goes.
                         Publishers wait for a client that is connected from half of it on
    queued_bytes         bytes of these, and of those in flight, of one client
    queued_bytes_all     bytes of these of all clients together: they are in memory, and on disk for sessions that last
    subscriber_wait      seconds that publishers wait at most for a client that is connected and slow (docs/mqtt.md)
    retained_messages    topics with a retained message; beyond it a new one is not retained
    retained_bytes       bytes of all retained messages, which are in memory and on disk
    store_messages       messages kept on disk; beyond it some go (`when_full`)
    store_bytes          bytes of the message database; beyond it as well, and by one round of `queue_bytes` at most
    store_days           days a message is kept that nobody reads
    when_full            "drop-oldest": of those that somebody waits for the oldest of the lowest priority go, after all
                         that nobody waits for. "refuse": none of them goes, and new ones are not taken
    handshakes           TLS handshakes under way at once, a quarter of all if not set; beyond it the oldest goes
    connection_rate      new connections a second from one address, after the burst; a handshake costs about 0.6 ms
    connection_burst     new connections from one address at once: devices behind a router after a power cut
    login_delay          seconds that the answer to a refused login waits at most; the first refusals wait less or not
    """

    connections: Count = 10_000
    connections_per_address: Count | None = None
    packet_size: Annotated[int, Field(ge=1024, le=268_435_455, strict=True)] = 262_144
    connect_timeout: Seconds = 30.0
    handshake_timeout: Seconds = 30.0
    keep_alive: Seconds = 1740.0
    packet_timeout: Seconds = 60.0
    inflight: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 32
    plain_inflight: Annotated[int, Field(ge=1, le=50_000, strict=True)] = 8192
    unstored: Count = 1024
    topic_aliases: Annotated[int, Field(ge=0, le=1000, strict=True)] = 32
    write_bytes: Count = 1_048_576
    stall_timeout: Seconds = 30.0
    shutdown_timeout: Seconds = 2.0
    queue_bytes: Count = 67_108_864
    batch_size: Count = 4096
    subscriptions: Count = 64
    subscriptions_all: Count = 100_000
    queued_messages: Count = 10_000
    queued_bytes: Count = 8_388_608
    queued_bytes_all: Count = 134_217_728
    subscriber_wait: Seconds = 5.0
    retained_messages: Count = 10_000
    retained_bytes: Count = 67_108_864
    store_messages: Count = 1_000_000
    store_bytes: Annotated[int, Field(ge=1_048_576, strict=True)] = 1_073_741_824
    store_days: Count = 7
    when_full: Literal["drop-oldest", "refuse"] = "drop-oldest"
    handshakes: Count | None = None
    connection_rate: Annotated[float, Field(gt=0, le=1e6)] = 100.0
    connection_burst: Count = 2000
    login_delay: Seconds = 10.0

    @property
    def most_from_one_address(self) -> int:
        """How many connections one address may have open."""
        return self.connections_per_address or max(1, self.connections // 4)

    @property
    def most_handshakes(self) -> int:
        """How many TLS handshakes may be under way."""
        return self.handshakes or max(64, self.connections // 4)

    @property
    def store_age(self) -> timedelta:
        """How long a message is kept that nobody reads."""
        return timedelta(days=self.store_days)

    @property
    def keep(self) -> StoreLimits:
        """How much the message store keeps."""
        keep_waiting = self.when_full == "refuse"
        return StoreLimits(self.store_age, self.store_messages, self.store_bytes, keep_waiting)


class HubTable(Table):
    """`[hub]`: routes, limits, rules for plain topics, and the file of further CAs that sign leaf devices.

    `time_to_live_secs`: how long a message waits for an endpoint where its route does not say, -1 for ever; IoT Edge's
    own template has 7200, two hours.
    """

    routes: dict[str, RouteSetting] = Field(default_factory=dict)
    leaf_cas: FileName | None = None
    limits: Limits = Limits()
    policy: PolicyTable = PolicyTable()
    devicebound: DeviceBoundTable = DeviceBoundTable()
    time_to_live_secs: Annotated[int, Field(ge=FOREVER, le=LONGEST_LIFE, strict=True)] = 7200
    upstream: UpstreamTable | None = None
    crls: tuple[FileName, ...] = ()
    present_root: bool = True
    certificates: tuple[NamedCertificate, ...] = ()
    unknown_names: Literal["serve", "refuse"] = "serve"
    amqp: AmqpTable = AmqpTable()


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
