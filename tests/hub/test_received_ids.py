"""A QoS 2 message comes once, though the hub is killed in the middle: packet ids that are not released are on disk.

PUBLISH -> [message and packet id, one transaction] -> PUBREC -> kill -> PUBLISH with DUP -> PUBREC, and no second one
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from leafward.store.plain_messages import PlainMessageStore
from leafward.wire.mqtt.packets import Pubcomp, Publish, Pubrec, Pubrel
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.hub.plain_world import Talker, World


def killed(world: World, folder: Path) -> World:
    """Another run of the hub after one that got no further with the disk."""
    world.thread.jobs.clear()
    return world.restarted(folder)


def silent(talker: Talker, *packets: Publish | Pubrel) -> None:
    """Before the disk has its turn."""
    for packet in packets:
        talker.conversation.receive(packet)


def lasting(world: World, name: str, *, present: bool | None = None) -> Talker:
    """A client of MQTT 5 whose session stays."""
    return world.client(name, 5, clean=False, present=present, properties=Properties(session_expiry_interval=99))


def on_disk(folder: Path) -> list[tuple[str, int]]:
    with PlainMessageStore.open(folder / "plain.db") as store:
        return store.received()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A hub with a subscriber "b" to "t", whose session lasts."""
    made = World(tmp_path)
    lasting(made, "b").subscribe("t")
    yield made
    made.close()


def test_once(world: World, tmp_path: Path) -> None:
    """PUBREC has gone out: what comes again with DUP is none that is new. PUBREL is known, and frees the packet id."""
    assert lasting(world, "a").say(Publish("t", b"x", 2, packet_id=7)) == [Pubrec(7)]
    world = killed(world, tmp_path)
    a = lasting(world, "a", present=True)
    assert a.say(Publish("t", b"x", 2, dup=True, packet_id=7)) == [Pubrec(7)]
    assert len(lasting(world, "b").messages()) == 1
    assert a.say(Pubrel(7)) == [Pubcomp(7)]
    assert a.say(Pubrel(7)) == [Pubcomp(7, Reason.PACKET_IDENTIFIER_NOT_FOUND)]
    assert on_disk(tmp_path) == []
    world.close()


def test_killed_before_the_disk(world: World, tmp_path: Path) -> None:
    """Neither the message nor its packet id is there: it is taken when it comes again."""
    silent(lasting(world, "a"), Publish("t", b"x", 2, packet_id=7))
    world = killed(world, tmp_path)
    assert lasting(world, "a").say(Publish("t", b"x", 2, dup=True, packet_id=7)) == [Pubrec(7)]
    assert len(lasting(world, "b").messages()) == 1
    world.close()


def test_killed_before_the_release_is_written(world: World, tmp_path: Path) -> None:
    """PUBCOMP has gone out, so the client may use the packet id for another message, which has no DUP."""
    a = lasting(world, "a")
    a.say(Publish("t", b"1", 2, packet_id=7))
    silent(a, Pubrel(7))
    assert a.inbox() == [Pubcomp(7)]
    world = killed(world, tmp_path)
    assert lasting(world, "a").say(Publish("t", b"2", 2, packet_id=7)) == [Pubrec(7)]
    assert [message.payload for message in lasting(world, "b").messages()] == [b"1", b"2"]
    world.close()


def test_nobody_listens(world: World, tmp_path: Path) -> None:
    """The packet id is kept all the same: PUBREC says that the hub has it."""
    silent(lasting(world, "a"), Publish("u", b"x", 2, packet_id=7))
    assert on_disk(tmp_path) == []
    world.thread.turn()
    assert on_disk(tmp_path) == [("a", 7)]


def test_a_session_that_ends(world: World, tmp_path: Path) -> None:
    """It takes its packet ids with it; so does one that the next run does not know."""
    lasting(world, "a").say(Publish("t", b"x", 2, packet_id=7))
    world.client("a", 5)
    world.thread.turn()
    assert on_disk(tmp_path) == []
    lasting(world, "c").say(Publish("t", b"x", 2, packet_id=8))
    forgetful = World(tmp_path)
    forgetful.thread.turn()
    assert on_disk(tmp_path) == []
    forgetful.close()


def test_a_clean_session_writes_none(world: World, tmp_path: Path) -> None:
    """It has no later connection on which the message could come again."""
    assert world.client("a").say(Publish("t", b"x", 2, packet_id=7)) == [Pubrec(7)]
    assert on_disk(tmp_path) == []
