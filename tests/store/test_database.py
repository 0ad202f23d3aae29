"""store/database.py: durable, private, shared among processes, and its faults told in our words."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from leafward.errors import Busy, Damaged, NotFound, SettingsError, StoreError
from leafward.store import database
from leafward.store.database import ChangeWatch, described, open_database, reader, told_of
from leafward.store.migrations import Migration

METADATA = sa.MetaData()
THINGS = sa.Table("things", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "things.db"


@pytest.fixture
def opened() -> Iterator[Callable[..., sa.Engine]]:
    """`open_database` whose engines are closed at the end of the test."""
    engines: list[sa.Engine] = []

    def open_it(*arguments: object, **keywords: object) -> sa.Engine:
        engines.append(open_database(*arguments, **keywords))
        return engines[-1]

    yield open_it
    for engine in engines:
        engine.dispose()


def add(engine: sa.Engine, *names: str) -> None:
    with told_of(engine), engine.begin() as connection:
        connection.execute(sa.insert(THINGS), [{"name": name} for name in names])


def names(engine: sa.Engine) -> list[str]:
    with told_of(engine), reader(engine) as connection:
        return sorted(connection.execute(sa.select(THINGS.c.name)).scalars())


def pragma(engine: sa.Engine, name: str) -> object:
    with reader(engine) as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_pragmas(path: Path, opened) -> None:
    """Each connection: WAL, synchronous=FULL (2), foreign keys, a time to wait, deleted rows overwritten."""
    engine = opened(path, METADATA)
    for _ in range(2):
        found = {
            name: pragma(engine, name) for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
        assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
        assert pragma(engine, "busy_timeout") == int(database.BUSY_SECONDS * 1000)


def test_files_are_private(path: Path, opened) -> None:
    """umask 0 -> database, WAL and shared memory are 0600, the folder 0700."""
    before = os.umask(0)
    try:
        add(opened(path, METADATA), "a")
    finally:
        os.umask(before)
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"things.db", "things.db-wal", "things.db-shm"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_open_file_is_made_private(path: Path, opened) -> None:
    opened(path, METADATA).dispose()
    path.chmod(0o644)
    opened(path, METADATA)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_is_there_again(path: Path, opened) -> None:
    first = opened(path, METADATA)
    add(first, "a", "b")
    first.dispose()
    assert names(opened(path, METADATA)) == ["a", "b"]


@pytest.mark.parametrize("name", ["a b", "ü%20?mode=memory", "#x", "sqlite"])
def test_odd_paths(tmp_path: Path, opened, name: str) -> None:
    engine = opened(tmp_path / name, METADATA)
    assert (tmp_path / name).is_file()
    assert described(engine) == str(tmp_path / name)


def test_sqlite_url(path: Path, opened) -> None:
    add(opened(f"sqlite:///{path}", METADATA), "a")
    assert names(opened(str(path), METADATA)) == ["a"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "://", "postgresql://host:port/name"])
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        open_database(url, METADATA)


def test_missing_driver_is_told_without_the_password() -> None:
    with pytest.raises(StoreError, match="no driver") as caught:
        open_database("nosuchdatabase://user:s3cret@host/name", METADATA)
    assert "s3cret" not in str(caught.value)


def test_tables_and_statements_suit_postgresql() -> None:
    """The tables of the registry and of the messages compile for PostgreSQL."""
    from sqlalchemy.dialects import postgresql
    from sqlalchemy.schema import CreateTable

    from leafward.store import messages, registry

    for metadata in (messages.metadata, registry.metadata):
        for table in metadata.sorted_tables:
            assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=postgresql.dialect()))


def test_transaction_is_all_or_nothing(path: Path, opened) -> None:
    engine = opened(path, METADATA)
    with pytest.raises(StoreError):
        add(engine, "a", "b", "a")
    assert names(engine) == []


def test_killed_writer_leaves_what_it_committed(path: Path, opened) -> None:
    """writer: commit a, begin b, SIGKILL -> a is there, b is not, the file is whole; read-only works at once."""
    opened(path, METADATA)
    program = """
import os, signal, sys, sqlalchemy as sa
from leafward.store.database import open_database
metadata = sa.MetaData()
things = sa.Table("things", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer))
engine = open_database(sys.argv[1], metadata)
with engine.begin() as connection:
    connection.execute(sa.insert(things).values(name="a"))
with engine.begin() as connection:
    connection.execute(sa.insert(things).values(name="b"))
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert names(opened(path, METADATA, read_only=True)) == ["a"]
    engine = opened(path, METADATA)
    assert names(engine) == ["a"]
    assert pragma(engine, "integrity_check") == "ok"


def test_many_processes_open_a_new_database_at_once(path: Path) -> None:
    """4 processes open one new database and write -> all succeed, and all rows are there."""
    program = """
import sys, sqlalchemy as sa
from leafward.store.database import open_database
metadata = sa.MetaData()
things = sa.Table("things", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer))
sys.stdin.readline()
engine = open_database(sys.argv[1], metadata)
for number in range(5):
    with engine.begin() as connection:
        connection.execute(sa.insert(things).values(name=sys.argv[2] + str(number)))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path), name], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in "abcd"
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.communicate()[1].decode() for process in processes] == [""] * 4
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (20,)
    connection.close()


def test_threads_share_an_engine(path: Path, opened) -> None:
    engine = opened(path, METADATA)
    threads = [threading.Thread(target=add, args=(engine, f"{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(engine)) == 8


def test_busy(path: Path, opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """another writer does not end -> Busy naming the database; readers are not kept waiting."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    first, second = opened(path, METADATA), opened(path, METADATA)
    with first.begin() as connection:
        connection.execute(sa.insert(THINGS).values(name="a"))
        assert names(second) == []
        with pytest.raises(Busy, match=str(path)):
            add(second, "b")
    add(second, "b")


