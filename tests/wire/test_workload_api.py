"""The Workload API: the asking end and the answering end against each other, and bodies that are wrong."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.wire import workload_api as api
from leafward.wire.api_fields import error_body, error_message
from leafward.wire.api_version import API_VERSIONS, check_api_version
from leafward.wire.module_details import RUNNING, ModuleDetails, modules_to_json, parse_modules

WHEN = datetime(2030, 1, 31, 12, 0, tzinfo=UTC)
times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda time: time.replace(microsecond=0)
)


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=40), st.none() | times)
def test_requests_there_and_back(data: bytes, vector: bytes, expiration: datetime | None) -> None:
    """to_json -> parse."""
    for request in (
        api.SignRequest(data),
        api.EncryptRequest(data, vector),
        api.DecryptRequest(data, vector),
        api.ServerCertificateRequest("edge.local", expiration),
        api.IdentityCertificateRequest(expiration),
    ):
        assert type(request).parse(request.to_json()) == request


@given(st.binary(max_size=100), times)
def test_responses_there_and_back(data: bytes, expiration: datetime) -> None:
    """to_json -> parse."""
    certificate = api.CertificateResponse(b"KEY", b"LEAF\nCHAIN", expiration)
    assert api.CertificateResponse.parse(certificate.to_json()) == certificate
    assert api.BinaryResponse.parse(api.sign_response(data), "digest").value == data
    assert api.BinaryResponse.parse(api.encrypt_response(data), "ciphertext").value == data
    assert api.BinaryResponse.parse(api.decrypt_response(data), "plaintext").value == data
    assert api.parse_trust_bundle(api.trust_bundle_response(b"PEM")) == b"PEM"


def test_the_exact_shapes() -> None:
    """Names as the SDKs read and write them."""
    sent = b'{"keyId": "primary", "algo": "HMACSHA256", "data": "aGVsbG8="}'
    assert api.SignRequest.parse(sent) == api.SignRequest(b"hello")
    assert json.loads(api.SignRequest(b"hello").to_json()) == json.loads(sent)
    assert api.sign_response(b"hello") == b'{"digest":"aGVsbG8="}'
    assert json.loads(api.CertificateResponse(b"K", b"C", WHEN).to_json()) == {
        "privateKey": {"type": "key", "bytes": "K"},
        "certificate": "C",
        "expiration": "2030-01-31T12:00:00Z",
    }
    assert api.trust_bundle_response(b"") == b'{"certificate":""}'
    assert error_body("no") == b'{"message":"no"}'


def test_what_may_be_left_out() -> None:
    """keyId and algo; the body of an identity certificate; .NET's seven digits and an offset in a time."""
    assert api.SignRequest.parse(b'{"data": "aGVsbG8="}') == api.SignRequest(b"hello")
    assert api.SignRequest.parse(b'{"data": "", "algo": "HmacSha256", "keyId": "secondary"}').key_id == "secondary"
    assert api.IdentityCertificateRequest.parse(b"") == api.IdentityCertificateRequest()
    assert api.IdentityCertificateRequest.parse(b'{"expiration": null}') == api.IdentityCertificateRequest()
    body = b'{"commonName": "h", "expiration": "2030-01-31T13:00:00.0000000+01:00", "newer": [1]}'
    assert api.ServerCertificateRequest.parse(body) == api.ServerCertificateRequest("h", WHEN)


@pytest.mark.parametrize(
    ("name", "genid", "expected"),
    [("m", "1", "/modules/m/genid/1/sign"), ("$edgeHub", "a/b", "/modules/%24edgeHub/genid/a%2Fb/sign")],
)
def test_paths(name: str, genid: str, expected: str) -> None:
    """Percent-encoded segment by segment."""
    assert api.path(api.SIGN, name, genid) == expected


