"""The hub as a process: its parts put together, started in order, and stopped without losing what it has taken.

    manager --certificate, trust bundle--> TLS context ---.
    registry --> authenticators ---------------------------+--> listeners (MQTT, HTTPS, WebSocket) --> connections
    message store <-- store thread <-- intake, broker <----'

Stopping: no new connections; nothing more is read; what is taken becomes durable and is acknowledged; then goodbye.
"""

import asyncio
import asyncio.sslproto
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leafward.disk import make_folder
from leafward.hub.authenticator import Authenticator
from leafward.hub.broker import Broker
from leafward.hub.certificate import ServingCertificate
from leafward.hub.clock import LAST_SEEN, HubClock
from leafward.hub.connections import Connections
from leafward.hub.descriptors import raise_limit, within_descriptors
from leafward.hub.gate import Gate
from leafward.hub.https_server import HttpsServer
from leafward.hub.hub import Hub
from leafward.hub.listeners import Listener, NewProtocol, listen
from leafward.hub.metrics import HubMetrics
from leafward.hub.provisioning_door import ProvisioningDoor
from leafward.hub.refusals import Refusals
from leafward.hub.registry_watch import RegistryWatch
from leafward.hub.sas_authenticator import SasAuthenticator
from leafward.hub.session_file import SessionFile
from leafward.hub.settings import HubSettings, Limits, read_leaf_cas, read_settings
from leafward.hub.store_thread import StoreThread
from leafward.hub.telemetry import Intake
from leafward.hub.workload_client import WorkloadClient
from leafward.hub.x509_authenticator import X509Authenticator
from leafward.store.database import ChangeWatch
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from leafward.store.messages import MessageStore
from leafward.store.registry import Registry
from leafward.wire.routes import Router
from leafward.wire.tls.alerts import alert_of
from leafward.wire.tls.connection import TlsConnection

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

SWEEP_SECONDS = 60.0
SESSIONS_FILE = "sessions.json"
# In the home's run folder: two hubs of one home would each take half of the messages and spoil each other's sessions.
LOCK = "hub.lock"
# asyncio keeps a read buffer of this size for each TLS connection; its own default is 256 KiB. One record is enough.
TLS_BUFFER = 16_384


@dataclass(frozen=True, slots=True)
class HubAddresses:
    """Where the hub really listens."""

    bind: str
    mqtt_port: int
    https_port: int


async def run_hub(
    home: Home,
    *,
    bind: str,
    mqtt_port: int,
    https_ports: list[int],
    clock: Clock,
    stop: asyncio.Event,
    ready: Callable[[HubAddresses], None],
) -> None:
    """Runs the hub of `home` until `stop` is set; `ready` is called once when every listener answers.

    `https_ports` are tried in order, and 0 lets the system choose. Raises `SettingsError`, `PeerUnavailable` when no
    manager answers, `Busy` when another hub holds the home or another process a port, `StoreError` when a port or a
    database cannot be had.
    """
    asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER
    settings = read_settings(home.settings)
    leaf_cas = read_leaf_cas(settings, home.settings)
    limits = within_descriptors(settings.limits, raise_limit())
    metrics = HubMetrics()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(HomeLock(home.run / LOCK).hold("hub"))
        client = await WorkloadClient.attached(home, settings.hostname, stop)
        time = HubClock(clock, home.manager / LAST_SEEN)
        certificate = ServingCertificate(client, metrics, time, leaf_cas=leaf_cas, seen=time.learn)
        registry = Registry.open(home.registry)
        stack.callback(registry.close)
        sas = SasAuthenticator(registry, frozenset(name.lower() for name in (settings.hostname, client.hub_name)))
        authenticator = Authenticator(sas, X509Authenticator(registry, certificate.trust))
        await certificate.begin(_handshake_recorder(metrics))
        parts = _parts(home, settings, limits, registry, authenticator=authenticator, metrics=metrics, clock=time)
        hub, store = await stack.enter_async_context(parts)
        door = ProvisioningDoor(home.provisioning_socket, patience=limits.packet_timeout)
        listeners = _Listeners(hub, store, certificate, door)
        stack.push_async_callback(listeners.close)
        addresses = await listeners.open(bind, mqtt_port, https_ports)
        watch = ChangeWatch(registry.engine)
        stack.callback(watch.close)
        tasks = (
            certificate.run(),
            RegistryWatch(watch, registry, hub.broker).run(),
            _each_minute(hub, store),
        )
        background = [stack.enter_context(_background(task)) for task in tasks]
        ready(addresses)
        await _until(stop, background)