def test_busy_when_new(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """another process has a new file for itself -> Busy, not a database without its journal."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Busy, match=str(path)):
        open_database(path, METADATA)
    other.close()


class TestReadOnly:
    def test_never_ran(self, path: Path) -> None:
        with pytest.raises(NotFound, match=str(path)):
            open_database(path, METADATA, read_only=True)
        assert not path.parent.exists()

    @pytest.mark.parametrize("writer_runs", [True, False])
    def test_reads_and_does_not_write(self, path: Path, opened, writer_runs: bool) -> None:
        writer = opened(path, METADATA)
        add(writer, "a")
        if not writer_runs:
            writer.dispose()
            assert [file.name for file in path.parent.iterdir()] == ["things.db"]
        looker = opened(path, METADATA, read_only=True)
        assert names(looker) == ["a"]
        with pytest.raises(StoreError, match=str(path)):
            add(looker, "b")

    def test_sees_each_commit_and_never_stops_the_writer(self, path: Path, opened, monkeypatch) -> None:
        """a read that is not finished || the writer commits and checkpoints -> neither waits."""
        monkeypatch.setattr(database, "BUSY_SECONDS", 0.0)
        writer = opened(path, METADATA)
        add(writer, "a", "b")
        looker = opened(path, METADATA, read_only=True)
        with reader(looker) as connection:
            rows = connection.execute(sa.select(THINGS.c.name))
            rows.fetchone()
            add(writer, "c")
            assert names(looker) == ["a", "b", "c"]
            rows.close()
        add(writer, "d")
        assert names(looker) == ["a", "b", "c", "d"]

    def test_older_version_is_not_migrated(self, path: Path, opened) -> None:
        opened(path, METADATA).dispose()
        steps = (Migration(2, "colour", lambda _: pytest.fail("a reader migrates nothing")),)
        with pytest.raises(StoreError, match="older"):
            open_database(path, METADATA, migrations=steps, read_only=True)


class TestDamage:
    def test_no_database_at_all(self, path: Path) -> None:
        path.parent.mkdir()
        path.write_bytes(b"this is a diary, not a database. " * 100)
        for read_only in (False, True):
            with pytest.raises(Damaged, match=f"{path} is damaged") as caught:
                open_database(path, METADATA, read_only=read_only)
            assert caught.value.hint

    def test_page_overwritten(self, path: Path, opened) -> None:
        engine = opened(path, METADATA)
        add(engine, *(f"{number:0200d}" for number in range(200)))
        engine.dispose()
        with path.open("r+b") as file:
            file.seek(3 * 4096)
            file.write(b"\xa5" * 4096)
        with pytest.raises(Damaged, match=str(path)):
            open_database(path, METADATA)

    def test_met_while_running(self, path: Path, opened, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file too large to look over at the start -> Damaged at the first statement that meets it."""
        engine = opened(path, METADATA)
        add(engine, *(f"{number:0200d}" for number in range(200)))
        engine.dispose()
        with path.open("r+b") as file:
            file.seek(3 * 4096)
            file.write(b"\xa5" * 4096 * 4)
        monkeypatch.setattr(database, "LOOKED_OVER_SIZE", 0)
        with pytest.raises(Damaged, match=str(path)):
            names(opened(path, METADATA))

    def test_folder_in_its_place(self, path: Path) -> None:
        path.mkdir(parents=True)
        with pytest.raises(StoreError, match=str(path)):
            open_database(path, METADATA)


def test_full_disk_is_told(path: Path, opened) -> None:
    """The database may not grow any more (as on a full disk) -> StoreError with what to do, earlier rows stay."""
    engine = opened(path, METADATA)
    add(engine, "a")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.rollback()
        with pytest.raises(StoreError, match="cannot write") as caught, told_of(engine), connection.begin():
            connection.execute(sa.insert(THINGS), [{"name": f"{number:0500d}"} for number in range(100)])
    assert "free some space" in (caught.value.hint or "")
    assert names(engine) == ["a"]


def test_no_error_shows_the_values(path: Path, opened) -> None:
    """A statement with a secret fails -> neither our error nor its cause holds it."""
    engine = opened(path, METADATA)
    add(engine, "s3cret")
    with pytest.raises(StoreError) as caught:
        add(engine, "s3cret")
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in f"{error} {error!r}"
        error = error.__cause__


class TestChangeWatch:
    @pytest.fixture
    def watch(self, path: Path, opened) -> Iterator[ChangeWatch]:
        watch = ChangeWatch(opened(path, METADATA))
        yield watch
        watch.close()

    def test_commits_of_others_and_our_own(self, path: Path, opened, watch: ChangeWatch) -> None:
        """nothing -> False; another engine commits -> True once; the same engine commits -> True once."""
        assert not watch.changed()
        for engine in (opened(path, METADATA), watch._engine):
            add(engine, f"{id(engine)}")
            assert watch.changed()
            assert not watch.changed()

    def test_reading_and_rolling_back_change_nothing(self, path: Path, opened, watch: ChangeWatch) -> None:
        other = opened(path, METADATA)
        names(other)
        with other.connect() as connection:
            connection.execute(sa.insert(THINGS).values(name="a"))
        assert not watch.changed()

    def test_read_only(self, path: Path, opened) -> None:
        writer = opened(path, METADATA)
        watch = ChangeWatch(opened(path, METADATA, read_only=True))
        add(writer, "a")
        assert watch.changed()
        assert not watch.changed()
        watch.close()
