"""Plain topics, from publisher to subscriber: every QoS in both versions of MQTT, in order, once for each client."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from leafward.hub.feeds import FeedSpec
from leafward.hub.sessions import Session
from leafward.hub.settings import Limits
from leafward.store.messages import Message
from leafward.wire.mqtt.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel, Unsuback, Unsubscribe
from leafward.wire.mqtt.properties import Properties
from tests.hub.plain_world import NOW, World

LEVELS = pytest.mark.parametrize("level", [4, 5], ids=["3.1.1", "5"])


@LEVELS
@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_the_lower_qos_is_delivered(world: World, level: int, published: int, granted: int) -> None:
    """a --QoS p--> t, b subscribed with QoS g: it comes with min(p, g) (3.8.4-6)."""
    b = world.client("b", level)
    assert b.subscribe("t", qos=granted).return_codes == (granted,)
    world.client("a", level).publish("t", b"hello", qos=published)
    (message,) = b.messages()
    assert (message.topic, message.payload, message.qos) == ("t", b"hello", min(published, granted))
    assert not message.retain
    assert not message.dup


@LEVELS
def test_acknowledgements_to_the_publisher(world: World, level: int) -> None:
    """QoS 1: PUBACK. QoS 2: PUBREC, PUBREL, PUBCOMP; sent again with DUP it is not another message (4.3.3)."""
    a, b = world.client("a", level), world.client("b", level)
    b.subscribe("t")
    assert a.publish("t", qos=1) == [Puback(1)]
    assert a.publish("t", qos=2) == [Pubrec(2)]
    assert a.say(Publish("t", b"x", 2, dup=True, packet_id=2)) == [Pubrec(2)]
    assert a.say(Pubrel(2)) == [Pubcomp(2)]
    assert len(b.messages()) == 2
    assert a.say(Publish("t", b"x", 2, packet_id=2)) == [Pubrec(2)]
    assert len(b.messages()) == 1


@LEVELS
def test_qos_2_to_the_subscriber(world: World, level: int) -> None:
    """PUBLISH, PUBREC -> PUBREL, PUBCOMP: the id is free then, and no sooner."""
    a, b = world.client("a", level), world.client("b", level)
    b.subscribe("t")
    a.publish("t", qos=2)
    (message,) = b.messages()
    assert message.packet_id
    flow = world.broker.find("b").flow  # type: ignore[union-attr]
    assert b.say(Pubrec(message.packet_id)) == [Pubrel(message.packet_id)]
    assert b.say(Pubrec(message.packet_id)) == [Pubrel(message.packet_id)]
    assert flow.in_flight
    assert b.say(Pubcomp(message.packet_id)) == []
    assert not flow.in_flight


def test_acknowledgements_that_nobody_waits_for(world: World) -> None:
    """They do no harm; a client of MQTT 5 is told that the id means nothing."""
    a = world.client("a", 4)
    assert a.say(Puback(9), Pubrec(9), Pubcomp(9), Pubrel(9)) == [Pubrel(9), Pubcomp(9)]
    b = world.client("b", 5)
    assert b.say(Puback(9), Pubrec(9), Pubcomp(9), Pubrel(9)) == [Pubrel(9, 0x92), Pubcomp(9, 0x92)]
    assert b.wire.ended is None


def test_a_client_that_refuses_a_message(world: World) -> None:
    """MQTT 5: PUBACK and PUBREC with a reason of 0x80 or more end the matter; no PUBREL follows (4.3.3)."""
    a, b = world.client("a", 5), world.client("b", 5)
    b.subscribe("t")
    a.publish("t", qos=1)
    a.publish("t", qos=2)
    one, two = b.messages()
    assert b.say(Puback(one.packet_id or 0, 0x99), Pubrec(two.packet_id or 0, 0x99)) == []
    assert not world.broker.find("b").flow.in_flight  # type: ignore[union-attr]


def test_one_message_for_overlapping_subscriptions(world: World) -> None:
    """t/+ QoS 0, t/# QoS 2, t/a QoS 1: one message at the highest (3.3.5-1)."""
    b = world.client("b")
    b.subscribe("t/+", qos=0)
    b.subscribe("t/#", qos=2)
    b.subscribe("t/a", qos=1)
    world.client("a").publish("t/a", qos=2)
    (message,) = b.messages()
    assert message.qos == 2


