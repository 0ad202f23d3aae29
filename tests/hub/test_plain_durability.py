"""What of plain topics outlives the hub: nothing that was acknowledged for a session that lasts is lost."""

from pathlib import Path

import pytest

from leafward.errors import StoreError
from leafward.hub.plain_policy import PlainPolicy
from leafward.hub.policy_settings import PolicyRule
from leafward.hub.session_file import _withdraw
from leafward.hub.settings import Limits
from leafward.store.plain_messages import PlainMessageStore
from leafward.wire.mqtt.packets import Packet, Puback, Publish, Pubrec, Subscribe
from leafward.wire.mqtt.properties import Properties
from tests.hub.plain_world import Talker, World


def on_disk(folder: Path) -> tuple[int, int, int]:
    """(messages, deliveries, retained messages) in the database."""
    with PlainMessageStore.open(folder / "plain.db") as store:
        return len(store.messages()), len(store.waiting()), len(store.retained())


def silent(talker: Talker, packet: Publish) -> list[Packet]:
    """What comes back before the disk has its turn."""
    talker.conversation.receive(packet)
    return talker.inbox()


@pytest.mark.parametrize("qos", [1, 2])
def test_the_disk_comes_before_the_answer(world: World, qos: int) -> None:
    """A session that lasts wants it: no PUBACK, no PUBREC before it is durable. Sent again meanwhile: still none."""
    b = world.client("b", clean=False)
    b.subscribe("t")
    a = world.client("a")
    assert silent(a, Publish("t", b"x", qos, packet_id=7)) == []
    if qos == 2:
        assert silent(a, Publish("t", b"x", qos, dup=True, packet_id=7)) == []
    world.thread.turn()
    assert a.inbox() == [Puback(7) if qos == 1 else Pubrec(7)]
    assert len(b.messages()) == 1


def test_nothing_to_keep_is_answered_at_once(world: World) -> None:
    """Only sessions that end with their connections listen: no disk."""
    b = world.client("b")
    b.subscribe("t")
    a = world.client("a")
    assert silent(a, Publish("t", b"x", 1, packet_id=7)) == [Puback(7)]
    assert not world.thread.jobs


def test_what_waited_is_there_after_a_restart(tmp_path: Path) -> None:
    """In flight, waiting, with properties, of QoS 2, in order; for each of two clients. Acknowledged ones are not."""
    world = World(tmp_path, limits=Limits(plain_inflight=2))
    clients = [world.client(name, 5, clean=False, properties=Properties(session_expiry_interval=99)) for name in "bc"]
    for client in clients:
        client.subscribe("t/#", identifier=4)
    a = world.client("a", 5)
    for number in range(4):
        properties = Properties(content_type="text/plain", user_property=(("n", str(number)),))
        a.publish(f"t/{number}", b"%d" % number, qos=1 + number % 2, properties=properties)
    (first, _) = clients[0].messages()
    clients[0].acknowledge(first)
    again = world.restarted(tmp_path)
    for name, expected in (("b", [1, 2, 3]), ("c", [0, 1, 2, 3])):
        client = again.client(name, 5, clean=False, present=True, properties=Properties(session_expiry_interval=99))
        got, waiting = [], client.messages()
        while waiting:
            got.append(waiting.pop(0))
            done = Puback(got[-1].packet_id or 0) if got[-1].qos == 1 else Pubrec(got[-1].packet_id or 0, 0x80)
            waiting += [packet for packet in client.say(done) if isinstance(packet, Publish)]
        assert [(m.topic, m.payload, m.qos, m.dup) for m in got] == [
            (f"t/{n}", b"%d" % n, 1 + n % 2, False) for n in expected
        ]
        assert [m.properties for m in got] == [
            Properties(content_type="text/plain", user_property=(("n", str(n)),), subscription_identifier=(4,))
            for n in expected
        ]
    again.close()
    assert on_disk(tmp_path) == (0, 0, 0)


def test_one_message_for_many(world: World, tmp_path: Path) -> None:
    """The payload is on disk once; it goes with the last who needed it."""
    names = ["b", "c", "d"]
    for name in names:
        client = world.client(name, clean=False)
        client.subscribe("t")
        client.drop()
    world.client("a").publish("t", qos=1)
    assert on_disk(tmp_path) == (1, 3, 0)
    for left, name in enumerate(reversed(names)):
        client = world.client(name, clean=False)
        client.acknowledge(*client.messages())
        assert on_disk(tmp_path) == (1 if left < 2 else 0, 2 - left, 0)


def test_what_is_acknowledged_before_the_disk_has_its_turn(world: World, tmp_path: Path) -> None:
    """It is never written, and the publisher is answered all the same."""
    b = world.client("b", clean=False)
    b.subscribe("t")
    a = world.client("a")
    assert silent(a, Publish("t", b"x", 1, packet_id=7)) == []
    (message,) = b.messages()
    b.conversation.receive(Puback(message.packet_id or 0))
    world.thread.turn()
    assert a.inbox() == [Puback(7)]
    assert on_disk(tmp_path) == (0, 0, 0)