@contextlib.contextmanager
def _background(work: Coroutine[Any, Any, None]) -> Iterator[asyncio.Task[None]]:
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()


async def _until(stop: asyncio.Event, background: list[asyncio.Task[None]]) -> None:
    """Waits for `stop`. A background task that ends by itself is a fault of ours, and ends the hub with it."""
    told = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({told, *background}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {told}:
            task.result()
    finally:
        told.cancel()


@contextlib.asynccontextmanager
async def _parts(
    home: Home,
    settings: HubSettings,
    limits: Limits,
    registry: Registry,
    *,
    authenticator: Authenticator,
    metrics: HubMetrics,
    clock: Clock,
) -> AsyncIterator[tuple[Hub, StoreThread]]:
    """The hub's parts over an open message store; the store is drained and closed at the end."""
    make_folder(home.hub)
    routes = list(settings.routes.values())
    messages = await asyncio.to_thread(MessageStore.open, home.messages)
    store = StoreThread(messages, metrics, queue_bytes=limits.queue_bytes, batch_size=limits.batch_size)
    try:
        keeper = SessionFile(home.hub / SESSIONS_FILE, store)
        broker = Broker(
            device_id=settings.device_id,
            endpoints=dict.fromkeys(route.endpoint for route in routes),
            store=store,
            limits=limits,
            keeper=keeper,
        )
        broker.restore(keeper.load(registry, clock()))
        intake = Intake(store, Router(routes), metrics, clock)
        yield Hub(limits, metrics, Refusals(metrics), authenticator, broker, intake, clock), store
    finally:
        await store.close()


class _Listeners:
    """Both listeners and what came in by them, opened and closed in the right order."""

    def __init__(self, hub: Hub, store: StoreThread, certificate: ServingCertificate, door: ProvisioningDoor) -> None:
        self._hub = hub
        self._store = store
        self._certificate = certificate
        self._gate = Gate(hub.limits, hub.metrics)
        self._connections = Connections(hub)
        self._https = HttpsServer(hub, self._connections.new, door)
        self._listeners: list[Listener] = []

    async def open(self, bind: str, mqtt_port: int, https_ports: list[int]) -> HubAddresses:
        """Binds; tells where."""
        await self._https.setup()
        mqtt = self._listen(self._connections.new, bind, [mqtt_port], "--mqtt-port")
        https = self._listen(self._https.protocol, bind, https_ports, "--https-port")
        logger.info("listening on %s: MQTT %d, HTTPS %d", bind, mqtt, https)
        return HubAddresses(bind, mqtt, https)

    async def close(self) -> None:
        """Nobody new; then the MQTT connections, those over WebSocket among them; then what is left of HTTPS."""
        for listener in self._listeners:
            await listener.close()
        await self._connections.close(self._store)
        await self._https.close()

    def _listen(self, protocol: NewProtocol, bind: str, ports: list[int], option: str) -> int:
        listener = listen(
            protocol,
            bind=bind,
            ports=ports,
            tls=self._certificate.context,
            limits=self._hub.limits,
            gate=self._gate,
            option=option,
        )
        self._listeners.append(listener)
        return listener.port


def _handshake_recorder(metrics: HubMetrics) -> Callable[[TlsConnection, ssl.SSLError], None]:
    """Counts failed handshakes by the alert: a leaf device that does not trust our root says so there."""

    def record(_connection: TlsConnection, error: ssl.SSLError) -> None:
        alert = alert_of(error)
        reason = (error.reason or "unknown").lower() if alert is None else alert.name
        metrics.handshakes_failed[reason] += 1
        logger.info("a TLS handshake failed: %s", reason)

    return record


async def _each_minute(hub: Hub, store: StoreThread) -> None:
    """Drops messages that are too old or too many, and tells what was not logged. Never returns."""
    while True:
        store.sweep(hub.clock(), hub.limits.store_age, hub.limits.store_messages)
        hub.refusals.tell_suppressed()
        await asyncio.sleep(SWEEP_SECONDS)
