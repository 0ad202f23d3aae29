"""What MQTT 5 adds to a conversation: reasons, limits both ways, aliases, options of a subscription, expiry, wills."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leafward.hub.policy_settings import PolicyRule
from leafward.hub.settings import Limits
from leafward.wire.hub_topics import TwinGet
from leafward.wire.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Publish,
    Pubrec,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Will,
)
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.hub.plain_world import EVERYTHING, Talker, World, connecting


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A hub that allows everything."""
    made = World(tmp_path)
    yield made
    made.close()


def connack(talker: Talker, packet: Connect) -> Connack:
    """The answer to CONNECT."""
    (answer,) = talker.say(packet)
    assert isinstance(answer, Connack)
    return answer


def goodbye(packets: list[Packet]) -> Reason:
    """The reason of the DISCONNECT that is the last packet."""
    last = packets[-1]
    assert isinstance(last, Disconnect), packets
    return Reason(last.reason)


# ---- CONNECT


def test_what_the_hub_takes(world: World) -> None:
    """CONNACK names every bound of the hub's (3.2.2.3)."""
    properties = connack(world.talker(), connecting("a")).properties
    assert properties == Properties(receive_maximum=1024, maximum_packet_size=262_144, topic_alias_maximum=32)


@pytest.mark.parametrize(("asked", "told"), [(0, 1740), (60, None), (1740, None), (1741, 1740), (65_535, 1740)])
def test_keep_alive(world: World, asked: int, told: int | None) -> None:
    """No keep-alive, or a longer one than allowed: the server's is told, and holds (3.2.2.3.14)."""
    talker = world.talker()
    answer = connack(talker, connecting("a", keep_alive=asked))
    assert answer.properties is not None
    assert answer.properties.server_keep_alive == told


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize(
    ("options", "assigned"),
    [
        ({"client_id": "", "username": "a"}, True),
        ({"client_id": "a", "username": "a"}, False),
        ({"client_id": "a/m", "username": "a/m"}, False),
        ({"client_id": "", "username": "a/m"}, True),
        ({"client_id": "cert1", "username": None, "password": None}, False),
        ({"client_id": "cert1", "username": "", "password": None}, False),
    ],
)
def test_plain_logins(world: World, level: int, options: dict[str, Any], assigned: bool) -> None:
    """The user name is the identity, or with a certificate the client id; the client id may be left out."""
    answer = connack(world.talker(level), connecting("", level, **options))
    assert answer.return_code == 0
    if level == 5:
        assert answer.properties is not None
        own = options["username"] or options["client_id"]
        assert answer.properties.assigned_client_identifier == (own if assigned else None)


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize(
    "options",
    [
        {"client_id": "b", "username": "a"},
        {"client_id": "A", "username": "a"},
        {"client_id": "a", "username": "a/m"},
        {"client_id": "a/b/c", "username": ""},
        {"client_id": "", "username": ""},
        {"client_id": "", "username": "no blanks"},
        {"client_id": "a", "username": "a", "password": b"wrong"},
        {"client_id": "a", "username": "a", "password": None},
        {"client_id": "a", "username": "a", "password": b"\xff"},
    ],
)
def test_refused_logins(world: World, level: int, options: dict[str, Any]) -> None:
    """One answer, whatever the reason: who there is, nobody learns."""
    talker = world.talker(level)
    answer = connack(talker, connecting("", level, **options))
    assert answer.return_code == (5 if level == 4 else Reason.NOT_AUTHORIZED)
    if level == 5:
        assert answer.properties == Properties(reason_string="not admitted: the hub's log says why")
    assert talker.wire.ended


def test_no_client_id_for_a_session_that_lasts(world: World) -> None:
    """MQTT 3.1.1 forbids it (3.1.3-8)."""
    answer = connack(world.talker(4), connecting("", 4, client_id="", username="a", clean=False))
    assert answer.return_code == 2


@pytest.mark.parametrize("level", [3, 6, 255])
def test_another_version(world: World, level: int) -> None:
    """CONNACK 1 in MQTT 3.1.1's form (3.1.2-2)."""
    talker = world.talker(4)
    talker.conversation.receive(Connect("", level=level))
    assert talker.inbox() == [Connack(1)]
    assert talker.wire.ended == "mqtt-version"


def test_extended_authentication(world: World) -> None:
    """None is known (4.12); AUTH out of place is an error of protocol."""
    talker = world.talker()
    answer = connack(talker, connecting("a", properties=Properties(authentication_method="SCRAM-SHA-1")))
    assert answer.return_code == Reason.BAD_AUTHENTICATION_METHOD
    a = world.client("a", 5)
    assert goodbye(a.say(Auth(0x18, Properties(authentication_method="x")))) is Reason.PROTOCOL_ERROR


