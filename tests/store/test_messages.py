"""store/messages.py: kept until they are where their routes lead; whatever happens, none lost and none half."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leafward.errors import NotFound, StoreError
from leafward.store.messages import UPSTREAM, Message, MessageStore

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
INPUT = "modB/inputs/in1"
ALWAYS = timedelta(days=10_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub" / "messages.db"


@pytest.fixture
def store(path: Path) -> Iterator[MessageStore]:
    with MessageStore.open(path) as store:
        yield store


def message(body: bytes = b"21.5", **changes: object) -> Message:
    plain = Message("leaf1", None, None, {"room": "a b/c"}, {"$.ct": "application/json"}, body, NOW)
    return replace(plain, **changes)


def bodies(messages: list[Message]) -> list[bytes]:
    return [one.body for one in messages]


def fill(store: MessageStore, *wanted: bytes, to: tuple[str, ...] = (UPSTREAM,), enqueued: datetime = NOW) -> list[int]:
    return store.append([(message(body, enqueued=enqueued), to) for body in wanted])


def test_what_was_appended_is_read_and_pending(store: MessageStore, path: Path) -> None:
    """append -> read and pending give the same messages with their ids, here and after the next start."""
    batch = [message(b"a"), message(b"b", module_id="modA", output="out1", properties={}, system={})]
    ids = store.append([(one, [UPSTREAM]) for one in batch])
    expected = [replace(one, id=number) for one, number in zip(batch, ids, strict=True)]
    assert store.read() == store.pending(UPSTREAM) == expected
    store.close()
    with MessageStore.open(path) as again:
        assert again.read() == again.pending(UPSTREAM) == expected
        assert again.read()[0].enqueued.tzinfo is UTC


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.text(), st.text(), max_size=4), st.binary(max_size=300))
def test_any_properties_and_body_come_back(store: MessageStore, properties: dict[str, str], body: bytes) -> None:
    [number] = store.append([(message(body, properties=properties, system=properties), [UPSTREAM])])
    [found] = store.read(after=number - 1)
    assert (found.properties, found.system, found.body) == (properties, properties, body)


def test_ids_grow_over_batches_restarts_and_sweeps(store: MessageStore, path: Path) -> None:
    first = fill(store, b"a", b"b", b"c")
    assert first == [first[0], first[0] + 1, first[0] + 2]
    assert store.sweep(NOW, ALWAYS, 0) == 3
    store.close()
    with MessageStore.open(path) as again:
        assert fill(again, b"d") == [first[-1] + 1]


def test_endpoints_are_pending_apart(store: MessageStore) -> None:
    """a -> upstream and in1; b -> in1; c -> upstream: each endpoint sees its own, and acknowledges its own."""
    a, b, c = store.append(
        [(message(b"a"), [UPSTREAM, INPUT, INPUT]), (message(b"b"), [INPUT]), (message(b"c"), [UPSTREAM])]
    )
    assert bodies(store.pending(UPSTREAM)) == [b"a", b"c"]
    assert bodies(store.pending(INPUT)) == [b"a", b"b"]
    assert store.pending("modC/inputs/in1") == []
    store.acknowledge(INPUT, [a, b, c, 999])
    assert store.pending(INPUT) == []
    assert bodies(store.pending(UPSTREAM)) == [b"a", b"c"]
    store.acknowledge(UPSTREAM, [a])
    store.acknowledge(UPSTREAM, [a])
    store.acknowledge(UPSTREAM, [])
    assert bodies(store.pending(UPSTREAM)) == [b"c"]


def test_upstream_stays_readable_modules_messages_go(store: MessageStore) -> None:
    """acknowledged by all: what went upstream is still read, what was for modules only is gone from the disk."""
    a, b = store.append([(message(b"a"), [UPSTREAM]), (message(b"b"), [INPUT, "modC/inputs/x"])])
    store.acknowledge(UPSTREAM, [a])
    store.acknowledge(INPUT, [b])
    assert bodies(store.pending("modC/inputs/x")) == [b"b"]
    store.acknowledge("modC/inputs/x", [b])
    assert bodies(store.read()) == [b"a"]
    assert store.count() == 1


def test_message_that_goes_nowhere_is_not_kept(store: MessageStore) -> None:
    ids = store.append([(message(b"a"), []), (message(b"b"), [UPSTREAM])])
    assert len(set(ids)) == 2
    assert store.count() == 1
    assert store.read()[0].id == ids[1]
    assert store.append([(message(b"a"), [])])[0] > ids[1]
    assert store.append([]) == []


def test_paging(store: MessageStore) -> None:
    ids = fill(store, *(b"%d" % number for number in range(10)))
    assert bodies(store.pending(UPSTREAM, limit=3)) == [b"0", b"1", b"2"]
    assert bodies(store.pending(UPSTREAM, after=ids[2], limit=3)) == [b"3", b"4", b"5"]
    assert bodies(store.read(after=ids[7])) == [b"8", b"9"]
    assert store.read(after=ids[9]) == store.pending(UPSTREAM, after=ids[9]) == []


def test_batch_is_kept_whole_or_not_at_all(store: MessageStore) -> None:
    """The third of three cannot be stored -> StoreError or TypeError, none is kept, the next batch is."""
    wrong = message(b"c", device_id=None)
    with pytest.raises(StoreError):
        store.append([(message(b"a"), [UPSTREAM]), (message(b"b"), [UPSTREAM]), (wrong, [UPSTREAM])])
    assert store.read() == store.pending(UPSTREAM) == []
    fill(store, b"d")
    assert bodies(store.read()) == [b"d"]


class TestSweep:
    def test_by_age(self, store: MessageStore) -> None:
        """Ages 3, 2, 1 hours, oldest appended last -> those over 2 hours go, undelivered or not."""
        for hours, body in ((1, b"young"), (2, b"just"), (3, b"old")):
            fill(store, body, to=(UPSTREAM, INPUT), enqueued=NOW - timedelta(hours=hours))
        assert store.sweep(NOW, timedelta(hours=2), 1000) == 1
        assert bodies(store.read()) == bodies(store.pending(INPUT)) == [b"young", b"just"]

    def test_by_count_delivered_ones_first(self, store: MessageStore) -> None:
        """waiting, sent, waiting, sent, sent; 3 may stay -> two sent ones go; 1 may -> the newest waiting one."""
        ids = fill(store, b"w1", b"s1", b"w2", b"s2", b"s3")
        store.acknowledge(UPSTREAM, [ids[1], ids[3], ids[4]])
        assert store.sweep(NOW, ALWAYS, 3) == 2
        assert bodies(store.read()) == [b"w1", b"w2", b"s3"]
        assert store.sweep(NOW, ALWAYS, 1) == 2
        assert bodies(store.read()) == [b"w2"]

    def test_many_in_steps(self, store: MessageStore) -> None:
        fill(store, *[b"x"] * 2500)
        assert store.sweep(NOW, ALWAYS, 100) == 2400
        assert store.sweep(NOW + timedelta(seconds=2), timedelta(seconds=1), 1000) == 100
        assert store.pending(UPSTREAM) == []

    def test_nothing_to_do(self, store: MessageStore) -> None:
        fill(store, b"a")
        assert store.sweep(NOW, ALWAYS, 1) == 0


def test_killed_hub_keeps_what_it_confirmed(path: Path) -> None:
    """hub appends batches of 50, tells the ids it confirmed, is killed -> all told are there; only whole batches."""
    program = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from leafward.store.messages import Message, MessageStore
store = MessageStore.open(Path(sys.argv[1]))
message = Message("leaf1", None, None, {}, {}, b"x" * 500, datetime(2026, 3, 1, tzinfo=UTC))
while True:
    print(store.append([(message, ["$upstream", "modB/inputs/in1"])] * 50)[-1], flush=True)
"""
    hub = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    assert hub.stdout is not None
    told = [int(hub.stdout.readline()) for _ in range(5)]
    os.kill(hub.pid, signal.SIGKILL)
    told += [int(line) for line in hub.communicate()[0].split()]
    with MessageStore.open_read_only(path) as looker:
        read = [one.id for one in looker.read(limit=10**9)]
    with MessageStore.open(path) as store:
        pending = [one.id for one in store.pending(INPUT, limit=10**9)]
        assert fill(store, b"next")[0] > max(told)
    assert read == pending == list(range(1, len(read) + 1))
    assert len(read) >= told[-1]
    assert len(read) % 50 == 0


