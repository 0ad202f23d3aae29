"""What Paho's interoperability suite tests of MQTT 5 alone, in our own words, with paho-mqtt as the client."""

import time

import pytest
from paho.mqtt.client import MQTTMessage

from leafward.wire.mqtt.packets import Publish, Will
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.clients.interoperability import KEEP_ALIVE, PACKET_SIZE, RECEIVE_MAXIMUM, Room
from tests.clients.paho_client import TIMEOUT_SECONDS, PahoClient


def bodies(messages: list[MQTTMessage]) -> list[bytes]:
    return [got.payload for got in messages]


def test_a_session_lasts_as_long_as_it_is_to(room5: Room) -> None:
    """0 s: gone with its connection. Longer: there; and DISCONNECT may make it longer or end it (3.14.2.2.2)."""
    one = room5.client()
    for kept, goodbye in ((True, {}), (True, {"SessionExpiryInterval": 100}), (False, {"SessionExpiryInterval": 0})):
        one.connect(expiry=60)
        one.subscribe(room5.topic)
        one.leave(**goodbye)
        one.connect(clean=False, expiry=0)
        assert one.present is kept, goodbye
        one.leave()
    with one.connect(clean=False, expiry=0):
        assert not one.present


def test_a_session_ends_by_the_clock(room5: Room) -> None:
    """Its will waits for longer than it lasts, so the will's coming is the session's end (3.1.3.2.2)."""
    later = Properties(will_delay_interval=60)
    lasting = Properties(session_expiry_interval=1)
    with room5.client("two") as two:
        two.subscribe(room5.topic)
        with room5.bare(will=Will(room5.topic, b"gone", 1, properties=later), properties=lasting) as one:
            room5.subscribed(one, room5.topic)
        assert two.message().payload == b"gone"
    with room5.client().connect(clean=False) as one:
        assert not one.present
    with room5.client() as one:
        assert one.connack


@pytest.mark.parametrize(("expiry", "delay"), [(60, 1), (0, 60)])
def test_a_will_that_waits(room5: Room, expiry: int, delay: int) -> None:
    """It comes after its delay, or with the end of its session if that is sooner."""
    told = Properties(will_delay_interval=delay, user_property=(("a", "2"), ("c", "3")))
    will = Will(room5.topic, b"gone", 1, properties=told)
    with room5.client("two") as two:
        two.subscribe(room5.topic)
        with room5.bare(will=will, properties=Properties(session_expiry_interval=expiry)):
            begun = time.monotonic()
        got = two.message()
        took = time.monotonic() - begun
    assert (got.payload, got.properties.UserProperty) == (b"gone", [("a", "2"), ("c", "3")])
    assert took >= min(expiry, delay) - 0.1
    with room5.client() as one:
        assert one.connack


@pytest.mark.parametrize("retained", [False, True])
def test_properties_of_a_message(room5: Room, *, retained: bool) -> None:
    """User properties in their order, content type and payload format, at every QoS, live and retained."""
    sent = {"UserProperty": [("a", "2"), ("c", "3"), ("a", "4")], "ContentType": "My name", "PayloadFormatIndicator": 1}
    with room5.client() as one, room5.client("two") as two:
        if not retained:
            one.subscribe(f"{room5.topic}/+")
        for qos in (0, 1, 2):
            two.publish(f"{room5.topic}/{qos}", b"%d" % qos, qos, retain=retained, **sent)
        if retained:
            one.subscribe(f"{room5.topic}/+")
        got = one.messages(3)
        assert sorted((each.payload, each.qos, each.retain) for each in got) == [
            (b"%d" % qos, qos, retained) for qos in (0, 1, 2)
        ]
        for each in got:
            assert {name: getattr(each.properties, name) for name in sent} == sent


def test_messages_expire(room5: Room) -> None:
    """What waits for longer than it may is not delivered; the rest says how long it still has (3.3.2.3.3)."""
    one = room5.client().connect(clean=False)
    one.leave()
    with one.connect(clean=False):
        one.subscribe(f"{room5.topic}/#")
    with room5.client("two") as two:
        two.subscribe(f"{room5.topic}/late")
        for qos in (1, 2):
            two.publish(f"{room5.topic}/{qos}", b"short", qos, MessageExpiryInterval=1)
            two.publish(f"{room5.topic}/{qos}", b"long", qos, MessageExpiryInterval=600)
        late = Will(f"{room5.topic}/late", b"2 s", properties=Properties(will_delay_interval=2))
        with room5.bare("three", will=late, properties=Properties(session_expiry_interval=60)):
            pass
        # The hub's own clock says that more than a second has gone.
        two.message()
    with one.connect(clean=False):
        got = one.messages(2)
        assert bodies(got) == [b"long", b"long"]
        assert all(0 < each.properties.MessageExpiryInterval < 600 for each in got)
    with one.connect():
        assert not one.present