def test_a_session_that_ends_takes_its_messages_with_it(world: World, tmp_path: Path) -> None:
    """Clean session, and expiry."""
    lasting = Properties(session_expiry_interval=10)
    for name in "bc":
        client = world.client(name, 5, clean=False, properties=lasting)
        client.subscribe("t")
        client.drop()
    world.client("a").publish("t", qos=1)
    assert on_disk(tmp_path) == (1, 2, 0)
    world.client("b", clean=True)
    world.thread.turn()
    assert on_disk(tmp_path) == (1, 1, 0)
    world.pass_time(10)
    assert on_disk(tmp_path) == (0, 0, 0)
    assert world.broker.room.used == 0


def test_a_session_that_was_forgotten(tmp_path: Path) -> None:
    """Its registration has gone while the hub was down: what waited for it goes too."""
    world = World(tmp_path)
    client = world.client("b", clean=False)
    client.subscribe("t")
    client.drop()
    world.client("a").publish("t", qos=1)
    world.close()
    again = World(tmp_path)
    again.close()
    assert on_disk(tmp_path) == (0, 0, 0)


def test_expired_while_the_hub_was_down(tmp_path: Path) -> None:
    """Its time is over at the start."""
    world = World(tmp_path)
    client = world.client("b", clean=False)
    client.subscribe("t")
    client.drop()
    world.client("a", 5).publish("t", qos=1, properties=Properties(message_expiry_interval=5))
    world.client("a", 5).publish("t", retain=True, properties=Properties(message_expiry_interval=5))
    again = world.restarted(tmp_path, later=60)
    assert again.client("b", clean=False, present=True).messages() == []
    again.close()
    assert on_disk(tmp_path) == (0, 0, 0)


def test_a_disk_that_is_full(world: World, tmp_path: Path) -> None:
    """No PUBACK for what is not kept: the connection ends. It is tried again with the next, and then it is there."""
    client = world.client("b", clean=False)
    client.subscribe("t")
    client.drop()
    a = world.client("a", 5)
    world.thread.failing = StoreError("the disk is full")
    a.publish("t", b"1", qos=1)
    assert a.wire.ended == "not-stored"
    assert on_disk(tmp_path) == (0, 0, 0)
    world.thread.failing = None
    a = world.client("a")
    assert a.publish("t", b"2", qos=1) == [Puback(1)]
    assert on_disk(tmp_path) == (2, 2, 0)
    client = world.client("b", clean=False)
    client.acknowledge(*client.messages())
    assert on_disk(tmp_path) == (0, 0, 0)


def test_a_publisher_that_is_faster_than_the_disk(tmp_path: Path) -> None:
    """Too many bytes wait: it is not read from until half of them are written."""
    world = World(tmp_path, limits=Limits(queue_bytes=4000, unstored=1000))
    client = world.client("b", clean=False)
    client.subscribe("t")
    a = world.client("a")
    for number in range(3):
        a.conversation.receive(Publish("t", bytes(1000), 1, packet_id=number + 1))
        assert bool(a.wire.holds) is (number == 2)
    world.thread.turn()
    assert not a.wire.holds
    world.close()


# ---- retained messages


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_retained(world: World, tmp_path: Path, qos: int) -> None:
    """For whoever subscribes later, at the lower QoS, with the flag; a newer one replaces it; an empty one ends it."""
    a = world.client("a")
    a.publish("t/1", b"old", qos=qos, retain=True)
    a.publish("t/1", b"new", qos=qos, retain=True)
    a.publish("t/2", b"two", qos=qos, retain=True)
    assert on_disk(tmp_path) == (0, 0, 2)
    b = world.client("b")
    b.subscribe("t/#", qos=1)
    got = sorted((m.topic, m.payload, m.qos, m.retain) for m in b.messages())
    assert got == [("t/1", b"new", min(1, qos), True), ("t/2", b"two", min(1, qos), True)]
    a.publish("t/1", b"", qos=qos, retain=True)
    (message,) = b.messages()
    assert (message.payload, message.retain) == (b"", False)
    b.subscribe("t/#", qos=1)
    assert [m.topic for m in b.messages()] == ["t/2"]
    assert on_disk(tmp_path) == (0, 0, 1)


def test_retained_after_a_restart(tmp_path: Path) -> None:
    """With their properties."""
    world = World(tmp_path)
    world.client("a", 5).publish("t", b"kept", qos=1, retain=True, properties=Properties(content_type="text/plain"))
    again = world.restarted(tmp_path)
    b = again.client("b", 5)
    b.subscribe("#")
    (message,) = b.messages()
    assert (message.payload, message.qos, message.retain) == (b"kept", 1, True)
    assert message.properties == Properties(content_type="text/plain")
    again.close()


