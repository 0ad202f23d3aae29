"""Which first bytes of a connection can still become a CONNECT."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import ProtocolError
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.opening import LOOKED_AT, check_opening
from leafward.wire.mqtt.packets import Connect

OLD = bytes.fromhex("10 12 00 06 4d 51 49 73 64 70 03 02 00 3c 00 04 6c 65 61 66")


@pytest.mark.parametrize("size", [1, 200, 20_000])
@pytest.mark.parametrize("level", [4, 5])
def test_every_beginning_of_a_connect(level: int, size: int) -> None:
    """Of one whose length takes one, two or three bytes."""
    whole = encode(Connect("x" * size, level=level), level)
    for end in range(LOOKED_AT + 2):
        check_opening(whole[:end])


def test_mqtt_3_1() -> None:
    """Its clients are told which version we speak: that is the decoder's to read."""
    for end in range(len(OLD)):
        check_opening(OLD[:end])


@pytest.mark.parametrize(
    "first", ["47", "00", "11", "30", "c000", "1002abcd", "10250005", "10ffffff7f0005", "10 25 0006 4d5154"]
)
def test_what_is_none(first: str) -> None:
    with pytest.raises(ProtocolError):
        check_opening(bytes.fromhex(first))


@given(st.binary(max_size=20))
@settings(max_examples=100)
def test_only_what_a_connect_may_begin_with(data: bytes) -> None:
    """Whatever comes, it is taken or refused, and what is refused is refused with more bytes too."""
    try:
        check_opening(data[:8])
    except ProtocolError:
        with pytest.raises(ProtocolError):
            check_opening(data)
