"""Forwarding: at least once, in order, whatever fails between the store and the broker."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import StoreError
from leafward.hub import upstream_runner
from leafward.hub.upstream_credentials import UpstreamCredentials
from leafward.hub.upstream_terms import LinkTerms
from leafward.store.messages import REFUSED, UPSTREAM
from leafward.wire.mqtt.packets import Connack, Publish
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import HOST, PATIENCE
from tests.hub.upstream_world import World, broker_of, by_device, world_of

# One loop is enough here: what the loops do differently is in the hub's own tests of connections.
pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


@pytest.fixture
async def world(tmp_path: Path, server: Held, root: Held) -> AsyncIterator[World]:
    async with broker_of(tmp_path, server, root) as broker, world_of(tmp_path, broker) as world:
        yield world


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


async def test_everything_arrives_in_order_and_stays_readable(world: World) -> None:
    """What waited before, and what comes while it runs; acknowledged in the store, and `messages` shows it still."""
    await world.put(*numbered(700))
    world.run()
    await world.put(b"700", b"701")
    await world.drained()
    assert world.broker.bodies() == numbered(702)
    assert [packet.topic for packet in world.broker.received[:1]] == ["plant/leaf1"]
    assert len(world.messages.read()) == 702
    assert world.metrics.upstream_forwarded == 702
    assert world.forwarder is not None
    assert world.forwarder.in_flight == 0


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_over_cut_connections(world: World, seed: int) -> None:
    """5 devices; the broker hangs up or is reset at every 20th message or so, acknowledged or not."""
    dice = random.Random(seed)

    def verdict(_packet: Publish) -> int | str | None:
        roll = dice.random()
        if roll < 0.02:
            world.broker.cut()
        return "hang up" if roll > 0.97 else 0

    world.broker.verdict = verdict
    world.run(world.table(window=50, attempts=1000))
    for first in range(0, 200, 50):
        for device in range(5):
            await world.put(*numbered(200)[first : first + 50], device=f"leaf{device}")
    await world.drained()
    assert by_device(world.broker.received) == {f"plant/leaf{device}": list(range(200)) for device in range(5)}
    assert world.metrics.upstream_connections > 5
    assert world.aside() == []


async def test_a_broker_that_is_not_there_yet(world: World) -> None:
    """Messages wait; the error is told; it comes, and gets them."""
    await world.broker.stop()
    upstream = world.run()
    await world.put(b"1", b"2")
    async with asyncio.timeout(PATIENCE):
        while upstream.state.last_error is None:
            await asyncio.sleep(0.005)
    assert f"upstream {HOST}:{world.broker.port} cannot be reached" in upstream.state.last_error
    assert upstream.state.connected_since is None
    await world.broker.start()
    await world.drained()
    assert world.broker.bodies() == [b"1", b"2"]
    assert upstream.state.connected_since is not None


async def test_a_poison_message_is_set_aside(world: World) -> None:
    """MQTT 3.1.1: the broker hangs up whenever one message comes. It is set aside, the others arrive, each once more
    at most, and what was set aside can be sent again."""
    world.broker.verdict = lambda packet: "hang up" if packet.payload == b"poison" else 0
    await world.put(*numbered(5), b"poison", *numbered(300)[5:])
    world.run(world.table(version="3.1.1", attempts=3))
    await world.drained()
    arrived = [int(body) for body in world.broker.bodies() if body != b"poison"]
    assert list(dict.fromkeys(arrived)) == list(range(300))
    assert world.aside() == [b"poison"]
    # Once among others, and three times alone.
    assert world.broker.bodies().count(b"poison") == 4
    assert world.metrics.upstream_refused == 1
    world.broker.verdict = lambda _packet: 0
    (message,) = world.messages.pending(REFUSED)
    world.messages.move(REFUSED, UPSTREAM, [message.id or 0])
    assert world.forwarder is not None
    world.forwarder.look_again()
    await world.drained()
    assert world.broker.bodies()[-1] == b"poison"


async def test_a_poison_message_blocks_no_better_priority(world: World) -> None:
    """Alarms that come while a suspect is tried alone arrive too, and the suspect is found all the same."""
    world.broker.verdict = lambda packet: "hang up" if packet.payload == b"poison" else 0
    await world.put(b"poison", *numbered(20))
    world.run(world.table(version="3.1.1", attempts=4))
    for number in range(10):
        await world.put(b"alarm %d" % number, queue="$upstream#0")
    await world.drained("$upstream#0")
    await world.drained()
    assert world.aside() == [b"poison"]
    assert {b"alarm %d" % number for number in range(10)} | set(numbered(20)) < set(world.broker.bodies())


async def test_a_refusal_of_mqtt_5(world: World) -> None:
    """PUBACK with a reason: the message is set aside at once, on the same connection."""
    world.broker.verdict = lambda packet: Reason.PAYLOAD_FORMAT_INVALID if packet.payload == b"1" else 0
    await world.put(*numbered(3))
    world.run()
    await world.drained()
    assert world.broker.bodies() == numbered(3)
    assert (world.aside(), len(world.broker.connects)) == ([b"1"], 1)


async def test_a_broker_that_is_busy(world: World) -> None:
    """Quota exceeded is about now: the connection is made anew, nothing is set aside, the order stays."""
    refusals = itertools.count()
    world.broker.verdict = lambda packet: Reason.QUOTA_EXCEEDED if packet.payload == b"1" and next(refusals) < 2 else 0
    await world.put(*numbered(4))
    world.run(world.table(window=1))
    await world.drained()
    assert world.broker.bodies() == [b"0", b"1", b"1", b"1", b"2", b"3"]
    assert world.aside() == []


async def test_what_the_broker_takes(world: World) -> None:
    """CONNACK bounds the messages in flight and the size of a packet; what is larger is set aside and not sent."""
    world.broker.welcome = Connack(properties=Properties(receive_maximum=3, maximum_packet_size=200))
    await world.put(*numbered(40), bytes(300), b"40")
    world.run()
    await world.drained()
    assert world.broker.bodies() == numbered(41)
    assert world.broker.most_in_flight <= 3
    assert world.aside() == [bytes(300)]


async def test_a_message_that_fits_in_no_packet(world: World) -> None:
    """Told and set aside; an earlier version took it."""
    await world.put(b"1", properties={f"n{number}": "" for number in range(200)})
    await world.put(b"2")
    world.run()
    await world.drained()
    assert (world.broker.bodies(), world.aside()) == ([b"2"], [b"1"])


async def test_better_priorities_first(world: World) -> None:
    """10 alarms behind 40 messages go first; within a priority in order."""
    await world.put(*numbered(40))
    await world.put(*(b"a%d" % number for number in range(10)), queue="$upstream#0")
    await world.put(*(b"b%d" % number for number in range(10)), queue="$upstream#5")
    world.run(world.table(window=10))
    await world.drained()
    first = [b"a%d" % number for number in range(10)] + [b"b%d" % number for number in range(10)]
    assert world.broker.bodies() == [*first, *numbered(40)]


async def test_what_is_over_is_not_sent(world: World) -> None:
    """It waited for longer than its route lets it."""
    await world.put(b"short", seconds=10)
    await world.put(b"long", seconds=1000)
    world.now += timedelta(seconds=60)
    world.run()
    await world.broker.until(lambda: world.broker.received)
    await world.store.drain()
    assert world.broker.bodies() == [b"long"]


class Changed:
    """Credentials whose terms a test changes to what no setting allows."""

    where = ""

    def __init__(self, world: World, renew_after: float | None = None, **terms: Any) -> None:
        self._own = UpstreamCredentials(world.table(), world.folder, "gateway-1", tuple)
        self._renew_after = renew_after
        self._terms = terms

    def read(self, now: Any) -> Any:
        found = self._own.read(now)
        terms: LinkTerms = replace(found.terms, **self._terms)
        return replace(found, terms=terms, renew_after=self._renew_after)


async def test_a_token_is_renewed_without_sending_anything_twice(world: World) -> None:
    """The connection is replaced before its token ends, once what is in flight is acknowledged."""
    world.run(credentials=Changed(world, renew_after=0.03))
    for number in range(60):
        await world.put(b"%d" % number)
    await world.broker.until(lambda: len(world.broker.connects) > 2)
    await world.drained()
    assert world.broker.bodies() == numbered(60)
    assert world.broker.goodbyes >= 2


async def test_a_broker_that_acknowledges_nothing(world: World) -> None:
    """The connection stands, and no acknowledgement comes: it is made anew."""
    answers = itertools.count()
    world.broker.verdict = lambda _packet: 0 if next(answers) > 3 else None
    upstream = world.run(credentials=Changed(world, acknowledge_timeout=0.1))
    await world.put(*numbered(2))
    await world.drained()
    assert "upstream does not acknowledge" in (upstream.state.last_error or "")
    assert by_device(world.broker.received) == {"plant/leaf1": [0, 1]}


async def test_a_broker_that_is_silent(world: World) -> None:
    """A PING that is not answered ends the connection: a cut cable says nothing."""
    world.broker.answers_pings = False
    upstream = world.run(credentials=Changed(world, keep_alive=0.1))
    await world.broker.until(lambda: len(world.broker.connects) > 1)
    assert "upstream does not answer" in (upstream.state.last_error or "")


async def test_pings_keep_an_idle_connection(world: World) -> None:
    """Answered ones."""
    world.run(credentials=Changed(world, keep_alive=0.05))
    await world.broker.until(lambda: world.broker.connects)
    await asyncio.sleep(0.3)
    await world.put(b"1")
    await world.drained()
    assert len(world.broker.connects) == 1


async def test_a_server_that_nobody_vouches_for(world: World) -> None:
    """Nothing is sent to it, and the setting is named."""
    stranger = make("Somebody's Root", ca=True)
    (world.folder / "root.pem").write_bytes(stranger.pem())
    upstream = world.run()
    async with asyncio.timeout(PATIENCE):
        while upstream.state.last_error is None:
            await asyncio.sleep(0.005)
    assert "upstream's certificate is not trusted" in upstream.state.last_error
    assert "hub.upstream.trust" in upstream.state.last_error
    assert world.broker.connects == []


@pytest.mark.parametrize(
    ("version", "code", "why"),
    [("5", 0x87, "not authorized"), ("3.1.1", 5, "not authorised"), ("5", 1, "3.1.1 only")],
)
async def test_a_refused_login(world: World, version: str, code: int, why: str) -> None:
    """Told with what to change, and tried again."""
    world.broker.welcome = Connack(code)
    upstream = world.run(world.table(version=version))
    await world.broker.until(lambda: len(world.broker.connects) > 2)
    assert why in (upstream.state.last_error or "")
    world.broker.welcome = Connack()
    await world.put(b"1")
    await world.drained()


async def test_the_end_waits_for_acknowledgements(world: World) -> None:
    """Stopping: what is in flight has its time, then a goodbye; nothing is sent twice by the next start."""
    world.run()
    await world.put(*numbered(300))
    await world.stop()
    sent = len(world.broker.received)
    world.run()
    await world.drained()
    assert world.broker.bodies() == numbered(300)
    assert sent < 300 or world.broker.goodbyes == 1


async def test_a_disk_that_refuses_acknowledgements(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What upstream has and the store could not note comes twice; nothing is lost, and in the end all is noted."""
    monkeypatch.setattr(upstream_runner, "TICK", 0.02)
    acknowledge, refusals = world.messages.acknowledge, itertools.count()

    def full(*arguments: Any) -> None:
        if next(refusals) < 3:
            raise StoreError("the disk is full")
        acknowledge(*arguments)

    monkeypatch.setattr(world.messages, "acknowledge", full)
    world.run()
    await world.put(*numbered(20))
    await world.drained()
    assert by_device(world.broker.received) == {"plant/leaf1": list(range(20))}
    assert len(world.broker.received) > 20
    assert len(world.broker.connects) == 1


async def test_nobody_s_message_waits_for_a_lost_wake_up(world: World) -> None:
    """Messages one at a time, each after the last has gone: none stays behind."""
    world.run()
    for number in range(50):
        await world.put(b"%d" % number)
        await world.broker.until(lambda want=number + 1: len(world.broker.received) >= want)
    assert world.broker.bodies() == numbered(50)
