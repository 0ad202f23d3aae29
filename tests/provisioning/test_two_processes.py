"""Two services as processes of their own on one PostgreSQL: the same ids, asked of both in the same moment.

gw-a ── leafward provisioning run ──.
                                     PostgreSQL
gw-b ── leafward provisioning run ──'
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from leafward.provisioning.database import open_provisioning
from leafward.provisioning.enrolling import fresh_etag
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.enrolments import Enrolment, EnrolmentBook, RegistrationBook
from leafward.store.home import Home
from leafward.store.registry import Registry
from leafward.wire import dps
from tests.postgresql import PostgreSql
from tests.provisioning.test_provisioning_doors import KEYS, VERSION, by_socket, token
from tests.provisioning.world import PATIENCE, SCOPE, register_body

LEAFWARD = Path(sys.prefix) / "bin" / "leafward"
NAMES = [f"pump-{number}" for number in range(30)]
TIMES = 3


def made(folder: Path, hub: str, url: str) -> Home:
    home = Home(folder)
    home.root.mkdir()
    home.settings.write_text(
        f'[device]\nhostname = "{hub}"\n[provisioning]\ndatabase = "{url}"\nhubs = ["gw-a.test", "gw-b.test"]\n'
    )
    return home


@contextlib.asynccontextmanager
async def running(home: Home) -> AsyncIterator[aiohttp.ClientSession]:
    process = await asyncio.create_subprocess_exec(
        str(LEAFWARD), "provisioning", "run", "--home", str(home.root), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert b"is up" in await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        async with by_socket(home) as session:
            yield session
    finally:
        process.terminate()
        await asyncio.wait_for(process.communicate(), PATIENCE)


async def register(session: aiohttp.ClientSession, name: str) -> None:
    path, headers = f"{dps.register_path(SCOPE, name)}?{VERSION}", {"Authorization": token(name)}
    async with session.put(path, data=register_body(name), headers=headers) as answer:
        assert answer.status == 202, await answer.text()


async def assigned(session: aiohttp.ClientSession, name: str, operation: str) -> str:
    path, headers = f"{dps.operation_path(SCOPE, name, operation)}?{VERSION}", {"Authorization": token(name)}
    async with session.get(path, headers=headers) as answer:
        found = await answer.json()
        assert found["status"] == "assigned", found
        return str(found["registrationState"]["assignedHub"])


async def test_one_assignment_whoever_is_asked(tmp_path: Path, postgresql: PostgreSql) -> None:
    """Thirty ids, three times with each of two processes at once: one row, one hub and one generation of each."""
    url = postgresql.database()
    a, b = (made(tmp_path / name, f"gw-{name}.test", url) for name in "ab")
    engine, now = open_provisioning(a, ProvisioningTable(database=url)), datetime.now(UTC)
    EnrolmentBook(engine).add(Enrolment("batch", True, KEYS, now, now, fresh_etag()))
    book = RegistrationBook(engine)
    async with running(a) as at_a, running(b) as at_b:
        await asyncio.gather(
            *(register(session, name) for _ in range(TIMES) for name in NAMES for session in (at_a, at_b))
        )
        rows = {name: book.find(name) for name in NAMES}
        for name, row in rows.items():
            assert row is not None
            assert (row.substatus, row.previous_hub) == ("initialAssignment", None)
            # Whichever is asked, and by either process, says the same.
            assert {await assigned(session, name, row.operation) for session in (at_a, at_b)} == {row.hub}
        assert book.count() == len(NAMES)
        assert {row.hub for row in rows.values() if row is not None} == {"gw-a.test", "gw-b.test"}
        for home, hub in ((a, "gw-a.test"), (b, "gw-b.test")):
            expected = {name: row.generation_id for name, row in rows.items() if row is not None and row.hub == hub}
            with Registry.open(home.registry) as registry:
                async with asyncio.timeout(PATIENCE):
                    while {one.device_id: one.generation_id for one in registry.devices()} != expected:
                        await asyncio.sleep(0.05)
    engine.dispose()