def test_the_disk_comes_before_a_retained_message_is_acknowledged(world: World) -> None:
    """Retained is a promise for the next run as well."""
    a = world.client("a")
    assert silent(a, Publish("t", b"x", 1, True, packet_id=7)) == []
    world.thread.turn()
    assert a.inbox() == [Puback(7)]


def test_no_room_for_another_retained_message(tmp_path: Path) -> None:
    """A client of MQTT 5 is told, and the message is not taken; otherwise it goes out and is not retained."""
    world = World(tmp_path, limits=Limits(retained_messages=1))
    b = world.client("b")
    b.subscribe("#", qos=0)
    new, old = world.client("new", 5), world.client("old", 4)
    old.publish("t/1", retain=True)
    (answer,) = new.publish("t/2", qos=1, retain=True)
    assert isinstance(answer, Puback)
    assert answer.reason == 0x97
    assert old.publish("t/2", qos=1, retain=True) == [Puback(1)]
    new.publish("t/2", retain=True)
    assert [m.topic for m in b.messages()] == ["t/1", "t/2", "t/2"]
    assert world.metrics.dropped == {"retained-full": 3}
    world.close()


def test_more_retained_messages_than_one_window(tmp_path: Path) -> None:
    """300 for a client with a window of 10 and a queue of 20: all come, none is dropped, in between others too."""
    world = World(tmp_path, limits=Limits(plain_inflight=10, queued_messages=20))
    a = world.client("a")
    for number in range(300):
        a.publish(f"t/{number}", qos=1, retain=True)
    b = world.client("b")
    b.subscribe("#", qos=1)
    a.publish("live", qos=1)
    got, waiting = [], b.messages()
    while waiting:
        got.append(waiting.pop(0))
        waiting += [packet for packet in b.acknowledge(got[-1]) if isinstance(packet, Publish)]
    assert len(got) == 301
    assert got[10].topic == "live"
    assert not world.metrics.dropped
    world.close()


def test_a_slow_reader_of_retained_messages(world: World) -> None:
    """They wait until it reads again, QoS 0 too."""
    a = world.client("a")
    a.publish("t", retain=True)
    b = world.client("b")
    b.wire.writable = False
    b.subscribe("#", qos=0)
    assert b.messages() == []
    b.wire.writable = True
    b.conversation.writable_again()
    assert len(b.messages()) == 1


# ---- shared subscriptions


def test_each_message_to_one_of_a_group(world: World) -> None:
    """$share/line/t: in turn; whoever subscribes for itself gets all. MQTT 3.1.1 may too."""
    members = [world.client(name, level) for name, level in (("b", 4), ("c", 5))]
    for member in members:
        assert member.subscribe("$share/line/t", qos=1).return_codes == (1,)
    other, all_of_them = world.client("d"), world.client("e")
    other.subscribe("$share/another/t")
    all_of_them.subscribe("t")
    a = world.client("a")
    for number in range(4):
        a.publish("t", b"%d" % number, qos=1)
    assert [[m.payload for m in member.messages()] for member in members] == [[b"0", b"2"], [b"1", b"3"]]
    assert len(other.messages()) == len(all_of_them.messages()) == 4


def test_a_member_that_is_busy_or_away(world: World) -> None:
    """It is passed over; where all are away one whose session lasts has it wait."""
    b, c = world.client("b", clean=False), world.client("c")
    for member in (b, c):
        member.subscribe("$share/line/t")
    a = world.client("a")
    b.drop()
    for number in range(2):
        a.publish("t", b"%d" % number, qos=1)
    c.acknowledge(*c.messages())
    c.drop()
    assert world.metrics.messages_out == 2
    a.publish("t", b"2", qos=1)
    a.publish("t", b"lost")
    b = world.client("b", clean=False)
    assert [m.payload for m in b.messages()] == [b"2"]


def test_a_member_that_ends_with_messages_in_flight(world: World) -> None:
    """QoS 1: another member gets what it had not acknowledged. QoS 2: nobody does (4.8.2)."""
    b, c = world.client("b"), world.client("c")
    b.subscribe("$share/line/t")
    a = world.client("a")
    a.publish("t", b"1", qos=1)
    a.publish("t", b"2", qos=2)
    c.subscribe("$share/line/t")
    b.drop()
    assert [m.payload for m in c.messages()] == [b"1"]


def test_retained_messages_are_not_shared(world: World) -> None:
    """A shared subscription gets none at its start (4.8.2-2)."""
    world.client("a").publish("t", retain=True)
    b = world.client("b")
    b.subscribe("$share/line/t")
    assert b.messages() == []


# ---- rules that changed


def test_what_is_no_longer_allowed(tmp_path: Path) -> None:
    """A kept session loses the subscriptions that the rules no longer give it: see `SessionFile.load`."""
    world = World(tmp_path)
    b = world.client("b", clean=False)
    b.say(Subscribe(1, (("t", 1), ("u", 1))))
    session = world.broker.find("b")
    assert session is not None
    _withdraw(session, PlainPolicy([PolicyRule(who="*", subscribe=["u"])]))
    assert list(session.plain) == ["u"]
    world.close()
