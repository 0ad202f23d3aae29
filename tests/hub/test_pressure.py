"""Publishers wait for subscribers that are here and slow: nothing is lost between them, and nobody waits for ever.

publisher --QoS 1--> hub: half of the queue is full -> set aside, not acknowledged -> not read from
                          a quarter, or `subscriber_wait` seconds -> goes on
"""

from collections import deque
from pathlib import Path

import pytest

from leafward.hub.incoming import MOST_ASIDE
from leafward.hub.link import Hold
from leafward.hub.settings import Limits
from leafward.wire.mqtt.packets import Packet, Puback, Publish, Pubrec
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.hub.plain_world import Talker, World


def small(**more: int) -> Limits:
    """Ten in flight, forty may wait."""
    return Limits(queued_messages=40, plain_inflight=10, **more)


def burst(client: Talker, topic: str, first: int, count: int, qos: int = 1) -> list[Packet]:
    """Messages with the ids and payloads from `first` on, whatever the hub says meanwhile; what comes back."""
    numbers = range(first, first + count)
    return client.say(*(Publish(topic, b"%d" % number, qos, packet_id=number) for number in numbers))


def read(client: Talker, waiting: deque[Publish], count: int) -> list[bytes]:
    """The subscriber acknowledges so many of what has come to it; their payloads."""
    taken: list[Publish] = []
    while waiting and len(taken) < count:
        taken.append(waiting.popleft())
        waiting.extend(packet for packet in client.acknowledge(taken[-1]) if isinstance(packet, Publish))
    return [message.payload for message in taken]


def patience(world: World) -> None:
    """As long as publishers wait."""
    world.pass_time(5)
    world.pass_time(0)


@pytest.mark.parametrize(("level", "count"), [(4, 20_000), (5, 2_000)])
def test_a_fast_publisher_and_a_slow_subscriber(tmp_path: Path, level: int, count: int) -> None:
    """20,000 messages, 50 at each read, against 7 at each acknowledgement: all come, in order, in bounded memory."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast", level), world.client("slow", level)
    slow.subscribe("t", qos=1)
    sent, got, most, aside = 0, [], 0, 0
    waiting: deque[Publish] = deque()
    acknowledged: list[Packet] = []
    while len(got) < count:
        if sent < count and not fast.wire.holds & Hold.SUBSCRIBER_SLOW:
            acknowledged += burst(fast, "t", sent + 1, 50)
            sent += 50
        waiting.extend(slow.messages())
        got += read(slow, waiting, 7)
        world.pass_time(0)
        session = world.broker.find("slow")
        assert session is not None
        most = max(most, len(session.flow.waiting))
        aside = max(aside, sent - len(got) - len(session.flow.waiting))
        acknowledged += fast.inbox()
    assert got == [b"%d" % number for number in range(1, count + 1)]
    assert acknowledged == [Puback(number) for number in range(1, count + 1)]
    assert most <= 21
    assert aside <= MOST_ASIDE + 50 + 10
    assert not world.metrics.dropped
    assert world.broker.room.used == 0
    world.close()


def test_who_stops_reading_for_good(tmp_path: Path) -> None:
    """The publisher waits once, then goes on; the newest is dropped, MQTT 5 hears 0x97, and others got everything."""
    world = World(tmp_path, limits=small())
    fast, dead, other = world.client("fast", 5), world.client("dead"), world.client("other")
    dead.subscribe("t", qos=1)
    other.subscribe("u", qos=0)
    assert len(burst(fast, "t", 1, 40)) == 31  # ten in flight, half of the queue, and the one that was too much
    assert world.metrics.measured["publishers_waiting"]() == 1
    assert fast.publish("u", b"QoS 0 is not set aside") == []
    assert len(other.messages()) == 1
    world.pass_time(4)
    assert fast.inbox() == []
    patience(world)
    assert fast.inbox() == [Puback(number) for number in range(32, 41)]
    assert world.metrics.measured["publishers_waiting"]() == 0
    answers = burst(fast, "t", 41, 100)
    assert answers[:10] == [Puback(number) for number in range(41, 51)]
    refused = [packet for packet in answers if isinstance(packet, Puback) and packet.reason == Reason.QUOTA_EXCEEDED]
    assert len(refused) == 90
    assert refused[0].properties == Properties(reason_string="too much waits for everybody who gets it")
    assert world.metrics.dropped == {"queue-full": 90}
    assert fast.wire.holds == Hold(0)
    world.close()


def test_who_comes_back_to_life(tmp_path: Path) -> None:
    """A subscriber that was given up is waited for again, once its queue is down."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast"), world.client("slow")
    slow.subscribe("t", qos=1)
    burst(fast, "t", 1, 31)
    patience(world)
    waiting = deque(slow.messages())
    assert len(read(slow, waiting, 40)) == 31
    assert len(burst(fast, "t", 32, 40)) == 31
    assert world.metrics.measured["publishers_waiting"]() == 1
    world.close()


