"""Several gateways on one database: a device registers with any of them, and its own hub comes to know it.

gw-a ── service A ──.
                     shared database (SQLite here and there, PostgreSQL)
gw-b ── service B ──'
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from leafward.provisioning.follower import Follower
from leafward.provisioning.key_attestation import derived_key
from leafward.store.enrolments import SymmetricKeys
from tests.postgresql import PostgreSql
from tests.provisioning.world import PATIENCE, SCOPE, World, world

KEYS = SymmetricKeys(b"1" * 32, b"2" * 32)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fleet.db'}"
    server: PostgreSql = request.getfixturevalue("postgresql")
    return server.database()


@contextlib.asynccontextmanager
async def two(tmp_path: Path, database: str) -> AsyncIterator[tuple[World, World]]:
    async with (
        world(tmp_path, name="a", hub="gw-a", database=database, hubs=("gw-a", "gw-b")) as a,
        world(tmp_path, name="b", hub="gw-b", database=database, hubs=("gw-a", "gw-b")) as b,
    ):
        yield a, b


async def until(here: World, name: str, *, there: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        while (here.registry.get(name) is not None) != there:
            await asyncio.sleep(0.01)


async def test_registered_here_for_there_and_moved(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enrolled at A for gw-b, registered at A, asked at B; B's hub knows it. Then the group moves to gw-a."""
    monkeypatch.setattr("leafward.provisioning.follower.INTERVAL_SECONDS", 0.02)
    async with two(tmp_path, database) as (a, b):
        group = a.enrol("batch", KEYS, group=True, hubs=("gw-b",))
        credential = a.token("pump-7", derived_key(KEYS.primary, "pump-7"))
        begun = await a.begin("pump-7", credential)
        asked = await b.service.registrations.operation(SCOPE, "pump-7", begun.operation_id, credential, b.now)
        assert asked.state is not None
        assert (asked.status, asked.state.assigned_hub) == ("assigned", "gw-b")
        await until(b, "pump-7", there=True)
        assert a.registry.get("pump-7") is None
        a.change(group, hubs=("gw-a",))
        moved = await b.register("pump-7", credential)
        assert (moved.assigned_hub, moved.substatus) == ("gw-a", "deviceDataMigrated")
        await until(a, "pump-7", there=True)
        await until(b, "pump-7", there=False)


async def test_what_the_operator_removed_stays_removed(tmp_path: Path, database: str) -> None:
    """Removed at the gateway: neither the follower nor a restart brings it back; the device itself may."""
    async with world(tmp_path, hub="gw-a", database=database) as here:
        here.enrol("batch", KEYS, group=True)
        credential = here.token("pump-7", derived_key(KEYS.primary, "pump-7"))
        await here.register("pump-7", credential)
        _follower(here).look()
        here.registry.remove("pump-7")
        _follower(here).look()
        assert here.registry.get("pump-7") is None
    async with world(tmp_path, hub="gw-a", database=database) as here:
        _follower(here).look()
        assert here.registry.get("pump-7") is None
        await here.register("pump-7", credential)
        assert here.registry.get("pump-7") is not None


async def test_the_hub_s_copy_is_whole(tmp_path: Path, database: str) -> None:
    """All that the hub needs of a device stands in its own registry: the shared database may be away for weeks."""
    async with world(tmp_path, hub="gw-a", database=database) as here:
        here.enrol("batch", KEYS, group=True)
        await here.register("pump-7", here.token("pump-7", derived_key(KEYS.primary, "pump-7")))
        here.engine.dispose()
        identity = here.registry.get("pump-7")
        assert identity is not None
        assert identity.primary_key == derived_key(KEYS.primary, "pump-7")


def _follower(here: World) -> Follower:
    from leafward.provisioning.database import open_own

    books = here.service.books
    return Follower(books.registrations, books.registry, open_own(here.home), "the shared one")
