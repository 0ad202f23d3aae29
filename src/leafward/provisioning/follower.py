"""Follows a database that several services share: this gateway's devices come into its own registry.

A device may have registered with another service, and been assigned this hub; or it was here, and has moved. What the
hub looks at is its own registry, which holds all of its devices: it goes on for as long as the shared database is away.
How far we have come is kept beside that registry, so that a device that the operator has removed here does not come
back by a restart.
"""

import asyncio
import logging

import sqlalchemy as sa

from leafward.errors import LeafwardError
from leafward.provisioning.hub_registry import HubRegistry
from leafward.provisioning.in_thread import in_thread
from leafward.store.database import reader, told_of
from leafward.store.enrolments import RegistrationBook
from leafward.store.enrolments.schema import followed

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
LONGEST_PAUSE = 60.0


class Follower:
    """`run` as a task. `own` is the home's own database, `source` a name for the shared one."""

    def __init__(self, book: RegistrationBook, registry: HubRegistry, own: sa.Engine, source: str) -> None:
        self._book = book
        self._registry = registry
        self._own = own
        self._source = source

    async def run(self) -> None:
        """Never returns. A database that is away is told once, and asked again, later each time."""
        pause, failing = INTERVAL_SECONDS, False
        while True:
            try:
                await in_thread(self.look)
                pause, failing = INTERVAL_SECONDS, False
            except LeafwardError as error:
                if not failing:
                    logger.error("registrations with other services are not seen: %s", error)
                pause, failing = min(pause * 2, LONGEST_PAUSE), True
            await asyncio.sleep(pause)

    def look(self) -> None:
        """Takes over what has changed. Raises `StoreError`."""
        while rows := self._book.changed_for(self._registry.hub, self._seen()):
            settled = [row for row in rows if row.status != "failed"]
            ended = self._registry.apply(settled)
            self._registry.release(settled)
            self._book.finish(row for row, was in zip(ended, settled, strict=True) if row.status != was.status)
            self._take_note(rows[-1].changed)

    def _seen(self) -> int:
        statement = sa.select(followed.c.changed).where(followed.c.source == self._source)
        with told_of(self._own), reader(self._own) as connection:
            return int(connection.execute(statement).scalar() or 0)

    def _take_note(self, changed: int) -> None:
        whose = followed.c.source == self._source
        with told_of(self._own), self._own.begin() as connection:
            if not connection.execute(sa.update(followed).where(whose).values(changed=changed)).rowcount:
                connection.execute(sa.insert(followed).values(source=self._source, changed=changed))