def test_in_order_whatever_the_window(world: World) -> None:
    """20 messages to a client that takes 3 at a time: in their order, the next as each is acknowledged."""
    b = world.client("b", 5, properties=Properties(receive_maximum=3))
    b.subscribe("t", qos=1)
    a = world.client("a")
    for number in range(20):
        a.publish("t", b"%d" % number, qos=1)
    got, waiting = [], b.messages()
    assert len(waiting) == 3
    while waiting:
        got.append(waiting.pop(0))
        waiting += [packet for packet in b.acknowledge(got[-1]) if isinstance(packet, Publish)]
        assert len(waiting) <= 3
    assert [message.payload for message in got] == [b"%d" % number for number in range(20)]


@LEVELS
def test_a_session_that_lasts_gets_what_came_meanwhile(world: World, level: int) -> None:
    """b is away: QoS 1 and 2 wait in order, QoS 0 does not; what was in flight comes again with DUP, first."""
    lasting = None if level == 4 else Properties(session_expiry_interval=100)
    a, b = world.client("a", level), world.client("b", level, clean=False, properties=lasting)
    b.subscribe("t")
    a.publish("t", b"in flight", qos=1)
    (first,) = b.messages()
    b.drop()
    for qos in (0, 1, 2):
        a.publish("t", b"%d" % qos, qos=qos)
    b = world.client("b", level, clean=False, present=True, properties=lasting)
    again, one, two = b.messages()
    assert (again.payload, again.packet_id, again.dup) == (b"in flight", first.packet_id, True)
    assert [(one.payload, one.qos, one.dup), (two.payload, two.qos, two.dup)] == [(b"1", 1, False), (b"2", 2, False)]


def test_a_released_message_is_released_again(world: World) -> None:
    """PUBREC has come, PUBCOMP has not: on the next connection PUBREL, not the message (4.4.0-1)."""
    a, b = world.client("a"), world.client("b", clean=False)
    b.subscribe("t")
    a.publish("t", qos=2)
    (message,) = b.messages()
    b.say(Pubrec(message.packet_id or 0))
    b.drop()
    b = world.client("b", clean=False, present=True)
    assert b.inbox() == [Pubrel(message.packet_id or 0)]
    b.say(Pubcomp(message.packet_id or 0))
    a.publish("t", qos=2)
    assert b.messages()[0].packet_id != message.packet_id


def test_a_smaller_window_on_the_next_connection(world: World) -> None:
    """Five in flight, then a receive maximum of 2: two come again, the others as these are acknowledged (3.3.4-9)."""
    lasting = Properties(session_expiry_interval=100)
    a, b = world.client("a"), world.client("b", 5, clean=False, properties=lasting)
    b.subscribe("t", qos=1)
    for number in range(5):
        a.publish("t", b"%d" % number, qos=1)
    b.drop()
    a.publish("t", b"5", qos=1)
    b = world.client("b", 5, clean=False, properties=Properties(session_expiry_interval=100, receive_maximum=2))
    got, waiting = [], b.messages()
    assert [message.payload for message in waiting] == [b"0", b"1"]
    while waiting:
        got.append(waiting.pop(0))
        waiting += [packet for packet in b.acknowledge(got[-1]) if isinstance(packet, Publish)]
        assert len(waiting) <= 2
    assert [(message.payload, message.dup) for message in got] == [(b"%d" % n, n < 5) for n in range(6)]


class Source:
    """A queue of the message store for everybody."""

    def feeds(self, session: Session) -> Iterable[FeedSpec]:
        if (granted := session.granted("devices/b/messages/devicebound/")) is not None:
            yield FeedSpec("devicebound/b", granted, lambda message: f"devices/b/messages/devicebound/{message.id}")


