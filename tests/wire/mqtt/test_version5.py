"""MQTT 5: encoder and decoder against each other, bytes from the text, and what is refused with which reason.

The third judge is the field's own client library, whose property codec reads what ours writes.
"""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties

from leafward.errors import ProtocolError
from leafward.wire.mqtt import properties as codec
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionOptions,
    Unsuback,
    Unsubscribe,
    Will,
)
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import MqttFault, Reason, reason_of
from leafward.wire.mqtt.topics import shared

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
names = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=20)
small, ids, four = st.integers(1, 65535), st.integers(1, 65535), st.integers(0, 0xFFFF_FFFF)
flags, data = st.integers(0, 1), st.binary(max_size=40)
pairs = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
reasons = st.sampled_from([int(one) for one in Reason])

VALUES: dict[str, st.SearchStrategy[object]] = {
    "payload_format_indicator": flags,
    "message_expiry_interval": four,
    "content_type": texts,
    "response_topic": names,
    "correlation_data": data,
    "subscription_identifier": st.lists(st.integers(1, 0x0FFF_FFFF), min_size=1, max_size=1).map(tuple),
    "session_expiry_interval": four,
    "assigned_client_identifier": texts,
    "server_keep_alive": st.integers(0, 65535),
    "authentication_method": texts,
    "request_problem_information": flags,
    "will_delay_interval": four,
    "request_response_information": flags,
    "response_information": texts,
    "server_reference": texts,
    "reason_string": texts,
    "receive_maximum": small,
    "topic_alias_maximum": st.integers(0, 65535),
    "topic_alias": small,
    "maximum_qos": flags,
    "retain_available": flags,
    "user_property": pairs.filter(bool),
    "maximum_packet_size": st.integers(1, 0xFFFF_FFFF),
    "wildcard_subscription_available": flags,
    "subscription_identifier_available": flags,
    "shared_subscription_available": flags,
}


def properties(where: str) -> st.SearchStrategy[Properties | None]:
    """Any that may stand in the packet; None rather than an empty one, as the decoder has it."""
    fitting = {name: VALUES[name].map(lambda value: value) for name in VALUES if where in codec._BY_NAME[name][2]}
    some = st.fixed_dictionaries({}, optional=fitting).filter(bool).map(lambda found: Properties(**found))
    return st.none() | some


def acknowledged(kind: type, name: str) -> st.SearchStrategy[Packet]:
    return st.builds(kind, ids, reasons, properties(name))


wills = st.builds(Will, names, data, st.integers(0, 2), st.booleans(), properties("will"))
options = st.builds(SubscriptionOptions, st.integers(0, 2), st.booleans(), st.booleans(), st.integers(0, 2))
packets = st.one_of(
    st.builds(
        Connect,
        texts,
        st.integers(0, 65535),
        st.booleans(),
        st.none() | texts,
        st.none() | data,
        st.none() | wills,
        level=st.just(5),
        properties=properties("CONNECT"),
    ),
    st.builds(Connack, reasons, st.just(False), properties("CONNACK")),
    st.builds(Publish, names, data, st.just(0), st.booleans(), properties=properties("PUBLISH")),
    st.builds(Publish, names, data, st.integers(1, 2), st.booleans(), st.booleans(), ids, properties("PUBLISH")),
    acknowledged(Puback, "PUBACK"),
    acknowledged(Pubrec, "PUBREC"),
    acknowledged(Pubrel, "PUBREL"),
    acknowledged(Pubcomp, "PUBCOMP"),
    st.builds(
        Subscribe, ids, st.lists(st.tuples(names, options), min_size=1, max_size=3).map(tuple), properties("SUBSCRIBE")
    ),
    st.builds(Suback, ids, st.lists(reasons, min_size=1, max_size=3).map(tuple), properties("SUBACK")),
    st.builds(Unsubscribe, ids, st.lists(names, min_size=1, max_size=3).map(tuple), properties("UNSUBSCRIBE")),
    st.builds(Unsuback, ids, st.lists(reasons, min_size=1, max_size=3).map(tuple), properties("UNSUBACK")),
    st.builds(Disconnect, reasons, properties("DISCONNECT")),
    st.builds(Auth, reasons, properties("AUTH")),
    st.just(Pingreq()),
)


@settings(max_examples=150)
@given(st.lists(packets, min_size=1, max_size=4), st.integers(1, 50))
def test_what_one_end_writes_the_other_reads(sent: list[Packet], step: int) -> None:
    """However the network cuts it."""
    stream = b"".join(encode(packet, 5) for packet in sent)
    decoder, received = Decoder(level=5), []
    for start in range(0, len(stream), step):
        received += decoder.feed(stream[start : start + step])
    assert received == sent


@settings(max_examples=300)
@given(
    st.binary(max_size=60), st.sampled_from([0x10, 0x20, 0x30, 0x32, 0x40, 0x62, 0x82, 0x90, 0xA2, 0xB0, 0xE0, 0xF0])
)
def test_any_bytes_are_packets_or_a_protocol_error(body: bytes, first: int) -> None:
    with contextlib.suppress(ProtocolError):
        Decoder(level=5).feed(bytes((first, len(body))) + body)


