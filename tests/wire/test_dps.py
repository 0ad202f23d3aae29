"""Provisioning's device API: both ends against each other, and the shapes the SDKs read."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from leafward.errors import EncodingError, InputError, NameFormatError
from leafward.wire import dps

NOW = datetime(2030, 1, 1, tzinfo=UTC)
STATE = dps.RegistrationState("leaf1", "assigned", NOW, NOW, "e", "edge.local", "leaf1", "initialAssignment")


def test_what_both_sdks_send() -> None:
    """Python says payload null, Node leaves it out."""
    for body in (b'{"payload": null, "registrationId": "leaf1"}', b'{"registrationId":"leaf1"}'):
        assert dps.RegisterRequest.parse(body, "leaf1") == dps.RegisterRequest("leaf1")
    asked = dps.RegisterRequest("Leaf1", {"a": [1]})
    assert dps.RegisterRequest.parse(asked.to_json(), "leaf1") == asked


@pytest.mark.parametrize("body", [b"", b"{}", b'{"registrationId": "leaf2"}', b'{"registrationId": 1}', b"[]", b"{"])
def test_register_bodies_that_are_wrong(body: bytes) -> None:
    """No id, another id than the path's, no JSON object -> InputError."""
    with pytest.raises(InputError):
        dps.RegisterRequest.parse(body, "leaf1")


@pytest.mark.parametrize("text", ["a", "leaf-1", "a.b_c:d", "-", "A" * 128])
def test_registration_ids(text: str) -> None:
    """Alphanumeric, - . _ : with alphanumeric or dash at the end."""
    assert dps.parse_registration_id(text) == text


@pytest.mark.parametrize("text", ["", "a.", "a_", "a:", "a b", "a/b", "ä", "A" * 129, "a\n"])
def test_registration_ids_that_are_none(text: str) -> None:
    """Empty, another end, blanks, slashes, other letters, too long."""
    with pytest.raises(NameFormatError):
        dps.parse_registration_id(text)


@pytest.mark.parametrize(
    "operation",
    [
        dps.Operation("op", "assigning"),
        dps.Operation("op", "assigned", STATE),
        dps.Operation(
            "op", "failed", replace(STATE, status="failed", error_code=400207, error_message="no", substatus=None)
        ),
    ],
    ids=lambda operation: operation.status,
)
def test_operations_there_and_back(operation: dps.Operation) -> None:
    """to_json -> parse; 202 while it is assigning."""
    assert dps.Operation.parse(operation.to_json()) == operation
    assert operation.http_status == (202 if operation.status == "assigning" else 200)


def test_the_python_sdk_joins_what_is_there() -> None:
    """deviceId, assignedHub and substatus are text; nothing is null."""
    body = json.loads(dps.Operation("op", "assigned", STATE).to_json())
    state = body["registrationState"]
    assert all(isinstance(state[name], str) for name in ("deviceId", "assignedHub", "substatus"))
    assert None not in state.values()


def test_an_unknown_status_is_refused() -> None:
    """got …, expected one of …."""
    with pytest.raises(EncodingError, match="expected one of unassigned"):
        dps.Operation.parse(b'{"operationId": "o", "status": "perhaps"}')


def test_errors() -> None:
    """The code's first digits are the HTTP status."""
    error = dps.ServiceError(dps.INVALID_CERTIFICATE, "Invalid certificate", "id", NOW)
    assert error.http_status == 401
    assert json.loads(error.to_json()) == {
        "errorCode": 401002,
        "trackingId": "id",
        "message": "Invalid certificate",
        "timestampUtc": "2030-01-01T00:00:00Z",
    }


def test_paths() -> None:
    """As the SDKs build them."""
    assert dps.register_path("0ne1", "leaf1") == "/0ne1/registrations/leaf1/register"
    assert dps.operation_path("0ne1", "a:b", "4.x") == "/0ne1/registrations/a%3Ab/operations/4.x"
    assert dps.resource("0ne1", "leaf1") == "0ne1/registrations/leaf1"
