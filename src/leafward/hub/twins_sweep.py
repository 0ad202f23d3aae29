"""Forgets the twins of registrations that are gone: who buys a device must not find what the seller wrote of it."""

import asyncio
import logging

from leafward.errors import LeafwardError
from leafward.hub.store_thread import StoreThread
from leafward.store.database import ChangeWatch
from leafward.store.registry import Registry
from leafward.store.twins import TwinKey, TwinStore

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0
# Twins removed in one transaction: telemetry waits for the same thread.
_STEP = 200


class TwinSweep:
    """Looks every ten seconds whether the registry has changed. `run` is a task; cancel it to stop."""

    def __init__(self, watch: ChangeWatch, registry: Registry, store: TwinStore, thread: StoreThread) -> None:
        self._watch = watch
        self._registry = registry
        self._store = store
        self._thread = thread
        # At the start too: devices may have been removed while no hub ran.
        self._dirty = True

    async def run(self) -> None:
        """Never returns. What cannot be read is told once and tried again."""
        failing = False
        while True:
            try:
                await self.sweep()
                failing = False
            except LeafwardError as error:
                if not failing:
                    logger.error("twins of removed devices are not looked for: %s", error)
                failing = True
            await asyncio.sleep(INTERVAL_SECONDS)

    async def sweep(self) -> None:
        """One look; what it found is removed when it returns. Raises `StoreError`."""
        self._dirty = await asyncio.to_thread(self._watch.changed) or self._dirty
        if not self._dirty:
            return
        gone = await asyncio.to_thread(self._gone)
        for start in range(0, len(gone), _STEP):
            await self._remove(gone[start : start + _STEP])
        self._dirty = False

    def _gone(self) -> list[TwinKey]:
        return [key for key in self._store.all_keys() if not is_registered(self._registry, key)]

    async def _remove(self, keys: list[TwinKey]) -> None:
        done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._thread.run(
            lambda: keys, self._store.remove, lambda error: None if done.done() else done.set_result(error)
        )
        if (error := await done) is not None:
            raise error


def is_registered(registry: Registry, key: TwinKey) -> bool:
    """Whether the registry has this registration, not a later one of the name. Raises `StoreError`."""
    identity = registry.get(key.device_id, key.module_id)
    return identity is not None and identity.generation_id == key.generation_id
