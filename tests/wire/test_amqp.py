"""The pure parts of AMQP: the SASL frames, the addresses, and what a message's properties mean.

Frames and addresses are the standard's and IoT Hub's; what is mapped comes back as it was.
"""

import struct
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import InputError, LeafwardError, ProtocolError
from leafward.wire.access_policy import Permission, parse_permission, parse_policy_name, service_connection_string
from leafward.wire.amqp_addresses import Address, Place, parse_address, parse_destination
from leafward.wire.amqp_messages import AmqpContent, content_for_input, device_message_of, telemetry_of, text_of
from leafward.wire.amqp_sasl import (
    AMQP_HEADER,
    SASL_HEADER,
    Header,
    Opening,
    Outcome,
    SaslInit,
    mechanisms_frame,
    outcome_frame,
    plain_login,
)
from leafward.wire.hub_topics import Telemetry

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def frame(body: bytes, *, kind: int = 1) -> bytes:
    return struct.pack(">IBBH", len(body) + 8, 2, kind, 0) + body


def init(mechanism: bytes, response: bytes | None = None, hostname: bytes | None = None) -> bytes:
    fields = b"\xa3" + bytes([len(mechanism)]) + mechanism
    fields += b"\x40" if response is None else b"\xb0" + struct.pack(">I", len(response)) + response
    fields += b"\x40" if hostname is None else b"\xa1" + bytes([len(hostname)]) + hostname
    return frame(b"\x00\x53\x41\xd0" + struct.pack(">II", len(fields) + 4, 3) + fields)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_login_in_pieces(size: int) -> None:
    """header, sasl-init, header, and what follows, however it is cut."""
    data = SASL_HEADER + init(b"PLAIN", b"\x00me\x00secret", b"hub") + AMQP_HEADER + b"rest"
    opening, found = Opening(), []
    for at in range(0, len(data), size):
        opening.feed(data[at : at + size])
        while (step := opening.next() if len(found) < 3 else None) is not None:
            found.append(step)
            if isinstance(step, SaslInit):
                opening.logged_in()
    assert found == [Header.SASL, SaslInit("PLAIN", b"\x00me\x00secret", "hub"), Header.AMQP]
    assert opening.rest == b"rest"
    assert "secret" not in repr(found[1])


def test_what_the_server_says() -> None:
    """Byte for byte (5.3.3.1, 5.3.3.6)."""
    assert mechanisms_frame(["PLAIN"]) == frame(b"\x00\x53\x40\xc0\x0b\x01\xe0\x08\x01\xa3\x05PLAIN")
    assert outcome_frame(Outcome.AUTH) == frame(b"\x00\x53\x44\xc0\x03\x01\x50\x01")


@pytest.mark.parametrize(
    "data",
    [
        b"GET",
        b"AMQP\x01",
        SASL_HEADER + struct.pack(">IBBH", 9000, 2, 1, 0),
        SASL_HEADER + struct.pack(">IBBH", 7, 2, 1, 0),
        SASL_HEADER + struct.pack(">IBBH", 8, 9, 1, 0),
        SASL_HEADER + frame(b"\x00\x53\x41\x45", kind=0),
        SASL_HEADER + frame(b""),
        SASL_HEADER + frame(b"\x00\x53\x41\x45"),
        SASL_HEADER + frame(b"\x00\x53\x43\xc0\x03\x01\xa0\x00"),
        SASL_HEADER + frame(b"\x00\x53\x41\xc0\x04\x09\xa3\x00"),
        SASL_HEADER + frame(b"\x00\x53\x41\xc0\x05\x01\xa3\x01\xff"),
        SASL_HEADER + frame(b"\x00\x53\x41\xc0\x05\x01\xa3\x50x"),
        SASL_HEADER + frame(b"\x00\xa3\x01x\x45"),
    ],
)
def test_what_is_no_login(data: bytes) -> None:
    opening = Opening()
    opening.feed(data)
    with pytest.raises(ProtocolError):
        list(iter(opening.next, None))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=64), st.booleans())
def test_garbage_is_an_error_of_ours(data: bytes, in_sasl: bool) -> None:
    opening = Opening()
    opening.feed((SASL_HEADER if in_sasl else b"") + data)
    try:
        while isinstance(opening.next(), Header):
            pass
    except LeafwardError:
        pass


