"""Direct methods in IoT Hub's REST form: what a caller may ask, and what a device may answer."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.errors import EncodingError, InputError
from leafward.wire.methods import MAX_PAYLOAD, MethodCall, MethodResult, check_payload

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(payload=JSON, status=st.integers(-(2**31), 2**31), response=st.integers(5, 300), connect=st.integers(0, 300))
@settings(max_examples=40)
def test_a_call_and_its_result_there_and_back(payload: object, status: int, response: int, connect: int) -> None:
    """What a caller writes is what the hub reads, and the other way round."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    call = MethodCall("restart", text, response, connect)
    assert MethodCall.parse(call.to_json()) == call
    assert json.loads(MethodCall.parse(call.to_json()).payload) == payload
    result = MethodResult(status, text)
    assert MethodResult.parse(result.to_json()) == result


def test_what_the_sdks_leave_out() -> None:
    """Null and nothing are the defaults: 30 s, no waiting, the payload null."""
    call = MethodCall.parse(b'{"methodName":"m","responseTimeoutInSeconds":null,"connectTimeoutInSeconds":0.0}')
    assert call == MethodCall("m", b"null", 30, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"methodName":""}',
        b'{"methodName":"a/b"}',
        b'{"methodName":"a b"}',
        b'{"methodName":7}',
        json.dumps({"methodName": "x" * 101}).encode(),
        b'{"methodName":"m","responseTimeoutInSeconds":4}',
        b'{"methodName":"m","responseTimeoutInSeconds":301}',
        b'{"methodName":"m","responseTimeoutInSeconds":true}',
        b'{"methodName":"m","responseTimeoutInSeconds":"30"}',
        b'{"methodName":"m","connectTimeoutInSeconds":-1}',
        b'{"methodName":"m","connectTimeoutInSeconds":5.5}',
        json.dumps({"methodName": "m", "payload": "x" * MAX_PAYLOAD}).encode(),
        b'{"methodName":"m","payload":NaN}',
    ],
)
def test_a_call_that_is_none(body: bytes) -> None:
    with pytest.raises(InputError):
        MethodCall.parse(body)


def test_a_payload_of_just_the_limit() -> None:
    text = "x" * (MAX_PAYLOAD - 2)
    assert len(MethodCall.parse(json.dumps({"methodName": "m", "payload": text}).encode()).payload) == MAX_PAYLOAD


def test_the_answer_of_a_device_goes_back_as_it_is() -> None:
    """Large numbers and blanks are not rewritten; nothing is null."""
    payload = b' {"n": 12345678901234567890, "x": 1.10} '
    assert MethodResult.of_device(200, payload).to_json() == b'{"status":200,"payload":' + payload + b"}"
    assert MethodResult.of_device(-1, b"").to_json() == b'{"status":-1,"payload":null}'


@pytest.mark.parametrize("payload", [b"ok", b"\xff", b"{", b"1 2", b'"' + b"x" * MAX_PAYLOAD + b'"'])
def test_an_answer_that_is_no_json(payload: bytes) -> None:
    """It would break the answer it stands in."""
    with pytest.raises(EncodingError):
        MethodResult.of_device(200, payload)


def test_a_payload_of_the_command_line() -> None:
    assert check_payload(b'"text"') == b'"text"'
    with pytest.raises(InputError):
        check_payload(b"text")