def test_who_takes_a_little(tmp_path: Path) -> None:
    """One that has got further in that time is not given up: the publisher goes on by as much as it has taken."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast"), world.client("slow")
    slow.subscribe("t", qos=1)
    burst(fast, "t", 1, 60)
    fast.inbox()
    waiting = deque(slow.messages())
    for _ in range(3):
        read(slow, waiting, 4)
        waiting.extend(slow.messages())
        patience(world)
        assert len(fast.inbox()) == 4
    assert not world.metrics.dropped
    world.close()


def test_bytes_count(tmp_path: Path) -> None:
    """Few and large messages: half of `queued_bytes` is the mark, in flight or not."""
    world = World(tmp_path, limits=Limits(queued_bytes=40_000))
    fast, slow = world.client("fast"), world.client("slow")
    slow.subscribe("t", qos=1)
    assert len(fast.say(*(Publish("t", bytes(4_000), 1, packet_id=number) for number in range(1, 25)))) == 5
    assert fast.wire.holds == Hold.SUBSCRIBER_SLOW
    read(slow, deque(slow.messages()), 3)
    world.pass_time(0)
    assert len(fast.inbox()) > 0
    assert not world.metrics.dropped
    world.close()


def test_an_absent_session_is_not_waited_for(tmp_path: Path) -> None:
    """What is full is full: MQTT 5 hears 0x97, 3.1.1 has no word for it, and both go on."""
    world = World(tmp_path, limits=small())
    away = world.client("away", clean=False)
    away.subscribe("t", qos=1)
    away.drop()
    new, old = world.client("new", 5), world.client("old")
    answers = burst(new, "t", 1, 45)
    reasons = {packet.packet_id: packet.reason for packet in answers if isinstance(packet, Puback)}
    full = Reason.QUOTA_EXCEEDED
    assert reasons == {number: full if number > 40 else Reason.SUCCESS for number in range(1, 46)}
    assert old.publish("t", qos=1) == [Puback(1)]
    assert world.metrics.dropped == {"queue-full": 6}
    world.close()


def test_one_of_two_has_room(tmp_path: Path) -> None:
    """A message that one subscriber takes is taken."""
    world = World(tmp_path, limits=small())
    away = world.client("away", clean=False)
    away.subscribe("t", qos=1)
    away.drop()
    fast, here = world.client("fast", 5), world.client("here")
    here.subscribe("#", qos=0)
    assert {packet.reason for packet in burst(fast, "t", 1, 60) if isinstance(packet, Puback)} == {Reason.SUCCESS}
    assert len(here.messages()) == 60
    assert world.metrics.dropped == {"queue-full": 20}
    world.close()


def test_telemetry_goes_on(tmp_path: Path) -> None:
    """What a waiting publisher says beside plain topics is taken at once."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast"), world.client("slow")
    slow.subscribe("t", qos=1)
    burst(fast, "t", 1, 60)
    assert fast.publish("devices/fast/messages/events/", b"21.5", qos=1) == [Puback(1)]
    assert fast.wire.holds == Hold(0)
    assert [taken.body for taken in world.intake.taken] == [b"21.5"]
    world.close()


def test_who_sends_telemetry_is_always_read(tmp_path: Path) -> None:
    """However much of its other messages is set aside: then the newest of these is dropped."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast", 5), world.client("slow")
    slow.subscribe("t", qos=1)
    fast.publish("devices/fast/messages/events/", b"21.5", qos=1)
    answers = burst(fast, "t", 1, 31 + MOST_ASIDE + 3)
    assert [packet.reason for packet in answers[-4:] if isinstance(packet, Puback)] == [0, 0x97, 0x97, 0x97]
    assert fast.wire.holds == Hold(0)
    assert world.metrics.dropped == {"queue-full": 3}
    world.close()


def test_other_publishers_go_on(tmp_path: Path) -> None:
    """Only who feeds the slow one waits."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast"), world.client("slow")
    other, reader = world.client("other"), world.client("reader")
    slow.subscribe("t", qos=1)
    reader.subscribe("u", qos=1)
    burst(fast, "t", 1, 60)
    assert len(burst(other, "u", 1, 20)) == 20
    world.close()


def test_a_slow_subscriber_leaves(tmp_path: Path) -> None:
    """Then nobody waits for it."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast"), world.client("slow")
    slow.subscribe("t", qos=1)
    burst(fast, "t", 1, 60)
    slow.drop()
    world.pass_time(0)
    assert len(fast.inbox()) == 60 - 31
    assert world.metrics.measured["publishers_waiting"]() == 0
    world.close()


def test_a_waiting_publisher_leaves(tmp_path: Path) -> None:
    """What was set aside was not acknowledged; a message of QoS 2 comes again and is no repetition."""
    world = World(tmp_path, limits=small())
    fast, slow = world.client("fast", clean=False), world.client("slow")
    slow.subscribe("t", qos=2)
    assert len(burst(fast, "t", 1, 33, qos=2)) == 31
    fast.drop()
    assert world.metrics.measured["publishers_waiting"]() == 0
    slow.drop()
    fast = world.client("fast", clean=False)
    assert fast.say(Publish("t", b"33", 2, False, True, 33)) == [Pubrec(33)]
    patience(world)
    world.close()


def test_nobody_waits_for_itself(tmp_path: Path) -> None:
    """A client that gets what it publishes: its acknowledgements are among what it sends."""
    world = World(tmp_path, limits=small())
    both = world.client("both")
    both.subscribe("t", qos=1)
    answers = burst(both, "t", 1, 45)
    assert len([packet for packet in answers if isinstance(packet, Puback)]) == 45
    assert world.metrics.measured["publishers_waiting"]() == 0
    world.close()
