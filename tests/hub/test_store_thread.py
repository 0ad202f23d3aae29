"""The store's thread by itself: what one caller does wrong must not stop the others, and what waits is bounded."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from leafward.errors import StoreError
from leafward.hub.metrics import HubMetrics
from leafward.hub.store_thread import StoreThread
from leafward.store.messages import Message
from tests.hub.hub_clients import PATIENCE


class Store:
    """A message store that does nothing, and does not do it before `opened` is set."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()
        self.failing = False

    def append(self, _batch: Any) -> list[int]:
        assert self.opened.wait(PATIENCE)
        if self.failing:
            raise StoreError("the disk is full")
        return []

    def pending(self, *_: Any, **__: Any) -> list[Message]:
        return []

    def acknowledge(self, *_: Any) -> None: ...
    def close(self) -> None: ...


class Sender:
    """Notes what it is told; raises instead when it is `broken`."""

    def __init__(self, told: list[Any], *, broken: bool = False) -> None:
        self.told = told
        self.broken = broken

    def stored(self, token: int) -> None:
        self._note(token)

    def not_stored(self, token: int, error: Exception) -> None:
        self._note((token, str(error)))

    def room_again(self) -> None:
        self._note("room")

    def _note(self, what: Any) -> None:
        if self.broken:
            raise ZeroDivisionError
        self.told.append(what)


def message(body: bytes = b"", **properties: str) -> Message:
    return Message("leaf1", None, None, properties, {}, body, datetime.now(UTC))


Make = Callable[..., StoreThread]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
async def make(store: Store) -> AsyncIterator[Make]:
    made: list[StoreThread] = []

    def new(queue_bytes: int = 10_000_000, batch_size: int = 10) -> StoreThread:
        made.append(StoreThread(store, HubMetrics(), queue_bytes=queue_bytes, batch_size=batch_size))  # type: ignore[arg-type]
        return made[-1]

    yield new
    store.opened.set()
    async with asyncio.timeout(PATIENCE):
        for one in made:
            await one.close()


def broken(*_: Any) -> None:
    raise ZeroDivisionError


async def drained(thread: StoreThread) -> None:
    async with asyncio.timeout(PATIENCE):
        await thread.drain()


async def test_a_reader_that_fails_starves_nobody(make: Make) -> None:
    """a fails to take its answer; b, in the same round, gets its own; the thread drains."""
    thread, answered = make(), []
    thread.read("a", 0, 1, broken)
    thread.read("b", 0, 1, answered.append)
    await drained(thread)
    assert answered == [[]]
    thread.read("b", 0, 1, answered.append)
    await drained(thread)
    assert len(answered) == 2


@pytest.mark.parametrize("failing", [False, True], ids=["stored", "not stored"])
async def test_a_sender_that_fails_starves_nobody(make: Make, store: Store, failing: bool) -> None:
    """Senders before and after it hear what became of their messages."""
    thread, told = make(), []
    store.failing = failing
    for token, is_broken in enumerate((False, True, False)):
        thread.append(message(), ["$upstream"], Sender(told, broken=is_broken), token)
    await drained(thread)
    assert told == ([(0, "the disk is full"), (2, "the disk is full")] if failing else [0, 2])


async def test_a_job_that_fails_starves_nobody(make: Make) -> None:
    """In its preparation, in its work, or when it is told: the next job of the round is done."""
    thread, done = make(), []
    thread.run(broken, done.append, lambda error: done.append(type(error)))
    thread.run(lambda: None, broken, lambda error: done.append(type(error)))
    thread.run(lambda: None, lambda _nothing: None, broken)
    thread.run(lambda: "work", done.append, done.append)
    await drained(thread)
    assert done == ["work", ZeroDivisionError, ZeroDivisionError, None]


async def test_who_is_told_of_growth_may_fail(make: Make) -> None:
    """What is durable is acknowledged all the same."""
    thread, told = make(), []
    thread.grown = broken
    thread.append(message(), ["$upstream"], Sender(told), 1)
    await drained(thread)
    assert told == [1]


async def test_a_full_queue_holds_its_senders_back(make: Make, store: Store) -> None:
    """append says no when the queue is full, and room_again comes once, when half of it is on the disk."""
    thread, told = make(queue_bytes=10_000, batch_size=1), []
    store.opened.clear()
    sender = Sender(told)
    assert thread.append(message(bytes(4000)), ["$upstream"], sender, 1)
    assert thread.append(message(bytes(4000)), ["$upstream"], sender, 2)
    assert not thread.full
    assert not thread.append(message(bytes(4000)), ["$upstream"], sender, 3)
    assert thread.full
    assert told == []
    store.opened.set()
    await drained(thread)
    assert told in ([1, 2, "room", 3], [1, 2, 3, "room"])
    assert not thread.full


async def test_who_is_gone_is_not_called_for_room(make: Make, store: Store) -> None:
    """forget."""
    thread, told = make(queue_bytes=100), []
    store.opened.clear()
    sender = Sender(told)
    assert not thread.append(message(), ["$upstream"], sender, 1)
    thread.forget(sender)
    store.opened.set()
    await drained(thread)
    assert told == [1]


async def test_properties_count_as_the_body_does(make: Make, store: Store) -> None:
    """250 properties of 240 characters each are 60 kB, with an empty body."""
    thread = make(queue_bytes=60_000)
    store.opened.clear()
    properties = {f"k{number}": "v" * 240 for number in range(250)}
    assert not thread.append(message(**properties), ["$upstream"], Sender([]), 1)