# ---- how a connection ends


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        ([Connect("a", level=5)], Reason.PROTOCOL_ERROR),
        ([Publish("", b"", properties=Properties(topic_alias=7))], Reason.PROTOCOL_ERROR),
        ([Publish("t", b"", properties=Properties(topic_alias=33))], Reason.TOPIC_ALIAS_INVALID),
        ([Suback(1, (0,))], Reason.PROTOCOL_ERROR),
        ([Subscribe(1, (("$share/g/t", SubscriptionOptions(1, no_local=True)),))], Reason.PROTOCOL_ERROR),
        ([Disconnect(0, Properties(session_expiry_interval=5))], Reason.PROTOCOL_ERROR),
    ],
    ids=["CONNECT again", "unknown alias", "alias out of range", "SUBACK", "shared no local", "expiry from nothing"],
)
def test_broken_protocols(world: World, packets: list[Packet], reason: Reason) -> None:
    """DISCONNECT says which rule; then the connection is closed."""
    a = world.client("a", 5)
    assert goodbye(a.say(*packets)) is reason
    assert a.wire.ended == "protocol-error"


def test_more_qos_2_than_the_hub_takes(tmp_path: Path) -> None:
    """Unreleased messages count against the hub's receive maximum (3.3.4-7)."""
    world = World(tmp_path, limits=Limits(unstored=2))
    a = world.client("a", 5)
    assert a.publish("t", qos=2) == [Pubrec(1, Reason.NO_MATCHING_SUBSCRIBERS)]
    a.publish("t", qos=2)
    assert goodbye(a.publish("t", qos=2)) is Reason.RECEIVE_MAXIMUM_EXCEEDED
    world.close()


def test_taken_over(world: World) -> None:
    """The first connection is told that there is a second (3.1.4-3)."""
    first = world.client("a", 5)
    world.client("a", 5)
    assert goodbye(first.inbox()) is Reason.SESSION_TAKEN_OVER


def test_no_longer_admitted(world: World) -> None:
    """The operator disables a device: it is told that an operator did it."""
    a = world.client("a", 5)
    world.broker.cut("a", world.broker.peers()["a"], "disabled in the registry", forget=False)
    assert goodbye(a.inbox()) is Reason.ADMINISTRATIVE_ACTION


def test_ended_by_the_operator(world: World) -> None:
    """`leafward hub disconnect`: told so, and the client may come back."""
    a = world.client("a", 5)
    a.wire.end("ended-by-operator")
    assert goodbye(a.inbox()) is Reason.ADMINISTRATIVE_ACTION


def test_a_sentence_that_does_not_fit(world: World) -> None:
    """A client that takes 20 bytes gets the bare reason (3.14.2-3)."""
    first = world.client("a", 5, properties=Properties(maximum_packet_size=20))
    world.client("a", 5)
    assert first.inbox() == [Disconnect(Reason.SESSION_TAKEN_OVER)]


# ---- refusals that the connection survives


RULE = PolicyRule(who="*", publish=["own/#"], subscribe=["own/#"], retain=False)


def test_a_message_that_is_not_allowed(tmp_path: Path) -> None:
    """QoS 1 and 2: PUBACK and PUBREC say so. QoS 0, which has no answer, ends the connection."""
    world = World(tmp_path, (RULE,))
    a = world.client("a", 5)
    sentence = Properties(reason_string="the topic is not this client's")
    assert a.publish("other", qos=1) == [Puback(1, Reason.NOT_AUTHORIZED, sentence)]
    assert a.publish("other", qos=2) == [Pubrec(2, Reason.NOT_AUTHORIZED, sentence)]
    assert a.say(Publish("own/x", b"", 2, packet_id=2)) == [Pubrec(2, Reason.NO_MATCHING_SUBSCRIBERS)]
    assert a.publish("own/x", qos=1, retain=True) == [Puback(3, Reason.NOT_AUTHORIZED, sentence)]
    assert goodbye(a.publish("other")) is Reason.NOT_AUTHORIZED
    world.close()


def test_no_reasons_for_who_wants_none(tmp_path: Path) -> None:
    """Request problem information 0: the number, not the sentence (3.1.2-29)."""
    world = World(tmp_path, (RULE,))
    a = world.client("a", 5, properties=Properties(request_problem_information=0))
    assert a.publish("other", qos=1) == [Puback(1, Reason.NOT_AUTHORIZED)]
    assert a.subscribe("other").properties is None
    world.close()


