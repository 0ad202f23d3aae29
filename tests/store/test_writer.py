"""store/writer.py and statements run by the driver itself: the same on SQLite and PostgreSQL."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leafward.errors import Busy, StoreError
from leafward.store import database
from leafward.store.database import open_database, reader, run, told_of
from leafward.store.writer import Writer

METADATA = sa.MetaData()
THINGS = sa.Table("things", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer))
ADD = "INSERT INTO things (name, size) VALUES (?, ?)"


@pytest.fixture
def engine(tmp_path: Path, maker_database: str | None) -> Iterator[sa.Engine]:
    engine = open_database(maker_database or tmp_path / "things.db", METADATA)
    yield engine
    engine.dispose()


@pytest.fixture
def writer(engine: sa.Engine) -> Iterator[Writer]:
    writer = Writer(engine)
    yield writer
    writer.close()


def names(engine: sa.Engine) -> list[str]:
    with reader(engine) as connection:
        return sorted(connection.execute(sa.select(THINGS.c.name)).scalars())


def test_a_transaction_is_there_when_it_ends(engine: sa.Engine, writer: Writer) -> None:
    """One row, several, one by SQLAlchemy: others see them at the end, and the next transaction is another."""
    with writer.begin() as connection:
        run(connection, ADD, ("a", 1))
        run(connection, ADD, ("b", 2), ("c", None))
        connection.execute(sa.insert(THINGS).values(name="d"))
        assert run(connection, "SELECT size FROM things WHERE name = ?", ("b",)).fetchone() == (2,)
        assert names(engine) == []
    assert names(engine) == ["a", "b", "c", "d"]
    with writer.begin() as connection:
        assert run(connection, "UPDATE things SET size = ? WHERE name = ?", (5, "a")).rowcount == 1


def test_nothing_is_left_of_what_fails(engine: sa.Engine, writer: Writer) -> None:
    """A key twice, an error of the caller's: all is taken back, and the writer goes on."""
    with writer.begin() as connection:
        run(connection, ADD, ("a", 1))

    def fail() -> None:
        with writer.begin() as connection:
            connection.execute(sa.insert(THINGS).values(name="c"))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(IntegrityError), writer.begin() as connection:
        run(connection, ADD, ("b", 1), ("a", 1))
    with writer.begin() as connection:
        run(connection, ADD, ("d", 1))
    assert names(engine) == ["a", "d"]


def test_errors_of_the_driver_are_told_without_values(engine: sa.Engine, writer: Writer) -> None:
    with pytest.raises(StoreError) as raised, told_of(engine), writer.begin() as connection:
        run(connection, "INSERT INTO elsewhere VALUES (?)", ("a secret",))
    assert "secret" not in str(raised.value)


def test_threads_write_one_after_the_other(engine: sa.Engine, writer: Writer) -> None:
    def write(number: int) -> None:
        for index in range(10):
            with writer.begin() as connection:
                run(connection, ADD, (f"{number}-{index}", None))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(engine)) == 40


def test_two_writers_wait_for_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits too long is told, and may try again."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    first, second = (open_database(tmp_path / "things.db", METADATA) for _ in range(2))
    holding, waiting = Writer(first), Writer(second)
    with holding.begin(), pytest.raises(Busy), told_of(second), waiting.begin():
        raise AssertionError("both write")
    with waiting.begin() as connection:
        run(connection, ADD, ("a", 1))
    assert names(first) == ["a"]
    for opened in (holding, waiting):
        opened.close()
    for engine in (first, second):
        engine.dispose()
