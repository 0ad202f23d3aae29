"""The store of twins: durable changes, one registration's twin and no other's."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from leafward.errors import Damaged
from leafward.store.twins import TwinKey, TwinRecord, TwinStore

PUMP, VALVE = TwinKey("pump", None, "g1"), TwinKey("valve", None, "g1")


def test_what_was_changed_is_there_after_a_restart(tmp_path: Path) -> None:
    with TwinStore.open(tmp_path / "twins.db") as store:
        assert store.get(PUMP) == TwinRecord()
        kept = store.change(PUMP, lambda twin: replace(twin, reported={"on": True}, reported_version=2, etag=2))
        store.change(TwinKey("pump", "filter", "g1"), lambda twin: replace(twin, tags={"line": 3}))
    with TwinStore.open(tmp_path / "twins.db") as store:
        assert store.get(PUMP) == kept
        assert store.get(TwinKey("pump", "filter", "g1")).tags == {"line": 3}


def test_a_change_that_raises_changes_nothing(tmp_path: Path) -> None:
    def refuse(_twin: TwinRecord) -> TwinRecord:
        raise ValueError

    with TwinStore.open(tmp_path / "twins.db") as store:
        store.change(PUMP, lambda twin: replace(twin, etag=2))
        with pytest.raises(ValueError):  # noqa: PT011 - ours, without a text
            store.change(PUMP, refuse)
        assert store.get(PUMP).etag == 2


def test_the_same_name_registered_anew_begins_empty(tmp_path: Path) -> None:
    """A device that was sold and whose name is used again must not read its predecessor's twin."""
    with TwinStore.open(tmp_path / "twins.db") as store:
        store.change(PUMP, lambda twin: replace(twin, desired={"secret": 1}))
        assert store.get(replace(PUMP, generation_id="g2")) == TwinRecord()
        store.change(replace(PUMP, generation_id="g2"), lambda twin: replace(twin, etag=2))
        assert store.get(replace(PUMP, generation_id="g2")) == TwinRecord(etag=2)
        store.remove([PUMP])
        assert store.all_keys() == [replace(PUMP, generation_id="g2")]
        store.remove([replace(PUMP, generation_id="g2")])
        assert store.all_keys() == []


def test_a_batch_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    def failing(store: TwinStore) -> None:
        with store.changing() as batch:
            batch.put(PUMP, TwinRecord(etag=2))
            assert batch.get(PUMP).etag == 2
            raise ZeroDivisionError

    with TwinStore.open(tmp_path / "twins.db") as store:
        with pytest.raises(ZeroDivisionError):
            failing(store)
        assert store.all_keys() == []
        with store.changing() as batch:
            batch.put(PUMP, TwinRecord(etag=2, desired_stamps={"": 5}))
            batch.put(VALVE, TwinRecord(version=7))
        with store.reading() as batch:
            assert batch.get(PUMP).desired_stamps == {"": 5}
            assert batch.get(VALVE).version == 7


def test_a_twin_that_does_not_read_back_says_whose_it_is(tmp_path: Path) -> None:
    with TwinStore.open(tmp_path / "twins.db") as store:
        store.change(PUMP, lambda twin: twin)
        with sqlite3.connect(tmp_path / "twins.db") as connection:
            connection.execute("UPDATE twins SET tags = '{'")
        connection.close()
        with pytest.raises(Damaged, match="the twin of pump"):
            store.get(PUMP)
