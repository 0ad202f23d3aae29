"""Puts together what the service API answers for by itself: methods, messages to devices, clients."""

from leafward.hub.devicebound import DeviceBound
from leafward.hub.devicebound_api import DeviceBoundApi
from leafward.hub.hub import Hub
from leafward.hub.methods import Methods
from leafward.hub.methods_api import MethodsApi
from leafward.hub.service_clients import Clients
from leafward.hub.service_dispatch import ServiceApi
from leafward.hub.settings import HubSettings
from leafward.hub.store_thread import StoreThread
from leafward.store.registry import Registry


class Services:
    """The service API of one hub, and the parts behind it. Others add their routes to `api`."""

    def __init__(self, hub: Hub, store: StoreThread, registry: Registry, settings: HubSettings) -> None:
        self.api = ServiceApi(hub)
        self.methods = Methods(hub, lambda device, module: registry.get(device, module) is not None)
        self.devicebound = DeviceBound(hub, store, settings.hub.devicebound)
        _drained_by(hub, self.devicebound)
        self.api.add(
            *MethodsApi(self.methods, settings.device_id).routes(),
            *DeviceBoundApi(self.devicebound, lambda device: _generation(registry, device)).routes(),
            *Clients(hub).routes(),
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


def _generation(registry: Registry, device_id: str) -> str | None:
    identity = registry.get(device_id)
    return None if identity is None else identity.generation_id
