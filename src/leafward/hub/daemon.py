"""The hub as a process: its parts put together, started in order, and stopped without losing what it has taken.

    manager --certificate, trust bundle--> TLS context ---.
    registry --> authenticators ---------------------------+--> listeners (MQTT, HTTPS, WebSocket) --> connections
    message store <-- store thread <-- intake, broker <----'

Stopping: no new connections; nothing more is read; what is taken becomes durable and is acknowledged; then goodbye.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from leafward.disk import make_folder
from leafward.hub.amqp.door import AmqpDoor
from leafward.hub.arrivals import NewProtocol
from leafward.hub.authenticator import Authenticator
from leafward.hub.broker import Broker
from leafward.hub.certificate import ServingCertificate
from leafward.hub.clock import LAST_SEEN, HubClock
from leafward.hub.connections import Connections
from leafward.hub.descriptors import raise_limit, within_descriptors
from leafward.hub.failures_handshakes import HandshakeWatch
from leafward.hub.gate import Gate
from leafward.hub.https_server import HttpsServer
from leafward.hub.hub import Hub
from leafward.hub.listeners import Listener, listen
from leafward.hub.metrics import HubMetrics
from leafward.hub.module_inputs import ModuleInputs
from leafward.hub.plain_policy import PlainPolicy
from leafward.hub.plain_topics import PLAIN_DATABASE, PlainTopics
from leafward.hub.provisioning_door import ProvisioningDoor
from leafward.hub.provisioning_mqtt import ProvisioningMqtt
from leafward.hub.registry_watch import RegistryWatch
from leafward.hub.requests import Requests
from leafward.hub.security import Security
from leafward.hub.service_dispatch import ServiceApi
from leafward.hub.service_socket import ServiceSocket
from leafward.hub.service_start import Services, policies_in
from leafward.hub.session_file import SessionFile
from leafward.hub.settings import HubSettings, read_leaf_cas, read_settings
from leafward.hub.store_thread import StoreThread
from leafward.hub.telemetry import Intake
from leafward.hub.twins_start import TwinParts, open_twins
from leafward.hub.upstream_origins import Origins
from leafward.hub.upstream_start import queue_names, upstream_part
from leafward.hub.wills import Wills
from leafward.hub.workload_client import WorkloadClient
from leafward.store.database import ChangeWatch
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from leafward.store.messages import MessageStore
from leafward.store.registry import Registry
from leafward.store.registry_reader import RegistryReader
from leafward.wire.routes import Router

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

SWEEP_SECONDS = 60.0
SESSIONS_FILE = "sessions.json"
AMQP_PORT = "[hub.amqp] port"
# In the home's run folder: two hubs of one home would each take half of the messages and spoil each other's sessions.
LOCK = "hub.lock"


@dataclass(frozen=True, slots=True)
class HubAddresses:
    """Where the hub really listens."""

    bind: str
    mqtt_port: int
    https_port: int
    amqp_port: int | None = None


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
    settings = read_settings(home.settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(HomeLock(home.run / LOCK).hold("hub"))
        client = await WorkloadClient.attached(home, settings.hostname, stop)
        time = HubClock(clock, home.manager / LAST_SEEN)
        registry = Registry.open(home.registry)
        stack.callback(registry.close)
        certificate, guard, authenticator = await _guarded(home, settings, client, time, stack)
        twin_store = await open_twins(home.hub)
        stack.callback(twin_store.close)
        parts = _parts(home, settings, registry, authenticator=authenticator, guard=guard, clock=time)
        hub, store = await stack.enter_async_context(parts)
        leads_up = upstream_part(hub, store, settings, home.settings.parent, lambda: certificate.trust().anchors)
        upstream_routes = await stack.enter_async_context(leads_up)
        services = Services(hub, store, registry, settings, policies_in(home.hub, settings, client.hub_name, time))
        twins = TwinParts(hub, store, twin_store, registry, services.api)
        stack.callback(twins.close)
        services.api.add(*guard.routes(), *upstream_routes)
        listeners, operator = _doors(home, hub, store, services, certificate=certificate, guard=guard, stack=stack)
        stack.push_async_callback(guard.close)
        stack.callback(services.close)
        addresses = await listeners.open(bind, mqtt_port, https_ports)
        await operator.open()
        looking = _registry_watch(registry, hub, stack)
        tasks = (
            certificate.run(),
            looking.run(),
            twins.sweep.run(),
            _each_minute(hub, store),
            *guard.tasks(hub.broker),
        )
        background = [stack.enter_context(_background(task)) for task in tasks]
        ready(addresses)
        await _until(stop, background)


async def _guarded(
    home: Home, settings: HubSettings, client: WorkloadClient, time: HubClock, stack: contextlib.AsyncExitStack
) -> tuple[ServingCertificate, Security, Authenticator]:
    """What the hub shows, who guards it and who judges logins. The registry must be open already."""
    leaf_cas = read_leaf_cas(settings, home.settings)
    limits, metrics = within_descriptors(settings.limits, raise_limit()), HubMetrics()
    host = settings.device.hostname
    certificate = ServingCertificate(client, metrics, time, host=host, leaf_cas=leaf_cas, seen=time.learn)
    identities = stack.enter_context(RegistryReader.open(home.registry))
    guard = Security(home, settings, limits, metrics, time)
    authenticator = await guard.open(certificate, identities, hub_name=client.hub_name, leaf_cas=leaf_cas)
    return certificate, guard, authenticator


def _doors(
    home: Home,
    hub: Hub,
    store: StoreThread,
    services: Services,
    *,
    certificate: ServingCertificate,
    guard: Security,
    stack: contextlib.AsyncExitStack,
) -> tuple["_Listeners", ServiceSocket]:
    """The listeners and the operator's socket, not open yet. `stack` closes them, the listeners first."""
    operator = ServiceSocket(services.api, home, limits=hub.limits)
    stack.push_async_callback(operator.close)
    door = ProvisioningDoor(hub, home.provisioning_socket)
    hub.guests.append(ProvisioningMqtt(hub, door))
    listeners = _Listeners(hub, store, certificate, door, services.api, amqp=services.amqp, watch=guard.handshakes)
    stack.push_async_callback(listeners.close)
    return listeners, operator


