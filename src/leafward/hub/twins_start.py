"""Puts together the twins of a hub: their database, who answers for them, and who forgets those that are gone."""

import asyncio
from pathlib import Path

from leafward.disk import make_folder
from leafward.hub.hub import Hub
from leafward.hub.service_dispatch import ServiceApi
from leafward.hub.store_thread import StoreThread
from leafward.hub.twins import Twins
from leafward.hub.twins_api import TwinsApi
from leafward.hub.twins_mqtt import MqttTwins
from leafward.hub.twins_notify import TwinNotifications
from leafward.hub.twins_sweep import TwinSweep, is_registered
from leafward.store.database import ChangeWatch
from leafward.store.registry import Registry
from leafward.store.twins import TwinStore

TWINS_DATABASE = "twins.db"


async def open_twins(folder: Path) -> TwinStore:
    """The hub's database of twins; close it after the store's thread. Raises `StoreError`."""
    make_folder(folder)
    return await asyncio.to_thread(TwinStore.open, folder / TWINS_DATABASE)


class TwinParts:
    """The twins of one hub, in service as soon as they are made. `sweep.run` is a task of the hub's."""

    def __init__(self, hub: Hub, thread: StoreThread, store: TwinStore, registry: Registry, api: ServiceApi) -> None:
        self.twins = Twins(hub, thread, store, lambda key: is_registered(registry, key))
        self.twins.notify = TwinNotifications(hub)
        MqttTwins(hub, self.twins)
        api.add(*TwinsApi(hub, self.twins, registry.get).routes())
        self._watch = ChangeWatch(registry.engine)
        self.sweep = TwinSweep(self._watch, registry, store, thread)

    def close(self) -> None:
        """After the sweep has ended, before the registry is closed."""
        self._watch.close()
