"""The provisioning service put together: its databases, who judges, who writes, and what runs beside them."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leafward.provisioning.assignments import Assignments
from leafward.provisioning.database import open_own, open_provisioning, open_shared_registry
from leafward.provisioning.decision import Hubs
from leafward.provisioning.follower import Follower
from leafward.provisioning.hub_registry import HubRegistry
from leafward.provisioning.index import Index
from leafward.provisioning.initial_twins import InitialTwins
from leafward.provisioning.registrations import Books, Registrations
from leafward.provisioning.revocation_lists import RevocationLists
from leafward.provisioning.settings import ProvisioningTable
from leafward.provisioning.throttle import Throttle
from leafward.store.database import described
from leafward.store.enrolments import CaBook, EnrolmentBook, RegistrationBook
from leafward.store.home import Home
from leafward.store.registry import Registry

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Service:
    """What the doors ask. `tasks` are to run as long as it is open."""

    registrations: Registrations
    books: Books
    tasks: tuple[Coroutine[Any, Any, None], ...]


@contextlib.asynccontextmanager
async def open_service(home: Home, settings: ProvisioningTable, *, hub: str, clock: Clock) -> AsyncIterator[Service]:
    """Opens everything, ends what an earlier run began, and closes everything at the end.

    `hub` is the name of this gateway's hub. Raises `SettingsError` for a revocation list that cannot be used,
    `StoreError` when a database cannot be had.
    """
    with contextlib.ExitStack() as stack:
        crls = RevocationLists([home.settings.parent / name for name in settings.crls])
        crls.load()
        registry = stack.enter_context(Registry.open(home.registry))
        engine = await asyncio.to_thread(open_provisioning, home, settings)
        stack.callback(engine.dispose)
        shared = await asyncio.to_thread(open_shared_registry, settings)
        if shared is not None:
            stack.callback(shared.close)
        books = Books(EnrolmentBook(engine), RegistrationBook(engine), HubRegistry(registry, hub), shared)
        twins = InitialTwins(home, books.registrations, hub)
        hubs = Hubs(settings.hubs or (hub,), hub, settings.latency)
        assignments = Assignments(books.registrations, books.registry, hubs, clock, twins.soon)
        await asyncio.to_thread(assignments.resume)
        registrations = Registrations(
            books,
            Index(books.enrolments, CaBook(engine)),
            assignments,
            Throttle(settings.most_at_once),
            id_scope=settings.id_scope,
            crls=crls.now,
        )
        stack.callback(registrations.close)
        tasks = [assignments.run(), twins.run()]
        if settings.database is not None:
            own = open_own(home)
            stack.callback(own.dispose)
            source = hashlib.sha256(described(engine).encode()).hexdigest()[:32]
            tasks.append(Follower(books.registrations, books.registry, own, source).run())
        yield Service(registrations, books, tuple(tasks))
