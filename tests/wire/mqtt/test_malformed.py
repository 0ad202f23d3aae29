"""Malformed packets, each named after its defect: the decoder refuses every one, at once and byte by byte."""

import pytest

from leafward.errors import ProtocolError
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    Connack,
    Connect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsubscribe,
    Will,
)

MALFORMED = {
    "packet_type_0": "0000",
    "packet_type_15": "f000",
    "remaining_length_of_five_bytes": "30ffffffff01",
    "connect_with_flags": "110c00044d515454040200000000",
    "connect_empty": "1000",
    "connect_protocol_name_wrong": "100c00044d515455040200000000",
    "connect_reserved_flag": "100c00044d515454040300000000",
    "connect_will_qos_without_will": "100c00044d515454040a00000000",
    "connect_will_retain_without_will": "100c00044d515454042200000000",
    "connect_will_qos_3": "101200044d515454041e00000000" + "000161" + "000162",
    "connect_will_topic_wildcard": "101200044d515454040600000000" + "000123" + "000162",
    "connect_password_without_username": "100f00044d515454044200000000" + "000161",
    "connect_client_id_cut_off": "100c00044d515454040200000005",
    "connect_byte_after_its_end": "100d00044d51545404020000000000",
    "connect_client_id_not_utf8": "100d00044d515454040200000001ff",
    "connect_client_id_with_nul": "100d00044d51545404020000000100",
    "connack_reserved_flags": "20020200",
    "connack_return_code_6": "20020006",
    "connack_session_of_a_refused_one": "20020105",
    "connack_short": "200100",
    "publish_qos_3": "3605000161" + "0001",
    "publish_dup_with_qos_0": "3803000161",
    "publish_empty": "3000",
    "publish_half_a_topic_length": "300100",
    "publish_topic_longer_than_the_packet": "3003000461",
    "publish_topic_reaches_into_the_next_packet": "3004000861623003000161",
    "publish_topic_empty": "30020000",
    "publish_topic_with_plus": "300300012b",
    "publish_topic_with_hash": "3003000123",
    "publish_topic_with_nul": "3003000100",
    "publish_topic_overlong_utf8": "30040002c080",
    "publish_topic_surrogate": "30050003eda080",
    "publish_qos_1_without_packet_id": "3203000161",
    "publish_qos_1_half_a_packet_id": "320400016100",
    "publish_qos_1_packet_id_0": "32050001610000",
    "puback_flags": "41020001",
    "puback_packet_id_0": "40020000",
    "puback_short": "400100",
    "puback_long": "4003000100",
    "pubrel_without_its_flag": "60020001",
    "pubrec_packet_id_0": "50020000",
    "subscribe_without_its_flag": "8006000100016100",
    "subscribe_without_filters": "82020001",
    "subscribe_packet_id_0": "8206000000016100",
    "subscribe_qos_3": "8206000100016103",
    "subscribe_reserved_bits": "8206000100016180",
    "subscribe_without_qos": "82050001000161",
    "subscribe_filter_empty": "82050001000000",
    "subscribe_filter_hash_in_the_middle": "820800010003232f6100",
    "subscribe_filter_hash_beside_text": "82070001000261" + "2300",
    "subscribe_filter_plus_beside_text": "8207000100022b6100",
    "suback_reserved_code": "9003000103",
    "suback_without_codes": "90020001",
    "unsubscribe_without_filters": "a2020001",
    "subscribe_65_filters": "8286020001" + "00016100" * 65,
    "unsubscribe_65_filters": "a2c5010001" + "000161" * 65,
    "unsubscribe_without_its_flag": "a0050001000161",
    "unsuback_long": "b003000100",
    "pingreq_with_a_body": "c00100",
    "pingreq_flags": "c100",
    "disconnect_with_a_body": "e00100",
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_refused(defect: str) -> None:
    """The defect alone in a stream -> ProtocolError, and the decoder stays refused."""
    raw = bytes.fromhex(MALFORMED[defect])
    whole, slow = Decoder(), Decoder()
    with pytest.raises(ProtocolError):
        whole.feed(raw)
    with pytest.raises(ProtocolError):
        whole.feed(b"\xc0\x00")
    with pytest.raises(ProtocolError):
        [slow.feed(bytes((byte,))) for byte in raw]


def test_as_many_filters_as_a_packet_may_have() -> None:
    """64; a device could otherwise make the broker judge 65,000 of them in one packet."""
    for packet in (Subscribe(1, (("a", 0),) * 64), Unsubscribe(1, ("a",) * 64)):
        assert Decoder().feed(encode(packet)) == [packet]


@pytest.mark.parametrize("limit", [1024, 256 * 1024])
def test_oversized_is_refused_by_its_head_alone(limit: int) -> None:
    """The fixed header promises more than the limit -> refused before a byte of the body came; one byte less waits."""
    size = limit - 4  # three bytes of length
    for extra, refused in ((0, False), (1, True)):
        length = size + extra
        head = bytes((0x30, length & 127 | 128, length >> 7 & 127 | 128, length >> 14))
        decoder = Decoder(max_packet_size=limit)
        if refused:
            with pytest.raises(ProtocolError, match="too large"):
                decoder.feed(head)
        else:
            assert decoder.feed(head) == []


@pytest.mark.parametrize(
    ("name", "level"), [(b"MQTT", 6), (b"MQTT", 3), (b"MQTT", 0), (b"MQTT", 0x84), (b"MQIsdp", 3), (b"MQIsdp", 4)]
)
def test_another_level_is_told_not_refused(name: bytes, level: int) -> None:
    """3.1.2-2: the server must be able to answer 0x01, so CONNECT comes through with nothing but its level."""
    body = len(name).to_bytes(2, "big") + name + bytes((level,)) + b"\x02\0\0" + b"\x00\x00\x00anything"
    (packet,) = Decoder().feed(bytes((0x10, len(body))) + body)
    assert isinstance(packet, Connect)
    assert (packet.protocol_name, packet.client_id) == (name.decode(), "")
    assert packet.level != 4


def test_a_byte_order_mark_stays() -> None:
    """1.5.3-3: U+FEFF is a character like any other."""
    assert Decoder().feed(bytes.fromhex("30050003efbbbf")) == [Publish("\ufeff", b"")]


UNWRITABLE: dict[str, Packet] = {
    "topic_empty": Publish("", b""),
    "topic_wildcard": Publish("a/#", b""),
    "topic_nul": Publish("a\0", b""),
    "topic_surrogate": Publish("\ud800", b""),
    "topic_too_long": Publish("a" * 65536, b""),
    "qos_3": Publish("a", b"", 3, packet_id=1),
    "qos_0_with_packet_id": Publish("a", b"", 0, packet_id=1),
    "qos_0_with_dup": Publish("a", b"", 0, dup=True),
    "qos_1_without_packet_id": Publish("a", b"", 1),
    "packet_id_0": Puback(0),
    "packet_id_65536": Puback(65536),
    "password_without_username": Connect("a", password=b"p"),
    "will_qos_3": Connect("a", will=Will("a", b"", 3)),
    "username_too_long": Connect("a", username="u" * 65536),
    "password_too_long": Connect("a", username="u", password=bytes(65536)),
    "connack_6": Connack(6),
    "connack_session_of_a_refused_one": Connack(5, True),
    "subscribe_nothing": Subscribe(1, ()),
    "subscribe_qos_3": Subscribe(1, (("a", 3),)),
    "subscribe_bad_filter": Subscribe(1, (("a#", 0),)),
    "suback_nothing": Suback(1, ()),
    "suback_3": Suback(1, (3,)),
    "unsubscribe_nothing": Unsubscribe(1, ()),
    "subscribe_65_filters": Subscribe(1, (("a", 0),) * 65),
    "unsubscribe_65_filters": Unsubscribe(1, ("a",) * 65),
}


@pytest.mark.parametrize("defect", UNWRITABLE)
def test_the_encoder_holds_to_the_same_rules(defect: str) -> None:
    """What a decoder would refuse is not sent."""
    with pytest.raises(ProtocolError):
        encode(UNWRITABLE[defect])


def test_more_than_mqtt_can_carry_is_not_encoded() -> None:
    """2.2.3: 268,435,455 bytes and no more."""

    class Huge(bytes):
        def __len__(self) -> int:
            return 268_435_453

    with pytest.raises(ProtocolError, match="too large"):
        encode(Publish("a", Huge()))
