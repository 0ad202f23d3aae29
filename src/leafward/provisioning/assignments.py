"""Registrations made durable: those that come together are written together.

    1. the row, as "assigning"        provisioning database
    2. the device                     this gateway's registry, where it is this gateway's
    3. the row, as "assigned"         provisioning database

A power cut between two of them leaves a row that is being assigned: `resume` ends it at the next start, and so does
the device when it registers again.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from leafward.provisioning.decision import Hubs, Wanted, decide
from leafward.provisioning.hub_registry import HubRegistry
from leafward.provisioning.in_thread import in_thread
from leafward.store.enrolments import Registration, RegistrationBook

logger = logging.getLogger(__name__)

# In one transaction: a larger one gains little and delays the first.
LARGEST_BATCH = 256


class Assignments:
    """`run` as a task; `assign` from the same loop."""

    def __init__(
        self,
        book: RegistrationBook,
        registry: HubRegistry,
        hubs: Hubs,
        clock: Callable[[], datetime],
        twin_due: Callable[[], None] = lambda: None,
    ) -> None:
        """`clock` gives aware UTC times; `twin_due` is called when a hub is to be given an initial twin."""
        self._book = book
        self._registry = registry
        self._hubs = hubs
        self._clock = clock
        self._twin_due = twin_due
        self._waiting: list[tuple[Wanted, asyncio.Future[Registration]]] = []
        self._something = asyncio.Event()

    async def assign(self, wanted: Wanted) -> Registration:
        """The row of a registration once it is durable and its hub knows it. Raises `StoreError`."""
        future: asyncio.Future[Registration] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, future))
        self._something.set()
        return await future

    async def run(self) -> None:
        """Never returns."""
        while True:
            await self._something.wait()
            batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
            if not self._waiting:
                self._something.clear()
            if batch:
                await self._write(batch)

    def resume(self) -> None:
        """Ends what an earlier run began. Raises `StoreError`."""
        while rows := self._book.unfinished(self._registry.hub):
            logger.info("%d registrations were not ended, and are now", len(rows))
            self._book.finish(self._registry.apply(rows))

    async def _write(self, batch: Sequence[tuple[Wanted, asyncio.Future[Registration]]]) -> None:
        try:
            rows = await in_thread(self._written, [wanted for wanted, _future in batch])
        except Exception as error:
            for _wanted, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for wanted, future in batch:
            if not future.done():
                future.set_result(rows[wanted.key])
        if any(row.twin is not None for row in rows.values()):
            self._twin_due()

    def _written(self, batch: Sequence[Wanted]) -> dict[str, Registration]:
        """In a thread. Of two with one id the first counts: the second is the same device, which did not wait."""
        now = self._clock()
        wanted: dict[str, Wanted] = {}
        for one in batch:
            wanted.setdefault(one.key, one)

        def decided(before: Mapping[str, Registration]) -> list[Registration]:
            return [decide(one, before.get(key), self._hubs, now) for key, one in wanted.items()]

        begun = self._book.write(list(wanted), decided)
        ended = self._registry.apply(begun)
        self._registry.release(ended)
        self._book.finish(ended)
        return {row.registration_id: row for row in ended}
