"""store/migrations.py: an older database becomes the present one, all steps or none."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from leafward.errors import Damaged, StoreError
from leafward.store.database import open_database, reader
from leafward.store.migrations import Migration

V1, V3 = sa.MetaData(), sa.MetaData()
sa.Table("things", V1, sa.Column("name", sa.Text, primary_key=True))
sa.Table(
    "things", V3, sa.Column("name", sa.Text, primary_key=True), sa.Column("size", sa.Integer), sa.Column("hue", sa.Text)
)


def executing(statement: str) -> Callable[[sa.Connection], None]:
    return lambda connection: connection.exec_driver_sql(statement).close()


TO_V3 = (
    Migration(2, "sizes", executing("ALTER TABLE things ADD COLUMN size INTEGER")),
    Migration(3, "hues", executing("ALTER TABLE things ADD COLUMN hue TEXT")),
)


def open_and_close(path: Path, metadata: sa.MetaData, migrations: tuple[Migration, ...] = (), name: str = "t") -> None:
    open_database(path, metadata, migrations=migrations, name=name).dispose()


def facts(path: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """The columns of `things`, and the versions."""
    connection = sqlite3.connect(path)
    columns = [row[1] for row in connection.execute("PRAGMA table_info(things)")]
    versions = connection.execute("SELECT name, version FROM schema_version").fetchall()
    connection.close()
    return columns, versions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things.db"


def test_new_database_has_the_last_version(path: Path) -> None:
    open_and_close(path, V3, TO_V3)
    assert facts(path) == (["name", "size", "hue"], [("t", 3)])


def test_older_database_is_brought_up_to_date_and_keeps_its_rows(path: Path) -> None:
    """v1 with a row -> v2 -> v3 in two starts, and once more: nothing."""
    open_and_close(path, V1)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO things VALUES ('a')")
    connection.close()
    for steps, columns in (
        (TO_V3[:1], ["name", "size"]),
        (TO_V3, ["name", "size", "hue"]),
        (TO_V3, ["name", "size", "hue"]),
    ):
        open_and_close(path, V3, steps)
        assert facts(path) == (columns, [("t", len(steps) + 1)])
    engine = open_database(path, V3, migrations=TO_V3, name="t")
    with reader(engine) as connection:
        assert connection.execute(sa.select(V3.tables["things"])).all() == [("a", None, None)]
    engine.dispose()


def test_step_that_fails_undoes_all(path: Path) -> None:
    """v1 -> v2 works, v3 raises -> still v1, and its error is seen; then the mended steps work."""
    open_and_close(path, V1)

    def fail(_: sa.Connection) -> None:
        raise RuntimeError("no hues")

    with pytest.raises(RuntimeError, match="no hues"):
        open_and_close(path, V3, (TO_V3[0], Migration(3, "hues", fail)))
    with pytest.raises(StoreError, match=str(path)):
        open_and_close(path, V3, (TO_V3[0], Migration(3, "hues", executing("ALTER TABLE nothing ADD COLUMN hue"))))
    assert facts(path) == (["name"], [("t", 1)])
    open_and_close(path, V3, TO_V3)
    assert facts(path)[0] == ["name", "size", "hue"]


def test_newer_database_is_refused_and_left_alone(path: Path) -> None:
    open_and_close(path, V3, TO_V3)
    with pytest.raises(StoreError, match="newer leafward: got version 3, expected 1") as caught:
        open_and_close(path, V1)
    assert caught.value.hint
    with pytest.raises(StoreError, match="newer"):
        open_database(path, V1, name="t", read_only=True)
    assert facts(path) == (["name", "size", "hue"], [("t", 3)])


def test_tables_of_somebody_else_are_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE things (x)")
    connection.close()
    with pytest.raises(Damaged, match="not made by leafward"):
        open_and_close(path, V1)


def test_two_schemas_in_one_database(path: Path) -> None:
    other = sa.MetaData()
    sa.Table("others", other, sa.Column("name", sa.Text, primary_key=True))
    open_and_close(path, V1)
    open_and_close(path, other, name="o")
    open_and_close(path, V3, TO_V3)
    assert sorted(facts(path)[1]) == [("o", 1), ("t", 3)]


@pytest.mark.parametrize("numbers", [(1,), (3,), (2, 4), (2, 2), (3, 2)])
def test_steps_out_of_order_are_a_mistake_of_ours(path: Path, numbers: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="numbered"):
        open_and_close(path, V1, tuple(Migration(number, "", executing("")) for number in numbers))
