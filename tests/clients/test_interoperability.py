"""What Paho's interoperability suites test in both versions of MQTT, in our own words, with paho-mqtt as the client.

Where paho itself would not do it (no acknowledgement, no ping, a second CONNECT) a bare connection does.
"""

import pytest

from leafward.wire.mqtt.packets import Disconnect, Publish, Will
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.clients.interoperability import REFUSED_FILTER, Room, message_from
from tests.clients.mqtt_client import MqttClient
from tests.clients.paho_client import LASTING_SECONDS


def test_every_qos_to_oneself(room: Room) -> None:
    """Three messages go out and come back, each at its QoS."""
    with room.client() as one:
        assert not one.present
        assert one.subscribe(room.topic) == 2
        for qos in (0, 1, 2):
            one.publish(room.topic, b"%d" % qos, qos)
        assert sorted((got.payload, got.qos) for got in one.messages(3)) == [(b"0", 0), (b"1", 1), (b"2", 2)]


def test_connected_twice(room: Room) -> None:
    """A second CONNECT on a connection ends it (3.1.0-2)."""
    with room.bare() as one:
        one.send(room.connecting("one"))
        answer = one.receive()
        assert answer is None if room.version == 4 else answer.reason == Reason.PROTOCOL_ERROR


def test_another_protocol(room: Room) -> None:
    """A CONNECT of something that is not MQTT is answered by nothing."""
    with MqttClient(room.plant.edge, port=room.plant.port) as other:
        name = b"hj"
        other.socket.sendall(bytes([0x10, 12, 0, 2, *name, room.version, 2, 0, 60, 0, 2, *b"on"]))
        assert other.receive() is None


def test_retained(room: Room) -> None:
    """Whoever comes later gets them, each at its QoS; empty ones take them away."""
    with room.client() as one:
        for qos in (0, 1, 2):
            one.publish(f"{room.topic}/{qos}", b"%d" % qos, qos, retain=True)
        one.subscribe(f"{room.topic}/+")
        assert sorted((got.payload, got.qos) for got in one.messages(3)) == [(b"0", 0), (b"1", 1), (b"2", 2)]
    with room.client() as one:
        for qos in (0, 1, 2):
            one.publish(f"{room.topic}/{qos}", b"", qos, retain=True)
        one.subscribe(f"{room.topic}/+")
        assert one.nothing_before(f"{room.topic}/0")


def test_will(room: Room) -> None:
    """A connection that is lost has its will published, at its QoS."""
    with room.client("two") as two:
        two.subscribe(room.topic)
        with room.bare(will=Will(room.topic, b"gone", 2)):
            pass
        got = two.message()
        assert (got.payload, got.qos, got.retain) == (b"gone", 2, False)


def test_silence(room: Room) -> None:
    """Who neither sends nor pings is gone after one and a half keep-alive periods (3.1.2-24), and its will comes."""
    with room.client("two") as two:
        two.subscribe(room.topic)
        with room.bare(will=Will(room.topic, b"silent", 1), keep_alive=1) as silent:
            assert two.message().payload == b"silent"
            answer = silent.receive()
            assert answer is None if room.version == 4 else answer.reason == Reason.KEEP_ALIVE_TIMEOUT


def test_no_client_id(room: Room) -> None:
    """The hub gives one; in 3.1.1 not to a session that is to last (3.1.3-8)."""
    with room.client(named=False) as one:
        assert one.connack[1].value == 0
        if room.version == 5:
            assert one.told.AssignedClientIdentifier == "one"
    with MqttClient(room.plant.edge, port=room.plant.port, level=room.version) as lasting:
        lasting.send(room.connecting("one", client_id="", clean_session=False))
        assert lasting.receive().return_code == (2 if room.version == 4 else 0)


def test_messages_for_who_is_away(room: Room) -> None:
    """A session that lasts gets what came meanwhile: QoS 1 and 2."""
    one = room.client().connect()
    one.leave()
    one.connect(clean=False)
    assert not one.present
    one.subscribe(f"{room.topic}/#")
    one.leave()
    with room.client("two") as two:
        for qos in (0, 1, 2):
            two.publish(f"{room.topic}/{qos}", b"%d" % qos, qos)
    with one.connect(clean=False):
        assert one.present
        assert [got.payload for got in one.messages(2)] == [b"1", b"2"]
        assert one.nothing_before(f"{room.topic}/last")


def test_overlapping_subscriptions(room: Room) -> None:
    """Two filters take a topic: one message, at the higher QoS (3.3.5-1)."""
    with room.client() as one:
        assert one.subscribe(f"{room.topic}/#", 2) == 2
        assert one.subscribe(f"{room.topic}/+", 1) == 1
        one.publish(f"{room.topic}/c", b"once", 2)
        got = one.message()
        assert (got.payload, got.qos) == (b"once", 2)
        assert one.nothing_before(f"{room.topic}/c")


def test_what_was_not_acknowledged_comes_again(room: Room) -> None:
    """QoS 1 and 2 on the next connection of the session: the same ids, with DUP (4.4.0-1, 3.3.1-1)."""
    with room.client() as one:
        assert one.connack
    lasting = {"properties": Properties(session_expiry_interval=LASTING_SECONDS)} if room.version == 5 else {}
    with room.bare(clean_session=False, **lasting) as deaf, room.client("two") as two:
        room.subscribed(deaf, room.topic)
        for qos in (1, 2):
            two.publish(room.topic, b"%d" % qos, qos)
        first = [message_from(deaf) for _ in range(2)]
        assert not any(got.dup for got in first)
        deaf.send(Disconnect())
    with room.bare(clean_session=False, **lasting) as again:
        second = [message_from(again) for _ in range(2)]
        assert all(got.dup for got in second)
        assert [key(got) for got in second] == [key(got) for got in first] == [(b"1", 1, 1), (b"2", 2, 2)]
    with room.client() as one:
        assert one.connack


def key(message: Publish) -> tuple[bytes, int, int | None]:
    return message.payload, message.qos, message.packet_id


def test_a_subscription_that_is_refused(room: Room) -> None:
    """3.1.1 has one code for it; 5 says why."""
    with room.client() as one:
        assert one.subscribe(REFUSED_FILTER) == (0x80 if room.version == 4 else Reason.NOT_AUTHORIZED)


@pytest.mark.parametrize("topic", ["$room/x/y", "$SYS/x/y"])
def test_topics_of_the_server(room: Room, topic: str) -> None:
    """Nobody publishes on '$' topics but the hub, and a leading wildcard takes none (4.7.2-1).

    3.1.1 has no word for a PUBLISH that is refused, so the connection ends.
    """
    with room.client("two") as two:
        assert two.subscribe("+/+/+") == 2
        if room.version == 5:
            with room.client() as one:
                assert one.publish(topic) == Reason.NOT_AUTHORIZED
        else:
            with room.bare() as bare:
                bare.send(Publish(topic, b"x", 1, packet_id=1))
                assert bare.receive() is None
        assert two.nothing_before(f"{room.topic}/last")


def test_unsubscribed(room: Room) -> None:
    """What was unsubscribed comes no more, and the rest does."""
    with room.client("two") as two, room.client() as one:
        for name in "abc":
            two.subscribe(f"{room.topic}/{name}")
        two.unsubscribe(f"{room.topic}/a")
        for name in "abc":
            one.publish(f"{room.topic}/{name}", name.encode())
        assert [got.payload for got in two.messages(2)] == [b"b", b"c"]