def _registry_watch(registry: Registry, hub: Hub, stack: contextlib.AsyncExitStack) -> RegistryWatch:
    watch = ChangeWatch(registry.engine)
    stack.callback(watch.close)
    return RegistryWatch(watch, registry, hub.broker)


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
    registry: Registry,
    *,
    authenticator: Authenticator,
    guard: Security,
    clock: Clock,
) -> AsyncIterator[tuple[Hub, StoreThread]]:
    """The hub's parts over an open message store; the store is drained and closed at the end."""
    limits, metrics = guard.limits, guard.metrics
    make_folder(home.hub)
    router = Router(settings.routes.values(), settings.hub.time_to_live_secs)
    messages = await asyncio.to_thread(MessageStore.open, home.messages)
    store = StoreThread(
        messages,
        metrics,
        queue_bytes=limits.queue_bytes,
        batch_size=limits.batch_size,
        keep=limits.keep,
        clock=clock,
    )
    later = asyncio.get_running_loop().call_later
    open_plain = partial(PlainTopics, home.hub / PLAIN_DATABASE, store, limits, metrics, clock, later=later)
    plain = await asyncio.to_thread(open_plain)
    exchange, policy = plain.exchange, PlainPolicy(settings.hub.policy.rules)
    try:
        keeper = SessionFile(home.hub / SESSIONS_FILE, store)
        broker = Broker(store=store, exchange=exchange, limits=limits, metrics=metrics, keeper=keeper, clock=clock)
        waiting = await asyncio.to_thread(queue_names, messages)
        broker.sources.append(ModuleInputs(settings.device_id, router.queues(waiting)))
        broker.restore(keeper.load(registry, clock(), broker.room, policy))
        intake = Intake(store, router, metrics, clock, Origins(registry, settings.device_id, metrics, clock))
        wills = Wills(intake, exchange, asyncio.get_running_loop().call_later)
        refusals, requests = guard.refusals, Requests()
        hub = Hub(limits, metrics, refusals, authenticator, broker, intake, clock, requests, policy, exchange, wills)
        yield hub, store
    finally:
        await store.close()
        plain.close()


class _Listeners:
    """Both listeners and what came in by them, opened and closed in the right order."""

    def __init__(
        self,
        hub: Hub,
        store: StoreThread,
        certificate: ServingCertificate,
        door: ProvisioningDoor,
        api: ServiceApi,
        *,
        amqp: AmqpDoor,
        watch: HandshakeWatch,
    ) -> None:
        self._hub = hub
        self._store = store
        self._certificate = certificate
        self._gate = Gate(hub.limits, hub.metrics)
        self._watch = watch
        self._connections = Connections(hub)
        self._https = HttpsServer(hub, self._connections.new, door, api)
        self._listeners: list[Listener] = []
        self._amqp = amqp

    async def open(self, bind: str, mqtt_port: int, https_ports: list[int]) -> HubAddresses:
        """Binds; tells where."""
        await self._https.setup()
        mqtt = self._listen(self._connections.new, bind, [mqtt_port], "--mqtt-port")
        https = self._listen(self._https.protocol, bind, https_ports, "--https-port")
        logger.info("listening on %s: MQTT %d, HTTPS %d", bind, mqtt, https)
        amqp = self._amqp.listen(lambda port: self._listen(self._amqp.new, bind, [port], AMQP_PORT), mqtt_port)
        return HubAddresses(bind, mqtt, https, amqp)

    async def close(self) -> None:
        """Nobody new; then the MQTT connections, those over WebSocket among them; then what is left of HTTPS."""
        for listener in self._listeners:
            await listener.close()
        await self._connections.close(self._store)
        await self._amqp.close(self._store)
        await self._https.close()

    def _listen(self, protocol: NewProtocol, bind: str, ports: list[int], option: str) -> int:
        listener = listen(
            protocol,
            bind=bind,
            ports=ports,
            tls=self._certificate.context,
            limits=self._hub.limits,
            gate=self._gate,
            watch=self._watch,
            option=option,
        )
        self._listeners.append(listener)
        return listener.port


async def _each_minute(hub: Hub, store: StoreThread) -> None:
    """Drops messages that are too old or too many, and tells what was not logged. Never returns."""
    while True:
        store.sweep()
        hub.broker.sweep(hub.clock())
        hub.refusals.tell_suppressed()
        await asyncio.sleep(SWEEP_SECONDS)
