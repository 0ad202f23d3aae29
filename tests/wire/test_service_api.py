"""IoT Hub's REST API: versions, error bodies, and a message's properties as headers."""

import json

import pytest

from leafward.errors import (
    AccessDenied,
    EncodingError,
    InputError,
    LeafwardError,
    NotFound,
    PeerUnavailable,
    StoreError,
)
from leafward.wire.service_api import Fault, check_service_version, fault_body, fault_of, read_fault
from leafward.wire.service_api_headers import read_headers, write_headers


@pytest.mark.parametrize("version", ["2016-02-03", "2019-10-01", "2021-04-12", "2020-05-31-preview"])
def test_a_version_of_iot_hub(version: str) -> None:
    assert check_service_version(version) == version


@pytest.mark.parametrize("version", [None, "", "1", "latest", "2015-01-01", "2021-4-12", "2021-04-12x", "x" * 5000])
def test_no_version_of_iot_hub(version: str | None) -> None:
    with pytest.raises(EncodingError, match="api-version"):
        check_service_version(version)


def test_every_fault_has_its_status_and_its_own_number() -> None:
    """404103 is status 404; two codes with one number would be one member to Python."""
    assert Fault.DEVICE_NOT_ONLINE.status == 404
    assert Fault.GATEWAY_TIMEOUT.status == 504
    assert len({fault.number for fault in Fault}) == len(list(Fault))
    assert all(400 <= fault.status < 600 for fault in Fault)


def test_an_error_body_is_read_as_the_sdks_read_it() -> None:
    """The name of the code stands in the message before the first semicolon, the sentence behind it."""
    body = json.loads(fault_body(Fault.DEVICE_NOT_ONLINE, "Timed out; really", "Tracking ID:1"))
    assert body == {
        "Message": "ErrorCode:DeviceNotOnline;Timed out; really",
        "ExceptionMessage": "Tracking ID:1",
        "errorCode": 404103,
    }


@pytest.mark.parametrize(
    ("status", "body", "kind", "why"),
    [
        (404, fault_body(Fault.DEVICE_NOT_FOUND, "not there"), NotFound, "not there (404001)"),
        (403, fault_body(Fault.FORBIDDEN, "no"), AccessDenied, "no (403000)"),
        (413, b"", InputError, "HTTP status 413"),
        (504, b'{"Message":"late"}', PeerUnavailable, "late"),
        (500, b"<html>", PeerUnavailable, "HTTP status 500"),
        (500, b"[1]", PeerUnavailable, "HTTP status 500"),
        (400, b'{"Message":"a\\u001b[31m","errorCode":"x"}', InputError, "a [31m"),
    ],
)
def test_an_error_for_the_command_line(status: int, body: bytes, kind: type[LeafwardError], why: str) -> None:
    """Whatever was sent, it is one of our errors and steers no terminal."""
    error = read_fault(status, body, "it was refused")
    assert type(error) is kind
    assert (error.what, error.why) == ("it was refused", why)


def test_the_fault_of_an_error_nobody_foresaw() -> None:
    assert fault_of(NotFound("x")) is Fault.GENERIC_NOT_FOUND
    assert fault_of(EncodingError("x")) is Fault.ARGUMENT_INVALID
    assert fault_of(StoreError("x")) is Fault.UNAVAILABLE


def test_headers_there_and_back() -> None:
    properties = {"colour": "red", "a b/ü": "x"}
    system = {"messageId": "m1", "iothub-ack": "full", "expiryTimeUtc": "2030-01-31T12:00:00Z", "unknown": "x"}
    headers = write_headers(properties, system)
    assert headers == {
        "iothub-messageid": "m1",
        "iothub-ack": "full",
        "iothub-expiry": "2030-01-31T12:00:00Z",
        "iothub-app-colour": "red",
        "iothub-app-a%20b%2F%C3%BC": "x",
    }
    del properties["a b/ü"], system["unknown"], headers["iothub-app-a%20b%2F%C3%BC"]
    assert read_headers(headers.items()) == (properties, system)
