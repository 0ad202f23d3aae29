"""What MQTT 5 adds to messages, sessions and wills; and to the hub's own topics."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leafward.hub.policy_settings import PolicyRule
from leafward.wire.hub_topics import TwinGet
from leafward.wire.mqtt.packets import (
    Disconnect,
    Puback,
    Publish,
    Pubrec,
    Will,
)
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.hub.plain_world import EVERYTHING, World, connack, connecting

# ---- what a message carries


CARRIED = Properties(
    payload_format_indicator=1,
    content_type="text/plain",
    response_topic="answers/a",
    correlation_data=b"\x00\x01",
    user_property=(("colour", "red"), ("colour", "blue")),
)


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_go_on(world: World, qos: int) -> None:
    """Unchanged and in their order (3.3.2-17, -18); a client of MQTT 3.1.1 gets the message without them."""
    b, old = world.client("b", 5), world.client("old", 4)
    b.subscribe("t", identifier=3)
    old.subscribe("t")
    world.client("a", 5).publish("t", qos=qos, properties=replace(CARRIED, topic_alias=4))
    (message,), (bare,) = b.messages(), old.messages()
    assert message.properties == replace(CARRIED, subscription_identifier=(3,))
    assert (bare.payload, bare.properties) == (b"x", None)


def test_a_message_expires(world: World) -> None:
    """10 s to live, 4 of them waiting: 6 are left. After 10 it never comes (3.3.2-5, -6); in no version of MQTT."""
    lasting = Properties(session_expiry_interval=1000)
    b = world.client("b", 5, clean=False, properties=lasting)
    old = world.client("old", 4, clean=False)
    for client in (b, old):
        client.subscribe("t")
        client.drop()
    world.client("a", 5).publish("t", b"short", qos=1, properties=Properties(message_expiry_interval=3))
    world.client("a", 5).publish("t", b"long", qos=1, properties=Properties(message_expiry_interval=10))
    world.pass_time(4)
    (message,) = world.client("b", 5, clean=False, properties=lasting).messages()
    assert (message.payload, message.properties) == (b"long", Properties(message_expiry_interval=6))
    world.pass_time(6)
    assert world.client("old", 4, clean=False).messages() == []


def test_a_retained_message_expires(world: World) -> None:
    """It counts from when it was published."""
    a = world.client("a", 5)
    a.publish("t", retain=True, properties=Properties(message_expiry_interval=10))
    world.pass_time(4)
    b = world.client("b", 5)
    b.subscribe("t")
    (message,) = b.messages()
    assert (message.retain, message.properties) == (True, Properties(message_expiry_interval=6))
    world.pass_time(6)
    b.subscribe("t")
    assert b.messages() == []


def test_too_large_for_a_client(world: World) -> None:
    """It is not sent, and as if it had been (3.1.2-25): nothing waits behind it."""
    b = world.client("b", 5, properties=Properties(maximum_packet_size=50, topic_alias_maximum=5))
    b.subscribe("t")
    a = world.client("a")
    for size in (10, 100, 10):
        for qos in (0, 1):
            a.publish("t", bytes(size), qos=qos)
    assert [(len(message.payload), message.topic) for message in b.messages()] == [
        (10, "t"),
        (10, ""),
        (10, ""),
        (10, ""),
    ]
    assert not world.broker.find("b").flow.waiting  # type: ignore[union-attr]


def test_the_alias_of_a_message_that_was_not_sent(world: World) -> None:
    """A topic whose first message was too large is not named by a number that nobody was told."""
    b = world.client("b", 5, properties=Properties(maximum_packet_size=50, topic_alias_maximum=5))
    b.subscribe("t")
    a = world.client("a")
    a.publish("t", bytes(100))
    a.publish("t", b"small")
    (message,) = b.messages()
    assert message.topic == "t"


# ---- sessions


@pytest.mark.parametrize(("waited", "present"), [(9, True), (10, False)])
def test_a_session_expires(world: World, waited: int, present: bool) -> None:
    """10 s after its client has gone, by the hub's clock (3.1.2-23)."""
    lasting = Properties(session_expiry_interval=10)
    world.client("a", 5, properties=lasting).drop()
    world.pass_time(waited)
    world.client("a", 5, clean=False, properties=lasting, present=present)


def test_a_session_that_ends_with_the_connection(world: World) -> None:
    """Clean start 0 without an expiry: the old session is taken up, and is the last."""
    world.client("a", 5, properties=Properties(session_expiry_interval=10)).drop()
    world.client("a", 5, clean=False, present=True).drop()
    world.client("a", 5, clean=False, present=False)


def test_another_expiry_at_the_goodbye(world: World) -> None:
    """DISCONNECT may change it, also to nothing (3.14.2.2.2)."""
    a = world.client("a", 5, properties=Properties(session_expiry_interval=10))
    a.say(Disconnect(0, Properties(session_expiry_interval=0)))
    world.client("a", 5, clean=False, present=False)