def test_no_local(room5: Room) -> None:
    """One's own message goes to the others only."""
    with room5.client() as one, room5.client("two") as two:
        for each in (one, two):
            each.subscribe(room5.topic, noLocal=True)
        one.publish(room5.topic, b"of one")
        two.publish(room5.topic, b"of two")
        assert (one.message().payload, two.message().payload) == (b"of two", b"of one")


def test_retain_as_published(room5: Room) -> None:
    """Live messages keep their flag for who asks for it."""
    with room5.client() as one, room5.client("two") as two:
        one.subscribe(room5.topic, retainAsPublished=True)
        two.subscribe(room5.topic)
        for retain in (False, True):
            one.publish(room5.topic, b"x", retain=retain)
        assert [got.retain for got in one.messages(2)] == [False, True]
        assert [got.retain for got in two.messages(2)] == [False, False]
        one.publish(room5.topic, b"", retain=True)


@pytest.mark.parametrize(("handling", "times"), [(0, [1, 1]), (1, [1, 0]), (2, [0, 0])])
def test_retain_handling(room5: Room, handling: int, times: list[int]) -> None:
    """Retained messages at each SUBSCRIBE, at the first, or never."""
    with room5.client() as one:
        for qos in (0, 1, 2):
            one.publish(f"{room5.topic}/{qos}", b"kept", qos, retain=True)
        one.subscribe(f"{room5.topic}/end")
        for count in times:
            one.subscribe(f"{room5.topic}/+", retainHandling=handling)
            assert sorted(got.qos for got in one.messages(3 * count)) == [0, 1, 2] * count
            assert one.nothing_before(f"{room5.topic}/end")


def test_a_client_id_that_the_hub_gives(room5: Room) -> None:
    """A gateway knows its devices: the id is the device's own."""
    with room5.client(named=False) as one:
        assert one.told.AssignedClientIdentifier == "one"


def test_subscription_identifiers(room5: Room) -> None:
    """A message says which of one's subscriptions it came for: all of them."""
    with room5.client() as one, room5.client("two") as two:
        one.subscribe(room5.topic, identifier=456_789)
        two.subscribe(room5.topic, identifier=2)
        two.subscribe(f"{room5.topic}/#", identifier=3)
        two.publish(room5.topic, b"x")
        assert one.message().properties.SubscriptionIdentifier == [456_789]
        assert sorted(two.message().properties.SubscriptionIdentifier) == [2, 3]
        assert two.nothing_before(room5.topic)


def test_request_and_response(room5: Room) -> None:
    """The response goes where the request says, and with its correlation data."""
    with room5.client() as one, room5.client("two") as two:
        one.subscribe(f"{room5.topic}/answers")
        two.subscribe(f"{room5.topic}/questions")
        one.publish(f"{room5.topic}/questions", ResponseTopic=f"{room5.topic}/answers", CorrelationData=b"334")
        asked = two.message().properties
        two.publish(asked.ResponseTopic, b"response", CorrelationData=asked.CorrelationData)
        got = one.message()
        assert (got.payload, got.properties.CorrelationData) == (b"response", b"334")


def test_topic_aliases_of_the_client(room5: Room) -> None:
    """An alias stands for its topic until the connection ends."""
    with room5.client() as one:
        assert one.told.TopicAliasMaximum > 0
        one.subscribe(room5.topic)
        one.publish(room5.topic, b"first", TopicAlias=1)
        one.publish("", b"second", TopicAlias=1)
        assert [(got.topic, got.payload) for got in one.messages(2)] == [
            (room5.topic, b"first"),
            (room5.topic, b"second"),
        ]
    with room5.bare() as again:
        again.send(Publish("", b"third", 1, packet_id=1, properties=Properties(topic_alias=1)))
        assert again.receive().reason in {Reason.PROTOCOL_ERROR, Reason.TOPIC_ALIAS_INVALID}


