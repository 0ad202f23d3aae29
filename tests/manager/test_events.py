"""Events: who is told what, bounded queues, and the streams on both sockets."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from leafward.errors import Busy
from leafward.manager.daemon import Manager
from leafward.manager.events import KEPT, MOST_OF_ONE, QUEUE, Events
from leafward.store.home import Home
from leafward.wire.server_sent_events import Decoder, Event

PATIENCE = 10.0


@pytest.fixture
def events(clock: Any) -> Events:
    return Events(clock)


async def take(subscription: Any, count: int) -> list[Event]:
    async with asyncio.timeout(PATIENCE):
        return [await anext(subscription) for _ in range(count)]


async def test_each_subscriber_is_told_in_order(events: Events) -> None:
    with events.subscribe("a") as first, events.subscribe("b") as second:
        events.publish("module", module="modA", change="added")
        events.publish("warning", code="x", text="y")
        for subscription in (first, second):
            assert [event.kind for event in await take(subscription, 2)] == ["module", "warning"]
        assert len(events) == 2
    assert len(events) == 0


async def test_a_newcomer_may_read_what_was_before(events: Events) -> None:
    for number in range(KEPT + 10):
        events.publish("module", module=str(number))
    with events.subscribe("a", recent=True) as subscription:
        subscription.end()
        seen = [event.number async for event in subscription]
    assert seen == list(range(11, KEPT + 11))


async def test_a_slow_subscriber_is_told_that_it_is_lost_and_nobody_waits(events: Events) -> None:
    with events.subscribe("slow") as slow, events.subscribe("quick") as quick:
        for _ in range(QUEUE + 1):
            events.publish("warning")
            assert len(await take(quick, 1)) == 1
        assert [event.kind async for event in slow] == ["lost"]
        assert len(events) == 1


async def test_one_owner_cannot_take_every_place(events: Events) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_OF_ONE):
            stack.enter_context(events.subscribe("module modA"))
        with pytest.raises(Busy, match="too many"):
            events.subscribe("module modA")
        stack.enter_context(events.subscribe("module modB"))
    with events.subscribe("module modA"):
        pass


async def test_the_end_ends_every_subscription(events: Events) -> None:
    with events.subscribe("a") as subscription:
        waiting = asyncio.ensure_future(anext(subscription, None))
        await asyncio.sleep(0)
        events.close()
        assert await waiting is None


@contextlib.asynccontextmanager
async def stream(socket: Path, **query: str) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a socket, from when the manager has begun to tell."""
    connector = aiohttp.UnixConnector(path=str(socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get("http://manager/events", params={"api-version": "2022-08-03", **query}) as answer,
    ):
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert await answer.content.readuntil(b"\n\n") == b": here\n\n"
        yield _events(answer)


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[Event]:
    decoder = Decoder()
    async for piece in answer.content.iter_any():
        for event in decoder.receive(piece):
            yield event


async def _next(events: AsyncIterator[Event]) -> Event:
    async with asyncio.timeout(PATIENCE):
        return await anext(events)


async def test_the_operator_is_told_everything(manager: Manager, home: Home, program: Any) -> None:
    operator = await program()
    async with stream(home.management_socket) as events:
        await operator.management("POST", "/modules", {"name": "modB"})
        assert (await _next(events)).facts == {"module": "modB", "change": "added"}
        await operator.management("DELETE", "/modules/modB")
        assert (await _next(events)).facts == {"module": "modB", "change": "removed"}
        await manager.rotation.renew("hub", "it is due")
        assert (await _next(events)).facts["state"] == "started"
        told = await _next(events)
        assert (told.kind, told.facts["name"]) == ("certificate", "hub_server")
    async with stream(home.management_socket, recent="true", follow="false") as events:
        kinds = [event.kind async for event in events]
    assert kinds == ["module", "module", "rotation", "certificate"]


async def test_a_stranger_at_the_workload_socket_is_told_of_the_trust_bundle_alone(
    manager: Manager, home: Home
) -> None:
    async with stream(home.workload_socket, recent="true") as events:
        await manager.rotation.renew("workload", "it is due")
        manager.standing.events.publish("trust-bundle", roots=["ab"])
        told = await _next(events)
        assert (told.kind, told.facts) == ("trust-bundle", {"roots": ["ab"]})


async def test_a_module_is_told_of_its_own_certificates_and_the_hub_of_its_own(
    manager: Manager, home: Home, clock: Any
) -> None:
    """This very process is modA; certificates of the hub and of modB are not for it."""
    manager.standing.modules.add("modA")
    import os

    generation = manager.standing.modules.get("modA").generation_id
    manager.callers.attach(os.getpid(), "modA", generation, now=clock())
    for name in ("modA", "modB"):
        manager.standing.held.record(name, manager.standing.hub.certificate)
    async with stream(home.workload_socket) as events:
        await manager.rotation.renew("workload", "it is due")
        told = await _next(events)
        assert (told.kind, told.facts["name"], told.facts["reason"]) == ("certificate", "modA", "issuer-changed")
        manager.callers.detach_module("modA")
        manager.standing.events.publish("certificate", name="modA")
        manager.standing.events.publish("trust-bundle", roots=[])
        assert (await _next(events)).kind == "trust-bundle"


async def test_a_stream_ends_with_the_manager(home: Home, clock: Any, install: Any) -> None:
    install()
    manager = Manager(home, clock=clock)
    await manager.start()
    async with stream(home.management_socket) as events:
        await asyncio.wait_for(manager.close(), PATIENCE)
        with pytest.raises((StopAsyncIteration, aiohttp.ClientError)):
            await _next(events)


async def test_who_goes_is_not_counted_any_more(manager: Manager, home: Home) -> None:
    async with stream(home.management_socket):
        assert len(manager.standing.events) == 1
    async with asyncio.timeout(PATIENCE):
        while len(manager.standing.events):
            await asyncio.sleep(0.005)
