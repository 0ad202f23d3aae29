"""What MQTT 5 adds to a conversation: reasons, limits both ways, aliases, options of a subscription."""

from pathlib import Path
from typing import Any

import pytest

from leafward.hub.policy_settings import PolicyRule
from leafward.hub.settings import Limits
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
)
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.hub.plain_world import World, connack, connecting, goodbye

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
