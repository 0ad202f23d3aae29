"""The shared database is away: the service comes up, registered devices stay known, and registrations wait for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from leafward.provisioning.daemon import run_provisioning
from leafward.provisioning.database import open_provisioning
from leafward.provisioning.enrolling import fresh_etag
from leafward.provisioning.key_attestation import derived_key
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.enrolments import Enrolment, EnrolmentBook
from leafward.store.home import Home
from leafward.store.registry import Registry
from leafward.wire import dps
from tests.postgresql import PostgreSql
from tests.provisioning.shared_database import Shared
from tests.provisioning.test_provisioning_doors import KEYS, SERVICE, VERSION, by_socket, token
from tests.provisioning.world import PATIENCE, SCOPE, register_body


@pytest.fixture
def shared(postgresql: PostgreSql, tmp_path: Path) -> Iterator[Shared]:
    made = Shared(postgresql.database(), tmp_path)
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path, shared: Shared) -> Home:
    made = Home(tmp_path / "home")
    made.root.mkdir()
    made.settings.write_text(f'[device]\nhostname = "gateway.test"\n[provisioning]\ndatabase = "{shared.url}"\n')
    engine, now = open_provisioning(made, ProvisioningTable(database=shared.url)), datetime.now(UTC)
    EnrolmentBook(engine).add(Enrolment("batch", True, KEYS, now, now, fresh_etag()))
    engine.dispose()
    return made


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafward.provisioning.opening.FIRST_PAUSE", 0.02)
    monkeypatch.setattr("leafward.provisioning.opening.LONGEST_PAUSE", 0.05)


@contextlib.asynccontextmanager
async def running(home: Home) -> AsyncIterator[aiohttp.ClientSession]:
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        run_provisioning(home, clock=lambda: datetime.now(UTC), stop=stop, ready=lambda _found: ready.set())
    )
    up = asyncio.create_task(ready.wait())
    await asyncio.wait({task, up}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    up.cancel()
    try:
        async with by_socket(home) as session:
            yield session
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE)


async def register(session: aiohttp.ClientSession, name: str) -> tuple[int, str | None]:
    path = f"{dps.register_path(SCOPE, name)}?{VERSION}"
    headers = {"Authorization": token(name)}
    async with session.put(path, data=register_body(name), headers=headers) as answer:
        return answer.status, answer.headers.get("Retry-After")


async def until_admitted(session: aiohttp.ClientSession, name: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await register(session, name))[0] != 202:
            await asyncio.sleep(0.02)


def known(home: Home, name: str) -> bool:
    """By the hub of this gateway: it has no other source than this file."""
    with Registry.open(home.registry) as registry:
        found = registry.get(name)
    return found is not None and found.primary_key == derived_key(KEYS.primary, name)


async def test_cut_off_while_it_runs(home: Home, shared: Shared) -> None:
    """503 with Retry-After, for programs too; what was registered is known; then it goes on by itself."""
    async with running(home) as session:
        assert await register(session, "pump-7") == (202, "2")
        shared.away()
        assert await register(session, "pump-8") == (503, "5")
        async with session.get(f"/enrollmentGroups/batch?{SERVICE}") as answer:
            assert answer.status == 503
        async with session.get("/health") as answer:
            assert answer.status == 200
        assert (known(home, "pump-7"), known(home, "pump-8")) == (True, False)
        shared.back()
        await until_admitted(session, "pump-8")
    assert known(home, "pump-8")


async def test_a_restart_while_it_is_away(home: Home, shared: Shared, caplog: pytest.LogCaptureFixture) -> None:
    """A power cut at a site without its uplink: the service is up, says what it waits for, and opens when it can."""
    async with running(home) as session:
        assert (await register(session, "pump-7"))[0] == 202
    shared.away()
    async with running(home) as session:
        assert "registrations wait, devices that are registered do not" in caplog.text
        assert await register(session, "pump-7") == (503, "5")
        async with session.get(f"/enrollmentGroups/batch?{SERVICE}") as answer:
            assert answer.status == 503
        assert known(home, "pump-7")
        shared.back()
        await until_admitted(session, "pump-8")
        async with session.get(f"/enrollmentGroups/batch?{SERVICE}") as answer:
            assert answer.status == 200


async def test_stopped_while_it_waits(home: Home, shared: Shared) -> None:
    shared.away()
    async with running(home) as session, session.get("/health") as answer:
        assert answer.status == 200
    shared.back()