def test_filters_one_by_one(tmp_path: Path) -> None:
    """A code for each: granted, not allowed, too many; a sentence for all."""
    world = World(tmp_path, (RULE,), limits=Limits(subscriptions=1))
    a = world.client("a", 5)
    answer = a.subscribe("own/1", "other", "own/2")
    assert answer.return_codes == (2, Reason.NOT_AUTHORIZED, Reason.QUOTA_EXCEEDED)
    assert answer.properties is not None
    assert answer.properties.reason_string == (
        "a topic filter is not this client's; too many topic filters, or too long ones"
    )
    world.close()


def test_nobody_listens(world: World) -> None:
    """PUBACK says that there are no subscribers, which is no failure (3.4.2.1)."""
    a = world.client("a", 5)
    assert a.publish("t", qos=1) == [Puback(1, Reason.NO_MATCHING_SUBSCRIBERS)]
    a.subscribe("t")
    assert a.publish("t", qos=1)[-1] == Puback(3)


# ---- topic aliases


def test_aliases_of_the_client(world: World) -> None:
    """A number stands for the topic it last came with."""
    a, b = world.client("a", 5), world.client("b")
    b.subscribe("#")
    for topic in ("one", "", "two", ""):
        a.publish(topic, properties=Properties(topic_alias=1))
    assert [message.topic for message in b.messages()] == ["one", "one", "two", "two"]


def test_aliases_that_are_too_long(world: World) -> None:
    """What the hub has to remember of a client is bounded: 64 Ki characters for all its numbers."""
    a = world.client("a", 5)
    for alias in (1, 1, 2):
        assert a.publish("x" * 30_000, properties=Properties(topic_alias=alias)) == []
    assert goodbye(a.publish("y" * 30_000, properties=Properties(topic_alias=3))) is Reason.QUOTA_EXCEEDED


def test_aliases_of_the_hub(world: World) -> None:
    """A client that takes two: the first two topics are numbered, and then named by their number alone."""
    b = world.client("b", 5, properties=Properties(topic_alias_maximum=2))
    b.subscribe("#")
    a = world.client("a")
    for topic in ("one", "two", "three", "one", "two", "three"):
        a.publish(topic, qos=1)
    aliased = [(m.topic, m.properties.topic_alias if m.properties else None) for m in b.messages()]
    assert aliased == [("one", 1), ("two", 2), ("three", None), ("", 1), ("", 2), ("three", None)]


# ---- subscriptions


def test_identifiers(world: World) -> None:
    """Every subscription that takes the message says its number, in one message (3.3.4-3)."""
    b = world.client("b", 5)
    b.subscribe("t/#", identifier=7)
    b.subscribe("t/+", identifier=9)
    b.subscribe("t/a")
    world.client("a").publish("t/a")
    (message,) = b.messages()
    assert message.properties == Properties(subscription_identifier=(7, 9))


def test_no_local(world: World) -> None:
    """One's own messages do not come back; those of others do (3.8.3-3). Another subscription may want them."""
    a, b = world.client("a", 5), world.client("b")
    a.subscribe("t", no_local=True)
    a.publish("t", b"own")
    b.publish("t", b"other")
    assert [message.payload for message in a.messages()] == [b"other"]
    a.subscribe("#", qos=0)
    a_said = a.publish("t", b"own", qos=1)
    assert [packet.qos for packet in a_said if isinstance(packet, Publish)] == [0]


@pytest.mark.parametrize(("handling", "first", "second"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)])
def test_retain_handling(world: World, handling: int, first: int, second: int) -> None:
    """Retained messages at a subscription: always, if it is new, never (3.3.1-9 to -11)."""
    world.client("a").publish("t", b"kept", retain=True)
    b = world.client("b", 5)
    b.subscribe("t", retain_handling=handling)
    assert len(b.messages()) == first
    b.subscribe("t", retain_handling=handling)
    assert len(b.messages()) == second


@pytest.mark.parametrize("as_published", [True, False])
def test_retain_as_published(world: World, as_published: bool) -> None:
    """The flag of a live message stays for who wants it (3.3.1-12, -13)."""
    b = world.client("b", 5)
    b.subscribe("t", retain_as_published=as_published)
    a = world.client("a")
    a.publish("t", retain=True)
    a.publish("t", qos=1, retain=True)
    a.publish("t")
    assert [message.retain for message in b.messages()] == [as_published, as_published, False]


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