SIGN = {
    "empty": b"",
    "not_json": b"{",
    "not_utf8": b'{"data": "\xff"}',
    "not_an_object": b'["data"]',
    "data_missing": b"{}",
    "data_null": b'{"data": null}',
    "data_a_number": b'{"data": 5}',
    "data_not_base64": b'{"data": "hello!"}',
    "data_unpadded": b'{"data": "aGVsbG8"}',
    "data_url_safe": b'{"data": "_-8="}',
    "key_unknown": b'{"data": "", "keyId": "tertiary"}',
    "algorithm_unknown": b'{"data": "", "algo": "MD5"}',
    "nested_too_deeply": b'{"data": ' + b"[" * 60_000,
    "too_large": b'{"data": "' + b"A" * 65536 + b'"}',
}


@pytest.mark.parametrize("defect", SIGN)
def test_sign_bodies_that_are_wrong(defect: str) -> None:
    """Named after the defect -> EncodingError that names the field and not its value."""
    with pytest.raises(EncodingError) as caught:
        api.SignRequest.parse(SIGN[defect])
    assert "hello" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"commonName": ""}',
        b'{"commonName": "  "}',
        b'{"commonName": "h", "expiration": "tomorrow"}',
        b'{"commonName": "h", "expiration": "2030-01-31T12:00:00"}',
        b'{"commonName": "h", "expiration": "0001-01-01T00:00:00+23:59"}',
        b'{"commonName": "h", "expiration": 5}',
    ],
)
def test_server_certificate_bodies_that_are_wrong(body: bytes) -> None:
    """No name, an empty one; no time, one without zone, one before time began."""
    with pytest.raises(EncodingError):
        api.ServerCertificateRequest.parse(body)


def test_an_empty_vector_is_refused() -> None:
    """Encryption without an initialization vector -> EncodingError."""
    with pytest.raises(EncodingError):
        api.EncryptRequest.parse(b'{"plaintext": "", "initializationVector": ""}')


def test_a_key_by_reference_is_refused() -> None:
    """`"type":"ref"` holds no key."""
    body = b'{"privateKey": {"type": "ref", "ref": "x"}, "certificate": "C", "expiration": "2030-01-31T12:00:00Z"}'
    with pytest.raises(EncodingError):
        api.CertificateResponse.parse(body)


def test_secrets_are_not_in_reprs() -> None:
    """Requests and responses may be logged."""
    for value in (
        api.EncryptRequest(b"s3cret", b"v"),
        api.CertificateResponse(b"s3cret", b"", WHEN),
        api.BinaryResponse(b"s3cret", "plaintext"),
        api.SignRequest(b"s3cret"),
    ):
        assert "s3cret" not in repr(value)


@pytest.mark.parametrize("version", API_VERSIONS)
def test_versions_we_speak(version: str) -> None:
    """All since 2018-06-28."""
    assert check_api_version(version) == version


@pytest.mark.parametrize("version", [None, "", "2018-06-29", "2099-01-01", "2018-06-28 "])
def test_versions_we_do_not_speak(version: str | None) -> None:
    """Missing or unknown -> EncodingError that lists the others."""
    with pytest.raises(EncodingError, match="2022-08-03"):
        check_api_version(version)


def test_the_list_of_modules() -> None:
    """Shape of the daemon; no environment in it; there and back."""
    modules = [
        ModuleDetails("$edgeHub", status=RUNNING, started=WHEN),
        ModuleDetails("m", description="never attached"),
    ]
    data = modules_to_json(modules)
    assert parse_modules(data) == modules
    first = json.loads(data)["modules"][0]
    assert first == {
        "id": "$edgeHub",
        "name": "$edgeHub",
        "type": "process",
        "config": {"settings": {}, "env": []},
        "status": {"runtimeStatus": {"status": "running"}, "startTime": "2030-01-31T12:00:00Z"},
    }


def test_error_messages_of_any_form() -> None:
    """Ours, and a body that is none."""
    assert error_message(error_body("forbidden")) == "forbidden"
    assert error_message(b"<html>") == "<html>"
    assert error_message(b'{"message": 5}') == '{"message": 5}'
