"""Reads for one row: SQLite and a server answer the same; a server's connections are few, and replaced when cut."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from leafward.errors import StoreError
from leafward.store.database import open_database, reader, told_of
from leafward.store.single_reads import MOST_IDLE, SingleReads
from tests.postgresql import PostgreSql

METADATA = sa.MetaData()
THINGS = sa.Table("things", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer))
ONE = sa.select(THINGS.c.size).where(THINGS.c.name == sa.bindparam("name"))
SESSIONS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def filled(where: str | Path) -> Iterator[sa.Engine]:
    made = open_database(where, METADATA)
    with made.begin() as connection:
        connection.execute(sa.insert(THINGS), [{"name": f"n{number}", "size": number} for number in range(100)])
    yield made
    made.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    sqlite = request.param == "sqlite"
    yield from filled(tmp_path / "things.db" if sqlite else request.getfixturevalue("postgresql").database())


@pytest.fixture
def server(postgresql: PostgreSql) -> Iterator[sa.Engine]:
    yield from filled(postgresql.database())


def test_what_is_there_and_what_is_not(engine: sa.Engine) -> None:
    """By many threads at once; what is committed meanwhile is seen by the next question."""
    reads = SingleReads(engine)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: reads.one(ONE, {"name": f"n{number}"}), range(110)))
    assert [None if row is None else row[0] for row in found] == [*range(100), *[None] * 10]
    with engine.begin() as connection:
        connection.execute(sa.update(THINGS).where(THINGS.c.name == "n7").values(size=70))
    row = reads.one(ONE, {"name": "n7"})
    assert row is not None
    assert row[0] == 70


def test_a_server_that_was_restarted(server: sa.Engine) -> None:
    """Its old sessions are gone: the question is asked again, and nobody hears of it."""
    reads = SingleReads(server)
    assert reads.one(ONE, {"name": "n7"}) is not None
    with reader(server) as connection:
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) {SESSIONS}").all()
    assert reads.one(ONE, {"name": "n7"}) is not None


def test_its_connections_are_few_and_end_with_the_engine(server: sa.Engine) -> None:
    reads = SingleReads(server)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: reads.one(ONE, {"name": f"n{number}"}), range(100)))
    assert 1 <= len(reads._idle) <= MOST_IDLE
    held = list(reads._idle)
    server.dispose()
    assert all(connection.closed for connection in held)


def test_an_error_is_told_and_the_connection_goes_on(server: sa.Engine) -> None:
    reads = SingleReads(server)
    with pytest.raises(StoreError, match="refused"), told_of(server):
        reads.one(sa.select(sa.cast(sa.bindparam("name"), sa.Integer)), {"name": "x"})
    assert reads.one(ONE, {"name": "n7"}) is not None