def test_a_feed_beside_a_flood(world: World) -> None:
    """Plain messages fill the window and the queue; the message store's come all the same, both to their end."""
    world.broker.sources.append(Source())
    world.thread.stored = [Message("b", None, None, {}, {}, b"stored", NOW, number) for number in range(1, 21)]
    b = world.client("b", 5, properties=Properties(receive_maximum=4))
    a = world.client("a")
    b.subscribe("t", qos=1)
    for _ in range(50):
        a.publish("t", b"plain", qos=1)
    got, waiting = [], b.messages()
    b.subscribe("devices/b/messages/devicebound/#")
    waiting += b.messages()
    while waiting:
        got.append(waiting.pop(0))
        waiting += [packet for packet in b.acknowledge(got[-1]) if isinstance(packet, Publish)]
        assert len(waiting) <= 4
    assert [message.payload for message in got].count(b"plain") == 50
    assert [m.topic.rpartition("/")[2] for m in got if m.payload == b"stored"] == [str(n) for n in range(1, 21)]
    assert [message.payload for message in got[:30]].count(b"stored") >= 8
    assert world.thread.stored == []


def test_too_much_for_one_queue(tmp_path: Path) -> None:
    """Three may wait: the newest is dropped and counted, the others come."""
    world = World(tmp_path, limits=Limits(queued_messages=3, plain_inflight=1))
    a, b = world.client("a"), world.client("b")
    b.subscribe("t", qos=1)
    for number in range(6):
        answers = a.publish("t", b"%d" % number, qos=1)
        world.pass_time(5)  # longer it does not wait for a client that does not read
        assert answers + a.inbox() == [Puback(number + 1)]
    got, waiting = [], b.messages()
    while waiting:
        got.append(waiting.pop(0))
        waiting += [packet for packet in b.acknowledge(got[-1]) if isinstance(packet, Publish)]
    assert [message.payload for message in got] == [b"0", b"1", b"2", b"3"]
    assert world.metrics.dropped == {"queue-full": 2}
    assert world.broker.room.used == 0
    world.close()


def test_bytes_of_all_queues(tmp_path: Path) -> None:
    """What may wait in all is shared, a payload for two counts once; what is gone makes room."""
    world = World(tmp_path, limits=Limits(queued_bytes_all=3000, plain_inflight=1))
    a, b, c = world.client("a"), world.client("b"), world.client("c")
    for client in (b, c):
        client.subscribe("t", qos=1)
    for _ in range(4):
        a.publish("t", bytes(700), qos=1)
    assert world.metrics.dropped["queue-full"] == 4
    assert world.broker.room.used == 2 * (701 + 2 * 256)
    b.drop()
    c.drop()
    assert world.broker.room.used == 0
    world.close()


def test_a_slow_reader_misses_qos_0(world: World) -> None:
    """Whoever does not read gets no QoS 0; QoS 1 waits for it."""
    a, b = world.client("a"), world.client("b")
    b.subscribe("t", qos=1)
    b.wire.writable = False
    a.publish("t", b"0")
    a.publish("t", b"1", qos=1)
    assert b.messages() == []
    b.wire.writable = True
    b.conversation.writable_again()
    assert [message.payload for message in b.messages()] == [b"1"]
    assert world.metrics.dropped == {"slow-reader": 1}


@LEVELS
def test_unsubscribed(world: World, level: int) -> None:
    """Nothing more comes; MQTT 5 says whether there was something to end."""
    b = world.client("b", level)
    b.subscribe("t", "u")
    (answer,) = b.say(Unsubscribe(7, ("t", "never")))
    assert answer == (Unsuback(7) if level == 4 else Unsuback(7, (0, 0x11)))
    a = world.client("a")
    a.publish("t")
    a.publish("u")
    assert [message.topic for message in b.messages()] == ["u"]