@settings(max_examples=60)
@given(properties("PUBLISH"))
def test_the_fields_own_library_reads_our_properties(ours: Properties | None) -> None:
    theirs = PahoProperties(PacketTypes.PUBLISH)
    written = codec.write(ours, "PUBLISH")
    theirs, length = theirs.unpack(written)
    assert length == len(written)
    for name, value in theirs.json().items():
        field = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")
        expected = getattr(ours, field)
        if field == "correlation_data":
            assert bytes.fromhex(value) == expected
        elif field == "user_property":
            assert [tuple(one) for one in value] == list(expected)
        elif field == "subscription_identifier":
            assert value == list(expected)
        else:
            assert value == expected


def test_the_connect_says_which_version_follows() -> None:
    """One segment: CONNECT of version 5, then a PUBLISH with properties."""
    publish = Publish("a", b"x", properties=Properties(topic_alias=3))
    decoder = Decoder()
    connect = Connect("me", level=5)
    assert decoder.feed(encode(connect, 5) + encode(publish, 5)) == [connect, publish]
    assert decoder.level == 5


def test_bytes_from_the_text() -> None:
    """A PUBACK with success and nothing else is as short as in 3.1.1 (3.4.2.1)."""
    assert encode(Puback(10), 5) == bytes.fromhex("4002000a")
    assert encode(Puback(10, Reason.QUOTA_EXCEEDED), 5) == bytes.fromhex("4003000a97")
    assert encode(Disconnect(Reason.SESSION_TAKEN_OVER), 5) == bytes.fromhex("e0018e")
    assert encode(Connack(0, properties=Properties(topic_alias_maximum=10)), 5) == bytes.fromhex(
        "2006000003" + "22000a"
    )


@pytest.mark.parametrize(
    ("defect", "packet", "reason"),
    [
        ("topic alias 0", "30 07 0001 61 03 23 0000", Reason.TOPIC_ALIAS_INVALID),
        ("no topic and no alias", "30 03 0000 00", Reason.PROTOCOL_ERROR),
        ("QoS 3", "36 06 0001 61 0001 00", Reason.MALFORMED_PACKET),
        ("a property twice", "30 0a 0001 61 06 23 0001 23 0001", Reason.PROTOCOL_ERROR),
        ("a property of another packet", "30 07 0001 61 03 21 0001", Reason.MALFORMED_PACKET),
        ("no such property", "30 05 0001 61 01 7f", Reason.MALFORMED_PACKET),
        ("a flag that is 2", "30 06 0001 61 02 01 02", Reason.PROTOCOL_ERROR),
        ("properties longer than the packet", "30 04 0001 61 7f", Reason.MALFORMED_PACKET),
        ("a length longer than it needs", "c0 80 00", Reason.MALFORMED_PACKET),
        ("a property length longer than it needs", "30 05 0001 61 80 00", Reason.MALFORMED_PACKET),
        ("reserved bits in the options", "82 07 0001 00 0001 61 c0", Reason.MALFORMED_PACKET),
        ("QoS 3 in the options", "82 07 0001 00 0001 61 03", Reason.PROTOCOL_ERROR),
        ("no filter", "82 03 0001 00", Reason.PROTOCOL_ERROR),
        ("subscription identifier 0", "82 09 0001 02 0b00 0001 61 00", Reason.PROTOCOL_ERROR),
        ("receive maximum 0", "10 10 0004 4d515454 05 02 0000 03 21 0000 0000", Reason.PROTOCOL_ERROR),
        ("data without a method", "10 11 0004 4d515454 05 02 0000 04 16 0001 61 0000", Reason.PROTOCOL_ERROR),
        ("a wildcard in the response topic", "30 09 0001 61 05 08 0002 612b", Reason.PROTOCOL_ERROR),
        ("too large", "30 ff ff ff 7f", Reason.PACKET_TOO_LARGE),
    ],
)
def test_refused_with_its_reason(defect: str, packet: str, reason: Reason) -> None:
    level = 4 if packet.startswith("10") else 5
    with pytest.raises(ProtocolError) as refused:
        Decoder(level=level).feed(bytes.fromhex(packet))
    assert reason_of(refused.value) == reason, defect


def test_a_hundred_user_properties_and_no_more() -> None:
    with pytest.raises(MqttFault, match="too many"):
        Decoder(level=5).feed(encode(Publish("a", b"", properties=Properties(user_property=(("k", "v"),) * 101)), 5))


@pytest.mark.parametrize(
    "packet",
    [
        Publish("", b""),
        Publish("a", b"", properties=Properties(receive_maximum=1)),
        Subscribe(1, (("a", SubscriptionOptions(3)),)),
        Puback(0),
        Unsuback(1),
    ],
)
def test_what_may_not_be_sent_is_not_written(packet: Packet) -> None:
    with pytest.raises(ProtocolError):
        encode(packet, 5)


@pytest.mark.parametrize("text", ["$share//a", "$share/name", "$share/name/", "$share/n+/a", "$share/#/a"])
def test_a_malformed_share(text: str) -> None:
    with pytest.raises(ProtocolError):
        shared(text)