class TestReadOnly:
    def test_hub_never_ran(self, path: Path) -> None:
        with pytest.raises(NotFound, match=str(path)):
            MessageStore.open_read_only(path)

    def test_looks_and_changes_nothing(self, store: MessageStore, path: Path) -> None:
        ids = fill(store, b"a")
        with MessageStore.open_read_only(path) as looker:
            assert bodies(looker.read()) == [b"a"]
            assert bodies(looker.pending(UPSTREAM)) == [b"a"]
            for change in (
                lambda: fill(looker, b"b"),
                lambda: looker.acknowledge(UPSTREAM, ids),
                lambda: looker.sweep(NOW, ALWAYS, 0),
            ):
                with pytest.raises(StoreError):
                    change()
        assert bodies(store.pending(UPSTREAM)) == [b"a"]

    def test_follower_in_another_process_misses_nothing(self, store: MessageStore, path: Path) -> None:
        """hub appends 30 batches and sweeps || another process follows by id -> it sees every id once, in order."""
        program = """
import sys
from pathlib import Path
from leafward.store.messages import MessageStore
after = 0
with MessageStore.open_read_only(Path(sys.argv[1])) as store:
    print("ready", flush=True)
    while after < 300:
        for message in store.read(after=after, limit=7):
            after = message.id
            print(after, flush=True)
"""
        follower = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
        assert follower.stdout is not None
        assert follower.stdout.readline() == "ready\n"
        for _ in range(30):
            ids = fill(store, *[b"x" * 100] * 10)
            store.acknowledge(UPSTREAM, ids)
        seen = [int(line) for line in follower.communicate()[0].split()]
        assert seen == list(range(1, 301))