def test_plain() -> None:
    """RFC 4616: the password is never in what is said about it."""
    assert plain_login(b"\x00me\x00word") == ("me", "word")
    for response in (
        None,
        b"",
        b"me\x00word",
        b"\x00\x00word",
        b"\x00me\x00",
        b"\x00me\x00wo\x00rd",
        b"\x00me\x00\xff",
    ):
        with pytest.raises(ProtocolError) as caught:
            plain_login(response)
        assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("$cbs", Address(Place.CBS)),
        ("/messages/devicebound", Address(Place.TO_DEVICES)),
        ("amqps://gateway.test:5671/messages/deviceBound", Address(Place.TO_DEVICES)),
        ("/messages/serviceBound/feedback", Address(Place.FEEDBACK)),
        ("/messages/servicebound/feedback/", Address(Place.FEEDBACK)),
        ("devices/pump-7/messages/events", Address(Place.EVENTS, "pump-7")),
        ("/devices/a%40b/messages/deviceBound", Address(Place.INBOX, "a@b")),
        ("/devices/d/modules/m/twin", Address(Place.TWIN, "d", "m")),
        ("amqps://h/devices/d/modules/m/methods/devicebound", Address(Place.METHODS, "d", "m")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "/",
        "/devices",
        "/devices/d",
        "/devices/d/files",
        "/devices/d/modules/m",
        "/devices//twin",
        "/devices/../twin",
        "/devices/a b/twin",
        "/devices/%ff/twin",
        "/devices/d/modules/ /twin",
        "/messages/serviceBound/filenotifications",
        "/" + "x" * 2000,
    ],
)
def test_no_addresses(text: str | None) -> None:
    with pytest.raises(InputError):
        parse_address(text)


def test_destinations() -> None:
    """Where a service's message goes."""
    assert parse_destination("/devices/d/messages/deviceBound") == ("d", None)
    assert parse_destination("/devices/d/modules/m/messages/devicebound") == ("d", "m")
    for text in (None, "", "/messages/devicebound", "/devices/d/messages/events"):
        with pytest.raises(InputError):
            parse_destination(text)


def test_system_properties() -> None:
    """AMQP's own, and those that SDKs write elsewhere."""
    content = AmqpContent(
        b"x",
        message_id=UUID(int=1),
        correlation_id=7,
        user_id=b"me",
        content_type="text/plain",
        content_encoding="utf-8",
        expiry=NOW,
        created=NOW,
        application={"a": 1, "b": True, "iothub-ack": "full", "iothub-message-schema": "s"},
        annotations={"iothub-interface-id": "i", "dt-subject": "t", "x-opt-output-name": "out", "else": 1},
    )
    assert content.system() == {
        "messageId": str(UUID(int=1)),
        "correlationId": "7",
        "userId": "me",
        "contentType": "text/plain",
        "contentEncoding": "utf-8",
        "expiryTimeUtc": "2026-07-01T00:00:00.000Z",
        "creationTimeUtc": "2026-07-01T00:00:00.000Z",
        "interfaceId": "i",
        "subject": "t",
        "messageSchema": "s",
    }
    assert content.own() == {"a": "1", "b": "true"}
    assert telemetry_of(content, module=True).output == "out"
    assert telemetry_of(content, module=False).output is None
    assert telemetry_of(AmqpContent(application={"iothub-outputname": "o"}), module=True) == Telemetry({}, {}, "o")
    message = device_message_of(content)
    assert message.expiry == NOW
    assert message.system["iothub-ack"] == "full"
    assert "interfaceId" not in message.system


def test_what_says_whose_it_is_is_not_believed() -> None:
    """A property of the system's names is one, and `$.cdid` is dropped, as in a topic."""
    found = telemetry_of(AmqpContent(application={"$.cdid": "other", "$.ct": "a/b", "x": "y"}), module=False)
    assert (found.properties, found.system) == ({"x": "y"}, {"contentType": "a/b"})


@pytest.mark.parametrize(
    "application",
    [{f"p{n}": n for n in range(300)}, {"a": "x" * 70_000}, {"a": ["b"]}, {"a": {"b": 1}}, {"a": "\ud800"}],
)
def test_what_cannot_be_passed_on(application: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        telemetry_of(AmqpContent(application=application), module=False)


def test_for_an_input() -> None:
    """What a module sees of a message that a route leads to it."""
    content = content_for_input("in", {"a": "b"}, {"messageId": "m", "subject": "s"}, ("leaf", ""), b"x")
    assert content.annotations == {
        "x-opt-input-name": "in",
        "dt-subject": "s",
        "iothub-connection-device-id": "leaf",
    }
    assert (content.message_id, content.application, content.body) == ("m", {"a": "b"}, b"x")


def test_texts() -> None:
    """As IoT Hub writes values that are no text."""
    assert [text_of(value) for value in (None, False, 1.5, "x", b"\xff", NOW)] == [
        None,
        "false",
        "1.5",
        "x",
        "\\xff",
        "2026-07-01T00:00:00.000Z",
    ]


def test_policies() -> None:
    """Names and permissions, and the connection string that Azure's service clients read."""
    assert parse_policy_name("service-2") == "service-2"
    for name in ("", "a b", "-a", "a/b", "x" * 65):
        with pytest.raises(InputError):
            parse_policy_name(name)
    assert parse_permission("serviceconnect") is Permission.SERVICE_CONNECT
    with pytest.raises(InputError):
        parse_permission("DeviceConnect")
    expected = "HostName=h;SharedAccessKeyName=service;SharedAccessKey=a2V5"
    assert service_connection_string("h", "service", b"key") == expected
