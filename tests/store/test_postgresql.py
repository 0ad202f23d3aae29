"""A PostgreSQL database that several processes open: made once, durable, and its faults told without its password."""

import subprocess
import sys

import pytest
import sqlalchemy as sa

from leafward.errors import Busy, SettingsError, StoreError
from leafward.store import database
from leafward.store.database import described, lock_for_writing, open_database, reader, told_of
from leafward.store.migrations import Migration
from tests.postgresql import PostgreSql

psycopg = pytest.importorskip("psycopg", reason="the Python module psycopg is not installed: make hardware")

METADATA = sa.MetaData()
THINGS = sa.Table("things", METADATA, sa.Column("name", sa.Text, primary_key=True))

OPEN = """
import sys
import sqlalchemy as sa
from leafward.store.maker_database import open_maker_database
sys.stdin.readline()
engine = open_maker_database(sys.argv[1])
with engine.connect() as connection:
    print(connection.execute(sa.text("SELECT count(*) FROM certificates")).scalar_one())
"""


@pytest.fixture
def url(postgresql: PostgreSql) -> str:
    return postgresql.database()


@pytest.fixture
def engine(url: str):
    engine = open_database(url, METADATA)
    yield engine
    engine.dispose()


def test_several_processes_make_the_tables_at_once(url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    assert ended == [("0\n", "")] * 4


def test_a_url_without_a_driver_is_psycopgs(url: str) -> None:
    engine = open_database(url.replace("+psycopg", ""), METADATA)
    assert engine.driver == "psycopg"
    engine.dispose()


def test_a_newer_version_is_refused_and_an_older_one_is_brought_up(engine: sa.Engine, url: str) -> None:
    step = Migration(2, "sizes", lambda connection: connection.exec_driver_sql("ALTER TABLE things ADD size INTEGER"))
    open_database(url, METADATA, migrations=[step]).dispose()
    with reader(engine) as connection:
        connection.exec_driver_sql("SELECT size FROM things")
    with pytest.raises(StoreError, match="newer leafward"):
        open_database(url, METADATA)


def test_commits_are_durable_where_the_server_would_not_wait(engine: sa.Engine, url: str) -> None:
    name = engine.url.database
    with reader(engine) as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    again = open_database(url, METADATA)
    with again.begin() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
    again.dispose()


def test_writers_go_one_by_one_and_do_not_wait_for_ever(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    first, second = open_database(url, METADATA), open_database(url, METADATA)
    with first.begin() as connection:
        lock_for_writing(connection)
        with pytest.raises(Busy, match="in use"), told_of(second), second.begin() as other:
            lock_for_writing(other)
    with second.begin() as connection:
        lock_for_writing(connection)
    first.dispose()
    second.dispose()


def test_a_password_is_never_shown(url: str) -> None:
    for secret in (url.replace("leafward@", "leafward:sesame@"), f"{url}&password=sesame"):
        engine = open_database(secret, METADATA)
        assert "sesame" not in described(engine)
        engine.dispose()


@pytest.mark.parametrize(
    "change",
    [("test_", "no_such_"), ("leafward@", "stranger:sesame@"), ("?host=", "?connect_timeout=2&host=/nowhere")],
)
def test_a_server_that_does_not_let_us_in(url: str, change: tuple[str, str]) -> None:
    """No such database, no such user, nobody there."""
    with pytest.raises(StoreError, match="cannot be reached") as refused:
        open_database(url.replace(*change), METADATA)
    assert "sesame" not in f"{refused.value} {refused.value.hint}"
    assert refused.value.hint


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError):
        open_database("postgresql://host:port/name", METADATA)


def test_values_are_not_in_errors(engine: sa.Engine) -> None:
    with pytest.raises(StoreError) as refused, told_of(engine), engine.begin() as connection:
        connection.execute(sa.insert(THINGS), [{"name": "sesame"}, {"name": "sesame"}])
    assert isinstance(refused.value.__cause__, sa.exc.IntegrityError)
    assert isinstance(refused.value.__cause__.orig, psycopg.errors.UniqueViolation)
    assert "sesame" not in str(refused.value)
