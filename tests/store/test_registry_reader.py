"""The registry as a hub reads it: what is kept is as good as what is in the file, after every change.

Registry (another connection, as another process has it) -> file <- RegistryReader
"""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leafward.errors import Damaged, StoreError
from leafward.store import registry_reader
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.store.registry_reader import RegistryReader

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def device(name: str, module: str | None = None, generation: str = "1", key: bytes = bytes(32)) -> Identity:
    return Identity(name, module, "sas", True, generation, key, None, None, None, NOW)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db") as opened:
        yield opened


@pytest.fixture
def reader(registry: Registry, tmp_path: Path) -> Iterator[RegistryReader]:
    with RegistryReader.open(tmp_path / "registry.db") as opened:
        yield opened


def test_each_change_is_seen_at_the_next_look(registry: Registry, reader: RegistryReader) -> None:
    assert reader.get("leaf") is None
    registry.add(device("leaf"))
    registry.add(device("leaf", "filter"))
    assert reader.get("leaf") == device("leaf")
    assert reader.get("leaf", "filter") == device("leaf", "filter")
    registry.set_enabled("leaf", None, False)
    found = reader.get("leaf")
    assert found is not None
    assert not found.enabled
    registry.remove("leaf")
    assert reader.get("leaf") is None
    assert reader.get("leaf", "filter") is None
    registry.add(device("leaf", generation="2", key=bytes([1] * 32)))
    assert reader.get("leaf") == device("leaf", generation="2", key=bytes([1] * 32))


def test_what_nobody_has_changed_is_not_read_again(registry: Registry, reader: RegistryReader) -> None:
    registry.add(device("leaf"))
    assert reader.get("leaf") is reader.get("leaf")


def test_what_is_kept_is_bounded(registry: Registry, reader: RegistryReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_reader, "MOST_KEPT", 2)
    for number in range(5):
        registry.add(device(f"leaf-{number}"))
    for number in range(5):
        assert reader.get(f"leaf-{number}") == device(f"leaf-{number}")
        assert reader.get("unknown") is None
    assert len(reader._kept) <= 2


def test_it_cannot_write(reader: RegistryReader) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM identities")


def test_a_damaged_entry_is_told_each_time(registry: Registry, reader: RegistryReader, tmp_path: Path) -> None:
    registry.add(device("leaf"))
    with sqlite3.connect(tmp_path / "registry.db") as other:
        other.execute("UPDATE identities SET auth = 'nonsense'")
    other.close()
    for _ in range(2):
        with pytest.raises(Damaged, match="leaf"):
            reader.get("leaf")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none\.db"):
        RegistryReader.open(tmp_path / "none.db")
