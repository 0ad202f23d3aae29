"""Messages to devices: read from either form of request, written as a topic and as headers."""

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import InputError
from leafward.wire.devicebound import (
    CONTENT_TYPE,
    DeviceMessage,
    expiry_of,
    received_headers,
    topic_of,
    waiting,
)
from leafward.wire.property_bag import read_pairs

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.isprintable)
NAME = TEXT.filter(lambda name: not name.lower().startswith(("$", "iothub-")))


@dataclass
class Kept:
    """A message as the store has it."""

    body: bytes = b"x"
    properties: dict[str, str] = field(default_factory=dict)
    system: dict[str, str] = field(default_factory=dict)
    device_id: str = "leaf1"
    module_id: str | None = None
    output: str | None = None
    enqueued: datetime = NOW
    id: int | None = 7


@given(body=st.binary(max_size=50), properties=st.dictionaries(NAME, TEXT, max_size=3))
@settings(max_examples=40)
def test_the_json_form_takes_any_property(body: bytes, properties: dict[str, str]) -> None:
    """What the command writes is what the hub reads; and what the SDKs find in the topic."""
    sent = DeviceMessage(body, properties, {"messageId": "m1", "iothub-ack": "full"})
    read = DeviceMessage.of_request({"Content-Type": f"{CONTENT_TYPE}; charset=utf-8"}, sent.to_json())
    assert read == sent
    kept = Kept(properties=properties, system=read.stamped("leaf1", "other"))
    base, _, bag = topic_of("leaf1", kept).rpartition("/")
    assert base == "devices/leaf1/messages/devicebound"
    to = {"$.mid": "m1", "$.to": "/devices/leaf1/messages/devicebound", "iothub-ack": "full"}
    assert read_pairs(bag) == {**to, **properties}


def test_the_form_of_headers() -> None:
    """Names of properties keep their case; a time is written in UTC; what only the hub says is passed over."""
    headers = {
        "iothub-app-Colour": "red",
        "IoTHub-MessageId": "m1",
        "iothub-expiry": "2026-07-01T15:00:00+02:00",
        "iothub-to": "/devices/other/messages/devicebound",
        "Content-Type": "text/plain",
    }
    message = DeviceMessage.of_request(headers, b"body")
    assert (message.body, message.properties) == (b"body", {"Colour": "red"})
    assert message.system == {"messageId": "m1", "expiryTimeUtc": "2026-07-01T13:00:00Z"}
    assert message.expiry == datetime(2026, 7, 1, 13, tzinfo=UTC)


def entry(**fields: object) -> bytes:
    """One message in the JSON form."""
    return json.dumps([{"body": base64.b64encode(b"x").decode(), **fields}]).encode()


def test_a_body_that_is_not_base64() -> None:
    assert (
        DeviceMessage.of_request({"Content-Type": CONTENT_TYPE}, entry(body="ü", base64Encoded=False)).body
        == "ü".encode()
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"[1]",
        entry() + b" x",
        json.dumps([*json.loads(entry()), *json.loads(entry())]).encode(),
        entry(body="no base64"),
        entry(properties={"iothub-app-x": 1}),
        entry(properties={"iothub-app-$.mid": "x"}),
        entry(properties={"iothub-app-iothub-ack": "full"}),
        entry(properties={"iothub-app-a": "line\nbreak"}),
        entry(properties={"iothub-ack": "perhaps"}),
        entry(properties={"iothub-expiry": "tomorrow"}),
        entry(properties={"iothub-expiry": "2030-01-01T00:00:00"}),
        entry(properties={"iothub-messageid": "x" * 129}),
        entry(properties={"iothub-app-a": "(" * 30_000}),
    ],
)
def test_a_message_that_is_refused(body: bytes) -> None:
    with pytest.raises(InputError):
        DeviceMessage.of_request({"Content-Type": CONTENT_TYPE}, body)


def test_when_a_message_is_over() -> None:
    """As its sender said, else after the time that the operator has set."""
    hour = timedelta(hours=1)
    assert expiry_of(Kept(), hour) == NOW + hour
    assert expiry_of(Kept(system={"expiryTimeUtc": "2026-07-01T12:00:05Z"}), hour) == NOW + timedelta(seconds=5)


def test_what_a_device_and_an_operator_see() -> None:
    kept = Kept(b'{"n":1}', {"a b": "c"}, {"messageId": "m1", "iothub-ack": "none"})
    assert received_headers(kept, 2, NOW) == {
        "iothub-messageid": "m1",
        "iothub-ack": "none",
        "iothub-app-a%20b": "c",
        "iothub-sequencenumber": "7",
        "iothub-enqueuedtime": "2026-07-01T12:00:00Z",
        "iothub-expiry": "2026-07-01T12:00:00Z",
        "iothub-deliverycount": "2",
    }
    shown = waiting(kept, 2, NOW)
    assert (shown["id"], shown["attempts"], shown["expires"]) == (7, 2, "2026-07-01T12:00:00Z")
    assert (shown["body"], shown["properties"]) == ({"n": 1}, {"a b": "c"})
