"""Puts together what the service API answers for by itself: methods, messages to devices, clients."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from leafward.hub.access_policies import POLICIES_FILE, AccessPolicies
from leafward.hub.access_policies_api import AccessPoliciesApi
from leafward.hub.amqp.door import AmqpDoor
from leafward.hub.devicebound import DeviceBound
from leafward.hub.devicebound_api import DeviceBoundApi
from leafward.hub.hub import Hub
from leafward.hub.identities_api import IdentitiesApi
from leafward.hub.methods import Methods
from leafward.hub.methods_api import MethodsApi
from leafward.hub.service_clients import Clients
from leafward.hub.service_dispatch import ServiceApi
from leafward.hub.settings import HubSettings
from leafward.hub.store_thread import StoreThread
from leafward.store.registry import Registry


class Services:
    """The service API of one hub, and the parts behind it. Others add their routes to `api`."""

    def __init__(
        self, hub: Hub, store: StoreThread, registry: Registry, settings: HubSettings, policies: AccessPolicies
    ) -> None:
        self.api = ServiceApi(hub)
        self.methods = Methods(hub, lambda device, module: registry.get(device, module) is not None)
        self.devicebound = DeviceBound(hub, store, settings.hub.devicebound)
        _drained_by(hub, self.devicebound)
        self.api.add(
            *MethodsApi(self.methods, settings.device_id).routes(),
            *DeviceBoundApi(self.devicebound, lambda device: _generation(registry, device)).routes(),
            *Clients(hub).routes(),
            *IdentitiesApi(hub, registry.get).routes(),
            *AccessPoliciesApi(policies, settings.hostname).routes(),
        )
        self.api.policies = policies
        self.amqp = AmqpDoor(
            hub,
            store,
            settings.hub.amqp,
            host=settings.hostname,
            policies=policies,
            devicebound=self.devicebound,
            generation_of=lambda device: _generation(registry, device),
        )

    def close(self) -> None:
        """Whoever waits for a device is told that the hub stops."""
        self.methods.close()


def _drained_by(hub: Hub, source: DeviceBound) -> None:
    """Sessions of an earlier run are there already."""
    broker = hub.broker
    broker.sources.append(source)
    for name in broker.peers():
        if (session := broker.find(name)) is not None:
            broker.refresh(session)


def policies_in(folder: Path, settings: HubSettings, hub_name: str, clock: Callable[[], datetime]) -> AccessPolicies:
    """The shared access policies of a hub's folder. Raises `Damaged`."""
    hosts = {name.lower() for name in (settings.hostname, hub_name)}
    return AccessPolicies(folder / POLICIES_FILE, hosts, clock)


def _generation(registry: Registry, device_id: str) -> str | None:
    identity = registry.get(device_id)
    return None if identity is None else identity.generation_id
