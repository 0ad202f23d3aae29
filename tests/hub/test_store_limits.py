"""The store's thread and its limits: room is made in each round, a sweep is small steps, a full store says so."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from leafward.hub.metrics import HubMetrics
from leafward.hub.peer import Peer
from leafward.hub.store_thread import StoreThread
from leafward.hub.telemetry import Intake
from leafward.store.messages import REFUSED, UPSTREAM, Message, MessageStore, StoreLimits
from leafward.wire.routes import Route, Router
from tests.hub.hub_clients import NOW, PATIENCE

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


class Sender:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.stored_tokens: list[int] = []
        self.errors: list[str] = []

    def stored(self, token: int) -> None:
        self.stored_tokens.append(token)

    def not_stored(self, _token: int, error: Exception) -> None:
        self.errors.append(str(error))

    def room_again(self) -> None: ...


@pytest.fixture
async def messages(tmp_path: Path) -> AsyncIterator[MessageStore]:
    with MessageStore.open(tmp_path / "messages.db") as store:
        yield store


def thread_of(messages: MessageStore, most: int, *, keep_waiting: bool = False) -> tuple[StoreThread, HubMetrics]:
    limits = StoreLimits(timedelta(days=1), most, keep_waiting=keep_waiting)
    metrics = HubMetrics()
    thread = StoreThread(messages, metrics, queue_bytes=10_000_000, batch_size=500, keep=limits, clock=lambda: NOW)
    return thread, metrics


def put(thread: StoreThread, sender: Sender, *numbers: int, seconds: int | None = None) -> None:
    for number in numbers:
        message = Message("leaf1", None, None, {}, {}, b"%d" % number, NOW - timedelta(hours=1))
        thread.append(message, {UPSTREAM: seconds}, sender, number)


async def drained(thread: StoreThread) -> None:
    async with asyncio.timeout(PATIENCE):
        await thread.drain()


async def test_the_oldest_go(messages: MessageStore) -> None:
    """5,000 at once into a store of 100: all acknowledged, the newest 100 are there, and what went is counted."""
    thread, metrics = thread_of(messages, 100)
    sender = Sender()
    put(thread, sender, *range(5000))
    await drained(thread)
    assert sender.stored_tokens == list(range(5000))
    assert [int(one.body) for one in messages.read()] == list(range(4900, 5000))
    assert metrics.store_dropped == {"full": 4900}


async def test_a_full_store_that_keeps_what_waits(messages: MessageStore) -> None:
    """Nothing is dropped and nothing is taken, until somebody has acknowledged something."""
    thread, metrics = thread_of(messages, 100, keep_waiting=True)
    sender = Sender()
    put(thread, sender, *range(101))
    await drained(thread)
    put(thread, sender, 101, 102)
    await drained(thread)
    assert sender.errors == ["the message store is full"] * 2
    for message in messages.pending(UPSTREAM, limit=50):
        thread.acknowledge(UPSTREAM, message.id or 0)
    await drained(thread)
    put(thread, sender, 103)
    await drained(thread)
    assert sender.stored_tokens == [*range(101), 103]
    assert len(sender.errors) == 2
    assert metrics.store_dropped == {}


async def test_a_sweep_lets_others_in_between(messages: MessageStore) -> None:
    """2,500 waits are over: three steps, and a message that comes meanwhile does not wait for all of them."""
    thread, metrics = thread_of(messages, 10_000)
    sender = Sender()
    put(thread, sender, *range(2500), seconds=60)
    await drained(thread)
    steps: list[int] = []
    step = messages.room.step

    def counted(*arguments: object) -> int:
        steps.append(len(sender.stored_tokens))
        return step(*arguments)  # type: ignore[arg-type]

    messages.room.step = counted  # type: ignore[method-assign]
    thread.sweep()
    thread.sweep()
    put(thread, sender, 2500)
    await drained(thread)
    assert len(steps) == 4
    assert steps[-1] == 2501
    assert metrics.store_dropped == {"expired": 2500}
    assert [int(one.body) for one in messages.pending(UPSTREAM)] == [2500]
    assert metrics.store_bytes > 100_000


async def test_a_message_is_set_aside_before_it_is_read(messages: MessageStore) -> None:
    """In one round: moved, then read."""
    thread, _ = thread_of(messages, 100)
    put(thread, Sender(), 1, 2)
    await drained(thread)
    first = messages.pending(UPSTREAM)[0]
    found: list[Message] = []
    thread.move(UPSTREAM, REFUSED, first.id or 0)
    thread.read(UPSTREAM, 0, 10, found.extend)
    await drained(thread)
    assert [message.body for message in found] == [b"2"]
    assert [message.body for message in messages.pending(REFUSED)] == [b"1"]


async def test_what_the_hub_itself_tells(messages: MessageStore) -> None:
    """A change of a twin goes where a route takes it, as telemetry does; where none does, it is nowhere."""
    thread, metrics = thread_of(messages, 100)
    routes = [Route.parse("FROM /twinChangeNotifications WHERE $body.reported.t > 1 INTO $upstream", priority=2)]
    intake = Intake(thread, Router(routes, 60), metrics, lambda: NOW)
    sender, peer = Sender(), Peer("leaf1", None, NOW, rests_on=())
    for token, (kind, body) in enumerate(
        [
            ("twinChangeNotifications", b'{"reported": {"t": 2}}'),
            ("twinChangeNotifications", b'{"reported": {"t": 1}}'),
            ("deviceLifecycleEvents", b"{}"),
        ]
    ):
        system = {"messageType": kind, "contentType": "application/json", "contentEncoding": "utf-8"}
        intake.take(peer, body, sender, token, output=None, properties={"opType": "updateTwin"}, system=system)
    await drained(thread)
    assert sorted(sender.stored_tokens) == [0, 1, 2]
    (message,) = messages.pending("$upstream#2")
    assert (message.properties, message.system["messageType"]) == ({"opType": "updateTwin"}, "twinChangeNotifications")
    assert messages.count() == 1