def test_3_1_1_and_5_have_one_session(world: World) -> None:
    """A client that was updated finds what waited for it."""
    b = world.client("b", 4, clean=False)
    b.subscribe("t")
    b.drop()
    world.client("a").publish("t", qos=1)
    b = world.client("b", 5, clean=False, present=True, properties=Properties(session_expiry_interval=10))
    assert len(b.messages()) == 1


# ---- wills


def will(**options: Any) -> Will:
    """A will on a plain topic."""
    return Will("gone", b"a is gone", 1, properties=Properties(**options) if options else None)


@pytest.mark.parametrize("level", [4, 5])
def test_a_will_at_once(world: World, level: int) -> None:
    """The connection is lost: it is published, with its properties. After a DISCONNECT it is not."""
    b = world.client("b", 5)
    b.subscribe("gone")
    world.client("a", level, will=will(**({"content_type": "text/plain"} if level == 5 else {}))).drop()
    (message,) = b.messages()
    assert (message.payload, message.qos) == (b"a is gone", 1)
    assert message.properties == (Properties(content_type="text/plain") if level == 5 else None)
    world.client("a", level, will=will()).say(Disconnect())
    assert b.messages() == []


def test_a_goodbye_with_the_will(world: World) -> None:
    """DISCONNECT has it published all the same for every reason but 0 (3.1.2-10)."""
    b = world.client("b")
    b.subscribe("gone")
    for reason in (Reason.DISCONNECT_WITH_WILL, Reason.UNSPECIFIED_ERROR):
        world.client("a", 5, will=will()).say(Disconnect(reason))
        assert len(b.messages()) == 1


LASTING = Properties(session_expiry_interval=100)


def test_a_will_that_waits(world: World) -> None:
    """5 s, unless the client is back in its session before."""
    b = world.client("b")
    b.subscribe("gone")
    world.client("a", 5, properties=LASTING, will=will(will_delay_interval=5)).drop()
    world.pass_time(4)
    world.client("a", 5, clean=False, properties=LASTING, will=will(will_delay_interval=5)).drop()
    assert b.messages() == []
    world.pass_time(5)
    assert len(b.messages()) == 1
    world.pass_time(5)
    assert b.messages() == []


def test_a_will_that_waits_and_another_session(world: World) -> None:
    """A clean start ends the session: the will is due (3.1.2.5)."""
    b = world.client("b")
    b.subscribe("gone")
    world.client("a", 5, properties=LASTING, will=will(will_delay_interval=50)).drop()
    world.client("a", 5, clean=True)
    assert len(b.messages()) == 1


def test_a_will_waits_no_longer_than_its_session(world: World) -> None:
    """Delay 50 s, session 0 s: at once."""
    b = world.client("b")
    b.subscribe("gone")
    world.client("a", 5, will=will(will_delay_interval=50)).drop()
    assert len(b.messages()) == 1


def test_taking_over_within_the_delay(world: World) -> None:
    """The session goes on with another connection: no will."""
    b = world.client("b")
    b.subscribe("gone")
    world.client("a", 5, properties=LASTING, will=will(will_delay_interval=50))
    world.client("a", 5, clean=False, properties=LASTING, present=True)
    world.pass_time(50)
    assert b.messages() == []


def test_wills_when_the_hub_stops(world: World) -> None:
    """Nothing waits in a hub that is not there."""
    b = world.client("b")
    b.subscribe("gone")
    world.client("a", 5, properties=LASTING, will=will(will_delay_interval=50)).drop()
    world.hub.wills.all_now()
    assert len(b.messages()) == 1


@pytest.mark.parametrize(
    ("rules", "wrong"),
    [
        ((), Will("gone", b"")),
        ((PolicyRule(who="*", publish=["other"]),), Will("gone", b"")),
        ((PolicyRule(who="*", publish=["gone"], retain=False),), Will("gone", b"", retain=True)),
        (EVERYTHING, Will("$SYS/x", b"")),
        (EVERYTHING, Will("devices/b/messages/events/", b"")),
    ],
)
@pytest.mark.parametrize("level", [4, 5])
def test_wills_that_are_not_allowed(tmp_path: Path, rules: Any, wrong: Will, level: int) -> None:
    """What the client may not publish it may not leave behind."""
    world = World(tmp_path, rules)
    answer = connack(world.talker(level), connecting("a", level, will=wrong))
    assert answer.return_code == (5 if level == 4 else Reason.NOT_AUTHORIZED)
    world.close()


# ---- IoT Hub's topics


EVENTS = "devices/a/messages/events/"


