"""What plain topics keep: all of one change or nothing, and what was read back is what was written."""

import sqlite3
from pathlib import Path

import pytest

from leafward.errors import StoreError
from leafward.store.plain_messages import Changes, KeptDelivery, KeptMessage, PlainMessageStore


def message(number: int, topic: str = "t", *, expires: float | None = None) -> KeptMessage:
    """A message with something in each field."""
    return KeptMessage(number, topic, b"\x00payload", 2, b"\x03\x03\x00\x00", expires)


def test_written_and_read_back(tmp_path: Path) -> None:
    """Messages, whom they wait for in order, retained ones; then what is done is gone."""
    path = tmp_path / "plain.db"
    one, two = message(1), message(2, expires=1.5e9)
    first = KeptDelivery(4, 1, "edge/filter", 1, True, (7, 300))
    second = KeptDelivery(3, 2, "leaf1", 2, False, ())
    kept = message(0, "last/word")
    with PlainMessageStore.open(path) as store:
        store.write(Changes(messages=[one, two], waiting=[first, second], retained={"last/word": kept, "none": None}))
    with PlainMessageStore.open(path) as store:
        assert store.messages() == {1: one, 2: two}
        assert store.waiting() == [second, first]
        assert store.retained() == [kept]
        store.write(Changes(done_messages=[2], done_waiting=[3], retained={"last/word": message(0, "last/word")}))
        store.write(Changes(retained={"last/word": None}))
        assert (store.messages(), store.waiting(), store.retained()) == ({1: one}, [first], [])


def test_all_or_nothing(tmp_path: Path) -> None:
    """The second message's number is taken: the first is not kept either."""
    with PlainMessageStore.open(tmp_path / "plain.db") as store:
        store.write(Changes(messages=[message(2)]))
        with pytest.raises(StoreError):
            store.write(Changes(messages=[message(1), message(2)], done_messages=[2]))
        assert list(store.messages()) == [2]


def test_no_changes() -> None:
    """There is nothing to write where nothing is in it."""
    assert not Changes()
    assert Changes(done_waiting=[1])


def test_a_database_of_an_earlier_version(tmp_path: Path) -> None:
    """It gets the table of packet ids, and keeps what it has."""
    path = tmp_path / "plain.db"
    with PlainMessageStore.open(path) as store:
        store.write(Changes(messages=[message(1)]))
    with sqlite3.connect(path) as connection:
        connection.executescript("DROP TABLE received; UPDATE schema_version SET version = 1")
    connection.close()
    with PlainMessageStore.open(path) as store:
        assert store.received() == []
        store.write(Changes(received={("a", 7): True, ("b", 8): False}))
        assert store.received() == [("a", 7)]
        assert store.messages() == {1: message(1)}
