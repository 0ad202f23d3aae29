"""What the message store drops, and in which order."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leafward.store.messages import REFUSED, UPSTREAM, Message, MessageStore, Queue, StoreLimits

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
INPUT = "modB/inputs/in1"
ALWAYS = timedelta(days=10_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MessageStore]:
    with MessageStore.open(tmp_path / "messages.db") as store:
        yield store


def message(body: bytes = b"x", **changes: object) -> Message:
    return replace(Message("leaf1", None, None, {}, {}, body, NOW), **changes)


def bodies(messages: list[Message]) -> list[bytes]:
    return [one.body for one in messages]


def put(store: MessageStore, *wanted: bytes, queue: str = UPSTREAM, seconds: int | None = None) -> list[int]:
    return store.append([(message(body), {queue: seconds}) for body in wanted])


class TestTimeToLive:
    """Seconds from when a message was enqueued."""

    def test_what_is_over_is_not_pending(self, store: MessageStore) -> None:
        put(store, b"10", seconds=10)
        put(store, b"100", seconds=100)
        put(store, b"ever")
        for later, expected in ((9, [b"10", b"100", b"ever"]), (10, [b"100", b"ever"]), (1000, [b"ever"])):
            assert bodies(store.pending(UPSTREAM, now=NOW + timedelta(seconds=later))) == expected
        assert len(store.pending(UPSTREAM)) == 3

    def test_the_sweep_ends_waits(self, store: MessageStore) -> None:
        """One queue of two ends; what went upstream stays readable, what was for modules only goes."""
        store.append([(message(b"both"), {UPSTREAM: 10, INPUT: None}), (message(b"module"), {INPUT: 10})])
        put(store, b"up", seconds=10)
        assert store.sweep(NOW + timedelta(seconds=10), ALWAYS, 100) == 3
        assert store.pending(UPSTREAM) == []
        assert bodies(store.pending(INPUT)) == [b"both"]
        assert bodies(store.read()) == [b"both", b"up"]
        assert store.count() == 2
        assert store.dropped == {"expired": 3}
        assert store.sweep(NOW + timedelta(seconds=10), ALWAYS, 100) == 0

    def test_many_in_steps(self, store: MessageStore) -> None:
        put(store, *[b"x"] * 2300, seconds=5)
        assert store.sweep(NOW + timedelta(hours=1), ALWAYS, 10_000) == 2300
        assert store.count() == 2300


class TestWhichGoFirst:
    def test_in_order(self, store: MessageStore) -> None:
        """What nobody waits for; no priority; 9; 0; messages to devices. Within each the oldest."""
        for device in range(2):
            put(store, b"command %d" % device, queue=f"devicebound/d{device}")
        put(store, b"alarm", queue="$upstream#0")
        put(store, b"info", queue="$upstream#9")
        put(store, b"plain1", b"plain2", queue=INPUT)
        store.acknowledge(UPSTREAM, put(store, b"sent1", b"sent2"))
        order = [b"sent1", b"sent2", b"plain1", b"plain2", b"info"]
        everything = {*order, b"alarm", b"command 0", b"command 1"}
        for gone, name in enumerate(order, start=1):
            assert store.sweep(NOW, ALWAYS, 8 - gone) == 1
            everything.remove(name)
            left = bodies(store.read()) + [
                body for queue in (INPUT, "devicebound/d0", "devicebound/d1") for body in bodies(store.pending(queue))
            ]
            assert set(left) == everything
        assert store.dropped == {"full": 3}

    def test_a_message_counts_by_its_best_queue(self, store: MessageStore) -> None:
        store.append([(message(b"both"), {UPSTREAM: None, "filter/inputs/in1#2": None})])
        put(store, b"plain")
        store.sweep(NOW, ALWAYS, 1)
        assert bodies(store.read()) == [b"both"]

    def test_nothing_that_waits_where_it_may_not(self, store: MessageStore) -> None:
        """`keep_waiting`: what is delivered goes, then nothing does."""
        limits = StoreLimits(ALWAYS, 2, keep_waiting=True)
        ids = put(store, b"1", b"2", b"3", b"4")
        store.acknowledge(UPSTREAM, ids[1:2])
        assert store.room.make_room(limits) == 1
        assert store.room.make_room(limits) == 0
        assert store.room.is_over(limits)
        assert bodies(store.pending(UPSTREAM)) == [b"1", b"3", b"4"]
        store.acknowledge(UPSTREAM, ids[:1])
        assert store.room.make_room(limits) == 1
        assert not store.room.is_over(limits)
        assert store.dropped == {}

    def test_too_old(self, store: MessageStore) -> None:
        """Only what somebody waited for is counted as dropped."""
        store.acknowledge(UPSTREAM, put(store, b"1"))
        put(store, b"2")
        assert store.sweep(NOW + timedelta(hours=2), timedelta(hours=1), 100) == 2
        assert store.dropped == {"too-old": 1}


def test_without_an_upstream_nothing_of_it_is_lost(store: MessageStore) -> None:
    """Messages that could only be read go without being counted; those for modules are."""
    store.room.no_upstream = True
    put(store, b"1", b"2", seconds=1)
    put(store, b"3", b"4")
    put(store, b"5", queue=INPUT, seconds=1)
    put(store, b"6", queue=INPUT)
    store.sweep(NOW + timedelta(seconds=5), ALWAYS, 1)
    assert bodies(store.pending(INPUT)) == [b"6"]
    assert store.dropped == {"expired": 1}
    store.sweep(NOW + timedelta(hours=1), timedelta(minutes=1), 1)
    assert store.dropped == {"expired": 1, "too-old": 1}


class TestQueues:
    def test_what_waits(self, store: MessageStore) -> None:
        """By name, with how many, the lowest id, and since when."""
        first = put(store, b"1", b"2")
        alarm = store.append([(message(b"3", enqueued=NOW + timedelta(seconds=5)), ["$upstream#0"])])
        put(store, b"4", queue=INPUT)
        assert store.queues("$upstream") == [
            Queue("$upstream", 2, first[0], NOW),
            Queue("$upstream#0", 1, alarm[0], NOW + timedelta(seconds=5)),
        ]
        assert [queue.endpoint for queue in store.queues()] == ["$upstream", "$upstream#0", INPUT]
        assert (store.waiting(UPSTREAM), store.waiting("nobody")) == (2, 0)

    def test_moving(self, store: MessageStore) -> None:
        """Set aside, without an end; others of that id are no error."""
        ids = put(store, b"1", b"2", seconds=10)
        assert store.move(UPSTREAM, REFUSED, [ids[0], 999]) == 1
        assert store.move(UPSTREAM, REFUSED, []) == 0
        later = NOW + timedelta(days=1)
        assert bodies(store.pending(REFUSED, now=later)) == [b"1"]
        assert bodies(store.pending(UPSTREAM)) == [b"2"]


def test_bytes_of_the_file(tmp_path: Path) -> None:
    """1 MiB may be used: the oldest go, the pages are used again, and the file stays as large as it has become."""
    path = tmp_path / "messages.db"
    limits = StoreLimits(ALWAYS, 1_000_000, bytes=1_048_576)
    with MessageStore.open(path) as store:
        for _ in range(40):
            put(store, *[bytes(1000)] * 200)
            while store.room.make_room(limits):
                pass
            assert store.room.used() <= 1_048_576
        assert store.count() > 600
        assert store.dropped["full"] == 8000 - store.count()
        newest = store.newest()
        assert store.pending(UPSTREAM, limit=10_000)[-1].id == newest
    assert path.stat().st_size < 2_097_152


def test_an_older_database_is_brought_up_to_date(tmp_path: Path) -> None:
    """Version 1 -> 2: what waited waits, what was delivered is the first to go."""
    path = tmp_path / "messages.db"
    with sqlite3.connect(path) as old:
        old.executescript(
            """
            CREATE TABLE schema_version (name TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);
            INSERT INTO schema_version VALUES ('messages', 1);
            CREATE TABLE messages (id INTEGER NOT NULL PRIMARY KEY, device_id TEXT NOT NULL, module_id TEXT,
                output TEXT, properties TEXT NOT NULL, system TEXT NOT NULL, body BLOB NOT NULL,
                enqueued BIGINT NOT NULL, upstream BOOLEAN NOT NULL);
            CREATE INDEX ix_messages_enqueued ON messages (enqueued);
            CREATE TABLE deliveries (message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
                endpoint TEXT NOT NULL, PRIMARY KEY (message_id, endpoint)) WITHOUT ROWID;
            CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint, message_id);
            CREATE TABLE last_message (id BIGINT NOT NULL);
            INSERT INTO last_message VALUES (3);
            INSERT INTO messages VALUES (2, 'leaf1', NULL, NULL, '{}', '{}', x'31', 1772366400000000, 1);
            INSERT INTO messages VALUES (3, 'leaf1', NULL, NULL, '{"a": "b"}', '{}', x'32', 1772366400000000, 1);
            INSERT INTO deliveries VALUES (2, '$upstream');
            """
        )
    old.close()
    with MessageStore.open(path) as store:
        assert bodies(store.pending(UPSTREAM)) == [b"1"]
        assert bodies(store.read()) == [b"1", b"2"]
        assert put(store, b"3", seconds=5) == [4]
        assert store.sweep(NOW, ALWAYS, 2) == 1
        assert bodies(store.read()) == [b"1", b"3"]
    path.unlink()
    with MessageStore.open(path) as store:
        assert put(store, b"1", queue="$upstream#7") == [1]
