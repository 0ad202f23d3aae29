"""A PUBLISH written once for many: byte for byte what the encoder writes for each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import ProtocolError
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Publish
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.publish_frame import PublishFrame

PROPERTIES = st.sampled_from([None, Properties(content_type="text/plain", subscription_identifier=(1, 300))])


@given(
    st.text("ab/é", min_size=1, max_size=40),
    st.integers(0, 70_000).map(bytes),
    st.sampled_from([1, 2]),
    st.booleans(),
    st.integers(1, 0xFFFF),
    st.sampled_from([4, 5]),
    PROPERTIES,
)
@settings(max_examples=60, deadline=None)
def test_the_same_bytes(
    topic: str, payload: bytes, qos: int, retain: bool, packet_id: int, level: int, properties: Properties | None
) -> None:
    """Lengths of one to three bytes, both versions, with DUP and without."""
    frame = PublishFrame.of(Publish(topic, payload, qos, retain, properties=properties), level)
    for dup, written in ((False, frame.with_id(packet_id)), (True, frame.again(packet_id)), (False, frame.with_id(7))):
        number = 7 if written == frame.with_id(7) else packet_id
        assert written == encode(Publish(topic, payload, qos, retain, dup, number, properties), level)


@pytest.mark.parametrize("topic", ["", "a/#", "\ud800", "x" * 65_536])
def test_a_topic_that_fits_in_no_packet(topic: str) -> None:
    """As the encoder refuses it."""
    with pytest.raises(ProtocolError):
        PublishFrame.of(Publish(topic, b"", 1))