def test_telemetry_with_properties(world: World) -> None:
    """User properties and content type join those of the topic, which come first."""
    a = world.client("a", 5)
    properties = Properties(
        content_type="application/json",
        correlation_data=b"c1",
        payload_format_indicator=1,
        message_expiry_interval=60,
        user_property=(("colour", "red"), ("shape", "round"), ("$.cdid", "somebody-else")),
    )
    assert a.publish(EVENTS + "colour=blue", b"{}", qos=1, properties=properties) == [Puback(1)]
    assert a.publish(EVENTS + "colour=blue", b"{}", qos=1) == [Puback(2)]
    first, second = world.intake.taken
    assert first.properties == {"colour": "blue", "shape": "round"}
    assert first.system == {
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "correlationId": "c1",
        "expiryTimeUtc": "2026-07-01T00:01:00.000Z",
    }
    assert (second.properties, second.system) == ({"colour": "blue"}, {})


def test_telemetry_with_properties_that_are_too_much(world: World) -> None:
    """Only that message is refused: the connection lives, and nothing is sent again and again."""
    a = world.client("a", 5)
    twice = Properties(user_property=(("colour", "red"), ("colour", "blue")))
    (answer,) = a.publish(EVENTS, qos=1, properties=twice)
    assert isinstance(answer, Puback)
    assert answer.reason == Reason.IMPLEMENTATION_SPECIFIC_ERROR
    huge = Properties(user_property=tuple((f"name{n}", "(" * 700) for n in range(100)))
    assert a.publish(EVENTS, qos=1, properties=huge)[0].reason == Reason.IMPLEMENTATION_SPECIFIC_ERROR  # type: ignore[union-attr]
    assert a.publish(EVENTS, properties=twice) == []
    assert world.intake.taken == []
    assert a.wire.ended is None


def test_nobody_answers(world: World) -> None:
    """A twin that is not there is told so, to whoever listens; a method's response is passed over."""
    a = world.client("a", 5)
    asked, patched = "$iothub/twin/GET/?$rid=r1", "$iothub/twin/PATCH/properties/reported/?$rid=r1"
    assert a.publish(asked, b" ", qos=1) == [Puback(1)]
    a.subscribe("$iothub/twin/res/#", qos=0)
    for topic in (asked, patched):
        puback, answer = a.publish(topic, b" ", qos=1)
        assert isinstance(puback, Puback)
        assert isinstance(answer, Publish)
        assert answer.topic == "$iothub/twin/res/501/?$rid=r1"
    assert a.publish("$iothub/methods/res/200/?$rid=1") == []


def test_somebody_answers(world: World) -> None:
    """The acknowledgement first, then whoever registered; there is one for each kind."""
    seen: list[Any] = []
    world.hub.requests.on(TwinGet, lambda *what: seen.append(what))
    with pytest.raises(ValueError, match="answered already"):
        world.hub.requests.on(TwinGet, lambda *_: None)
    a = world.client("a", 5)
    assert a.publish("$iothub/twin/GET/?$rid=r1", b" ", qos=2) == [Pubrec(1)]
    assert a.say(Publish("$iothub/twin/GET/?$rid=r1", b" ", 2, dup=True, packet_id=1)) == [Pubrec(1)]
    ((session, peer, request, payload),) = seen
    assert (session, peer) == (world.broker.find("a"), world.broker.peers()["a"])
    assert (request, payload) == (TwinGet("r1"), b" ")


def test_messages_of_the_hub(world: World) -> None:
    """`Session.send`: with the subscription's identifier, at the QoS that was granted, and only where one takes it."""
    a = world.client("a", 5)
    assert a.subscribe("$iothub/methods/POST/#", identifier=5).return_codes == (1,)
    session = world.broker.find("a")
    assert session is not None
    assert session.takes("$iothub/methods/POST/x/?$rid=1")
    assert session.send("$iothub/methods/POST/x/?$rid=1", b"{}", qos=1)
    assert session.send("$iothub/methods/POST/x/?$rid=2", b"{}")
    assert not session.send("$iothub/twin/res/200/?$rid=1", b"{}")
    first, second = a.messages()
    assert (first.qos, second.qos) == (1, 0)
    assert first.properties == second.properties == Properties(subscription_identifier=(5,))


def test_a_message_of_the_hub_that_is_too_large(world: World) -> None:
    """The caller learns that it is not sent."""
    a = world.client("a", 5, properties=Properties(maximum_packet_size=100))
    a.subscribe("$iothub/methods/POST/#")
    session = world.broker.find("a")
    assert session is not None
    for qos in (0, 1):
        assert session.send("$iothub/methods/POST/x/?$rid=1", bytes(20), qos=qos)
        assert not session.send("$iothub/methods/POST/x/?$rid=1", bytes(80), qos=qos)
    assert len(a.messages()) == 2


def test_a_method_ends_with_its_connection(world: World) -> None:
    """A direct method that was not acknowledged is not called again later: its caller has gone."""
    a = world.client("a", 4, clean=False)
    a.subscribe("$iothub/methods/POST/#")
    session = world.broker.find("a")
    assert session is not None
    assert session.send("$iothub/methods/POST/x/?$rid=1", b"{}", qos=1)
    a.drop()
    assert not session.send("$iothub/methods/POST/x/?$rid=2", b"{}", qos=1)
    assert not session.connected
    assert world.client("a", 4, clean=False, present=True).messages() == []