def test_threads_append_acknowledge_and_sweep_at_once(store: MessageStore) -> None:
    """4 appenders, one that delivers, one that sweeps by age -> every message delivered once, ids without gaps."""
    delivered: list[int] = []
    done = threading.Event()

    def append() -> None:
        for _ in range(20):
            ids = fill(store, *[b"x"] * 5, to=(UPSTREAM, INPUT))
            assert ids == list(range(ids[0], ids[0] + 5))

    def deliver() -> None:
        while not done.is_set() or store.pending(INPUT, limit=1):
            ids = [one.id or 0 for one in store.pending(INPUT, limit=50)]
            store.acknowledge(INPUT, ids)
            delivered.extend(ids)

    def sweep() -> None:
        while not done.is_set():
            store.sweep(NOW, ALWAYS, 10_000)

    with ThreadPoolExecutor() as pool:
        others = [pool.submit(deliver), pool.submit(sweep)]
        appenders = [pool.submit(append) for _ in range(4)]
        failures = [future.exception() for future in appenders]
        done.set()
        failures += [future.exception() for future in others]
    assert failures == [None] * 6
    assert delivered == list(range(1, 401))
    assert [one.id for one in store.read()] == delivered


def test_the_newest(store: MessageStore) -> None:
    """Nothing yet is 0; then the id of what came last, from where a reader goes on."""
    assert store.newest() == 0
    ids = store.append([(message(b"1"), [UPSTREAM]), (message(b"2"), [UPSTREAM])])
    assert store.newest() == max(ids)
    assert store.read(after=store.newest()) == []
