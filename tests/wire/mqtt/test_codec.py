"""Encoder and decoder against each other: what one end writes, the other reads, however the network cuts it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import ProtocolError
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
names = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=60)
filters = st.lists(st.one_of(st.just("+"), names.map(lambda text: text.replace("/", "-"))), min_size=1, max_size=4).map(
    "/".join
) | names.map(lambda text: f"{text}/#")
ids = st.integers(1, 65535)
payloads = st.binary(max_size=300)
wills = st.builds(Will, names, payloads, st.integers(0, 2), st.booleans())


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    username = draw(st.none() | texts)
    password = draw(st.none() | payloads) if username is not None else None
    keep_alive = draw(st.integers(0, 65535))
    return Connect(draw(texts), keep_alive, draw(st.booleans()), username, password, draw(st.none() | wills))


publishes = st.one_of(
    st.builds(Publish, names, payloads, st.just(0), st.booleans()),
    st.builds(Publish, names, payloads, st.integers(1, 2), st.booleans(), st.booleans(), ids),
)
packets = st.one_of(
    connects(),
    st.builds(Connack, st.integers(0, 5)),
    st.just(Connack(0, True)),
    publishes,
    *(st.builds(kind, ids) for kind in (Puback, Pubrec, Pubrel, Pubcomp, Unsuback)),
    st.builds(Subscribe, ids, st.lists(st.tuples(filters, st.integers(0, 2)), min_size=1, max_size=4).map(tuple)),
    st.builds(Suback, ids, st.lists(st.sampled_from([0, 1, 2, 128]), min_size=1, max_size=4).map(tuple)),
    st.builds(Unsubscribe, ids, st.lists(filters, min_size=1, max_size=4).map(tuple)),
    *(st.just(kind()) for kind in (Pingreq, Pingresp, Disconnect)),
)


@given(packets)
def test_every_packet_survives_the_wire(packet: Packet) -> None:
    """encode -> Decoder gives the packet back, alone and whole."""
    assert Decoder().feed(encode(packet)) == [packet]


@given(st.lists(packets, max_size=6))
def test_byte_by_byte_is_all_at_once(sent: list[Packet]) -> None:
    """One segment, or one byte a segment: the same packets in the same order."""
    stream = b"".join(map(encode, sent))
    slow = Decoder()
    trickled = [packet for byte in stream for packet in slow.feed(bytes((byte,)))]
    assert trickled == Decoder().feed(stream) == sent


@given(st.lists(packets, min_size=1, max_size=6), st.data())
def test_any_cut_gives_the_same(sent: list[Packet], data: st.DataObject) -> None:
    """Segments cut anywhere, of any buffer type."""
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    kinds = data.draw(st.lists(st.sampled_from([bytes, bytearray, memoryview]), min_size=6, max_size=6))
    decoder, got = Decoder(), []
    for start, stop, kind in zip([0, *cuts], [*cuts, len(stream)], kinds, strict=False):
        got += decoder.feed(kind(stream[start:stop]))
    assert got == sent


@given(st.binary(max_size=200))
def test_garbage_gives_packets_or_a_protocol_error(garbage: bytes) -> None:
    """No input makes the decoder raise anything else; what it takes, the encoder can write."""
    decoder = Decoder(max_packet_size=4096)
    try:
        got = decoder.feed(garbage)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            decoder.feed(b"")
        return
    for packet in got:
        if not (isinstance(packet, Connect) and packet.level != 4):
            assert Decoder().feed(encode(packet)) == [packet]


@given(packets, st.data())
def test_one_flipped_byte_never_crashes(packet: Packet, data: st.DataObject) -> None:
    """A packet with one byte changed is another packet, an incomplete one, or a protocol error."""
    raw = bytearray(encode(packet))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ProtocolError):
        Decoder(max_packet_size=4096).feed(raw)


def test_the_buffer_may_be_used_again() -> None:
    """What was decoded does not change when the caller overwrites its buffer."""
    buffer = bytearray(encode(Publish("a/b", b"first")))
    (packet,) = Decoder().feed(memoryview(buffer))
    buffer[:] = b"x" * len(buffer)
    assert packet == Publish("a/b", b"first")


def test_a_large_packet_byte_by_byte_costs_no_more_than_its_size() -> None:
    """200 kB in one-byte segments: nothing is looked at before it is complete."""
    stream = encode(Publish("a", bytes(200_000)))
    decoder = Decoder()
    packets = [packet for byte in stream for packet in decoder.feed(bytes((byte,)))]
    assert packets == [Publish("a", bytes(200_000))]


@pytest.mark.parametrize(
    ("size", "head"),
    [(0, "3003"), (124, "307f"), (125, "308001"), (16380, "30ff7f"), (16381, "30808001"), (2097149, "3080808001")],
)
def test_the_remaining_length_grows_as_in_table_2_4(size: int, head: str) -> None:
    """2.2.3: one byte to 127, two to 16383, three to 2097151, four beyond."""
    raw = encode(Publish("a", bytes(size)))
    assert raw.hex().startswith(head)
    assert Decoder(max_packet_size=3_000_000).feed(raw) == [Publish("a", bytes(size))]


def test_what_python_and_node_send_is_read() -> None:
    """A CONNECT with flags 0x80 (certificate), and one with a token, as captured from the SDKs."""
    username = b"hub.example/leaf1/?api-version=2019-10-01&DeviceClientType=x"
    body = b"\0\4MQTT\4\x80\0\x3c\0\5leaf1" + len(username).to_bytes(2, "big") + username
    (packet,) = Decoder().feed(bytes((0x10, len(body))) + body)
    assert packet == Connect("leaf1", 60, False, username.decode())


def test_a_password_is_not_in_the_repr() -> None:
    """Packets may be logged, secrets may not."""
    assert "s3cret" not in repr(Connect("d", username="u", password=b"s3cret"))
