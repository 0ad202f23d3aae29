"""store/registry_file.py: the same file, promises and refusals as store/registry.py, side by side with it."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leafward.errors import AlreadyExists, Busy, Damaged, NameFormatError, NotFound, StoreError
from leafward.store import registry_file
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.store.registry_file import RegistryFile

CREATED = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
PUMP = Identity("edge", "Pump", "sas", True, "gen1", b"k" * 32, b"o" * 32, None, None, CREATED)
DEVICE = replace(PUMP, device_id="leaf", module_id=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


def structure(path: Path) -> list[object]:
    """Tables, columns and indices as SQLite knows them."""
    with sqlite3.connect(path) as connection:
        tables = sorted(name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        found: list[object] = [connection.execute("SELECT * FROM schema_version").fetchall()]
        for table in tables:
            found += [table, connection.execute(f"PRAGMA table_list({table})").fetchall()]
            found += [connection.execute(f"PRAGMA table_info({table})").fetchall()]
            for index in connection.execute(f"PRAGMA index_list({table})").fetchall():
                found += [index[2:], connection.execute(f"PRAGMA index_info({index[1]})").fetchall()]
    connection.close()
    return found


def test_both_make_the_same_database(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    RegistryFile.open(path).close()
    Registry.open(other).close()
    assert structure(path) == structure(other)
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize("first", [RegistryFile, Registry])
@pytest.mark.parametrize("identity", [PUMP, DEVICE, replace(PUMP, enabled=False), replace(PUMP, secondary_key=None)])
def test_what_one_writes_the_other_reads(path: Path, first: Callable[..., object], identity: Identity) -> None:
    """Open side by side, as manager and hub have it."""
    with RegistryFile.open(path) as small, Registry.open(path) as large:
        writer, reader = (small, large) if first is RegistryFile else (large, small)
        writer.add(identity)  # type: ignore[attr-defined]
        assert reader.get(identity.device_id, identity.module_id) == identity  # type: ignore[attr-defined]
        assert small.modules("edge") == large.modules("edge")


def test_changes_of_others_are_seen_at_once(path: Path) -> None:
    with RegistryFile.open(path) as small, Registry.open(path) as large:
        large.add(PUMP)
        large.set_enabled("edge", "Pump", False)
        found = small.get("edge", "Pump")
        assert found is not None
        assert found.enabled is False
        small.remove("edge", "Pump")
        assert large.get("edge", "Pump") is None


def test_modules_are_listed_by_name(path: Path) -> None:
    with RegistryFile.open(path) as registry:
        for name in ("b", "a", "c"):
            registry.add(replace(PUMP, module_id=name))
        registry.add(DEVICE)
        assert [one.module_id for one in registry.modules("edge")] == ["a", "b", "c"]
        assert registry.modules("leaf") == []


def test_ids_that_are_taken_or_none(path: Path) -> None:
    with RegistryFile.open(path) as registry:
        registry.add(PUMP)
        for taken in (PUMP, replace(PUMP, module_id="pump"), replace(PUMP, device_id="EDGE", module_id="x")):
            with pytest.raises(AlreadyExists):
                registry.add(taken)
        with pytest.raises(NameFormatError):
            registry.add(replace(PUMP, module_id="a/b"))
        for unknown in ("pump", "x"):
            with pytest.raises(NotFound):
                registry.remove("edge", unknown)
        assert registry.modules("edge") == [PUMP]


def test_a_database_that_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing waits, and says who was in the way; reading does not wait."""
    monkeypatch.setattr(registry_file, "BUSY_SECONDS", 0.05)
    with RegistryFile.open(path) as registry:
        registry.add(PUMP)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy, match=r"registry\.db"):
            registry.remove("edge", "Pump")
        assert registry.get("edge", "Pump") == PUMP
        other.close()
        registry.remove("edge", "Pump")


def test_damage(path: Path) -> None:
    path.write_bytes(b"no database at all, and longer than a header of one hundred bytes is" * 9)
    with pytest.raises(Damaged, match=r"registry\.db"):
        RegistryFile.open(path)


def test_a_damaged_row_is_told_and_not_obeyed(path: Path) -> None:
    with RegistryFile.open(path) as registry:
        registry.add(PUMP)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE identities SET primary_key = x'00'")
        connection.close()
        with pytest.raises(Damaged, match="edge"):
            registry.get("edge", "Pump")


def test_an_older_version_is_brought_up(path: Path, tmp_path: Path) -> None:
    """By either of the two, to the same database."""
    others = [path, tmp_path / "other.db"]
    for one, kind in zip(others, (RegistryFile, Registry), strict=True):
        RegistryFile.open(one).close()
        with sqlite3.connect(one) as connection:
            connection.execute("ALTER TABLE identities DROP COLUMN parent")
            connection.execute("UPDATE schema_version SET version = 1")
        connection.close()
        kind.open(one).close()
    assert structure(others[0]) == structure(others[1])


@pytest.mark.parametrize("more", [1, 99])
def test_a_newer_version(path: Path, more: int) -> None:
    RegistryFile.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE schema_version SET version = version + ?", (more,))
    connection.close()
    with pytest.raises(StoreError, match="newer"):
        RegistryFile.open(path)


def test_tables_without_a_version(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE identities (a)")
    connection.close()
    with pytest.raises(Damaged, match="not made by leafward"):
        RegistryFile.open(path)


def test_a_folder_that_may_not_be_written(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match=r"registry\.db"):
        RegistryFile.open(path)


def test_it_loads_nothing_large() -> None:
    """What a manager loads: neither SQLAlchemy nor an HTTP framework nor a metrics library."""
    large = ("sqlalchemy", "aiohttp", "prometheus_client", "uvloop", "yaml")
    program = f"import leafward.manager.daemon, sys; print([name for name in {large} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