def test_topic_alias_0(room5: Room) -> None:
    """There is none (3.3.2-8). Our encoder would not write it, nor would paho: the bytes are given."""
    with room5.bare() as one:
        topic = room5.topic.encode()
        rest = len(topic).to_bytes(2, "big") + topic + bytes([3, 0x23, 0, 0]) + b"x"
        one.socket.sendall(bytes([0x30, len(rest)]) + rest)
        assert one.receive().reason in {Reason.PROTOCOL_ERROR, Reason.TOPIC_ALIAS_INVALID}


@pytest.mark.parametrize("most", [0, 1])
def test_topic_aliases_of_the_hub(room5: Room, most: int) -> None:
    """As many as the client allows: the first message tells it, the next ones have it in the topic's place."""
    with room5.client().connect(TopicAliasMaximum=most) as one:
        one.subscribe(room5.topic)
        for qos in (0, 1, 2):
            one.publish(room5.topic, b"x", qos)
        got = one.messages(3)
    topics = sorted(each.topic for each in got)
    aliases = [getattr(each.properties, "TopicAlias", None) for each in got]
    assert topics == (["", "", room5.topic] if most else [room5.topic] * 3)
    assert aliases == [1 if most else None] * 3


def test_packets_that_are_too_large(room5: Room) -> None:
    """One that the client would not take is not sent to it; one that the hub does not take ends the connection."""
    with room5.client().connect(MaximumPacketSize=128) as one:
        assert one.told.MaximumPacketSize == PACKET_SIZE
        one.subscribe(room5.topic)
        one.publish(room5.topic, b"." * 64)
        one.publish(room5.topic, b"." * 128)
        assert one.message().payload == b"." * 64
        assert one.nothing_before(room5.topic)
        one.client.publish(room5.topic, b"." * PACKET_SIZE, 0)
        assert one.ended.get(timeout=TIMEOUT_SECONDS).value == Reason.PACKET_TOO_LARGE


def test_keep_alive_of_the_server(room5: Room) -> None:
    """A client that asks for more is told how long it may be silent."""
    with room5.client().connect(keep_alive=KEEP_ALIVE * 2) as one:
        assert one.told.ServerKeepAlive == KEEP_ALIVE


def test_no_more_than_the_client_takes(room5: Room) -> None:
    """Receive maximum 2, and nothing acknowledged: two messages, and the third after an acknowledgement (4.9)."""
    with room5.client(manual_ack=True).connect(ReceiveMaximum=2) as one, room5.client("two") as two:
        one.subscribe(room5.topic, 1)
        one.subscribe(f"{room5.topic}/0", 0)
        for body in (b"1", b"2", b"3"):
            two.publish(room5.topic, body)
        # QoS 0 does not count.
        two.publish(f"{room5.topic}/0", b"0", 0)
        first, second, third = one.messages(3)
        assert bodies([first, second, third]) == [b"1", b"2", b"0"]
        one.client.ack(first.mid, 1)
        assert one.message().payload == b"3"


def test_more_than_the_hub_takes(room5: Room) -> None:
    """One message of QoS 2 more than its receive maximum, none of them released: 0x93."""
    with room5.bare() as one:
        for number in range(RECEIVE_MAXIMUM + 1):
            one.send(Publish(room5.topic, b"x", 2, packet_id=number + 1))
        while (answer := one.receive()) is not None and hasattr(answer, "packet_id"):
            pass
        assert answer.reason == Reason.RECEIVE_MAXIMUM_EXCEEDED


def test_shared_subscriptions(room5: Room) -> None:
    """Each message to one of the two; what is not shared to both."""
    with room5.client() as one, room5.client("two") as two:
        for each in (one, two):
            each.subscribe(f"$share/work/{room5.topic}/x")
            each.subscribe(room5.topic)
        for number in range(4):
            two.publish(f"{room5.topic}/x", b"%d" % number)
        two.publish(room5.topic, b"all")
        shared = [*until(one, b"all"), *until(two, b"all")]
        assert sorted(shared) == [b"0", b"1", b"2", b"3"]


def until(client: PahoClient, last: bytes) -> list[bytes]:
    """What comes before the message that says it is the last."""
    return list(iter(lambda: client.message().payload, last))
