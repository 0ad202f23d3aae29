"""A leaf's settings: every code of the family, without a network.

connection string | token | certificate files  ->  (registry of a home)  ->  code
"""

import uuid
from datetime import timedelta

import pytest

from leafward.doctor.checks import check
from leafward.doctor.settings import Around, read_settings, settings_faults
from leafward.doctor.target_kinds import is_other, is_settings
from leafward.store.identity import Identity
from leafward.wire.base64_text import encode_base64
from leafward.wire.sas import resource_of, sign
from tests.doctor.stack_cases import NOW, levels
from tests.pki.chain_forge import client

KEY = bytes(range(32))
KEY_TEXT = encode_base64(KEY)
GOOD = f"HostName=gw.test;DeviceId=pump-7;SharedAccessKey={KEY_TEXT};GatewayHostName=gw.test"
X509 = "HostName=gw.test;DeviceId=pump-7;x509=true"


def codes(*texts, **around):
    found = settings_faults(read_settings(texts), Around(now=NOW, **around))
    assert not [one.code for one in found if check(one.code) is None]
    assert KEY_TEXT not in repr(found)
    return [one.code for one in found]


def identity(auth="sas", *, enabled=True, key=KEY, thumbprint=None, device_id="pump-7"):
    return Identity(
        device_id=device_id,
        module_id=None,
        auth=auth,
        enabled=enabled,
        generation_id=uuid.uuid4().hex,
        primary_key=key if auth == "sas" else None,
        secondary_key=None,
        primary_thumbprint=thumbprint,
        secondary_thumbprint=None,
        created=NOW,
    )


def registered(one):
    return lambda device_id, module_id: one if one is not None and device_id == one.device_id else None


def token(*, host="gw.test", device="pump-7", key=KEY, ends=NOW + timedelta(hours=1)):
    return sign(resource_of(host, device), key, int(ends.timestamp()))


def test_good_ones():
    assert codes(GOOD) == []
    assert codes(X509) == []
    assert codes(GOOD, registered=registered(identity())) == []
    assert codes(GOOD, token()) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("HostName=gw.test;DeviceId", "connection-string-malformed"),
        ("DeviceId=pump-7;SharedAccessKey=" + KEY_TEXT, "connection-string-malformed"),
        (f"'{GOOD}'", "connection-string-malformed"),
        (GOOD.replace("HostName", "hostname", 1), "connection-string-malformed"),
        (GOOD.replace("DeviceId", "SharedAccessKeyName"), "connection-string-malformed"),
        (GOOD + ";x509=true", "connection-string-malformed"),
        ("HostName=gw.test;DeviceId=pump-7;GatewayHostName=gw.test", "credential-missing"),
        (GOOD.partition(";GatewayHostName")[0], "gateway-host-name-missing"),
        (GOOD.replace("GatewayHostName=gw", "GatewayHostName=GW"), "gateway-host-name-not-lower-case"),
        (GOOD.replace(KEY_TEXT, "no base64!"), "shared-access-key-invalid"),
        (GOOD.replace(KEY_TEXT, encode_base64(b"short")), "shared-access-key-invalid"),
        (token(ends=NOW - timedelta(hours=1)), "sas-expired"),
        ("SharedAccessSignature sr=x&sig=y", "sas-signature-wrong"),
    ],
)
def test_alone(text, code):
    assert codes(text) == [code]


def test_without_a_gateway_name_the_host_may_be_the_gateway():
    """HostName is the server that is looked at: then nothing is missing."""
    assert codes(GOOD.partition(";GatewayHostName")[0], gateways=frozenset({"gw.test"})) == []


@pytest.mark.parametrize("made", [{"key": b"k" * 32}, {"device": "pump-8"}, {"host": "other.test"}])
def test_token_beside_the_string(made):
    assert codes(GOOD, token(**made)) == ["sas-signature-wrong"]


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (None, "device-unknown"),
        (identity(device_id="PUMP-7"), "device-unknown"),
        (identity(enabled=False), "device-disabled"),
        (identity(key=b"k" * 32), "sas-signature-wrong"),
        (identity("x509-ca"), "sas-signature-wrong"),
    ],
)
def test_against_a_registry(one, code):
    assert codes(GOOD, registered=registered(one)) == [code]


def test_by_certificate():
    """root -> intermediate -> device CA -> pump-7: whole, alone, of another id"""
    top, _, device_ca, _ = levels()
    leaf = client(device_ca)
    line, anchors = tuple(leaf.line), (top.certificate,)
    assert codes(X509, client=line, has_key=True, anchors=anchors) == []
    assert codes(X509, client=line[:-1], has_key=True, anchors=anchors) == []
    assert codes(X509, client=line[:1], has_key=True, anchors=anchors) == ["client-chain-incomplete"]
    assert codes(X509, client=line[:1], has_key=True, anchors=anchors, more=line[1:]) == ["client-chain-incomplete"]
    assert codes(X509, client=line, anchors=anchors) == ["credential-missing"]
    other = tuple(client(device_ca, "pump-8").line)
    assert codes(X509, client=other, has_key=True, anchors=anchors) == ["common-name-not-device-id"]


def test_by_thumbprint():
    leaf = client(None)
    registry = registered(identity("x509-thumbprint", thumbprint="ab" * 32))
    assert codes(X509, client=(leaf.certificate,), has_key=True, registered=registry) == ["thumbprint-mismatch"]


@pytest.mark.parametrize(
    ("text", "told"), [(GOOD, True), (token(), True), ("gateway.test:8883", False), ("root.pem", False)]
)
def test_what_is_settings(text, told):
    assert is_settings(text) is told


def test_names_that_no_file_can_have():
    """A long connection string, a null byte: never asked for as a file"""
    assert is_other(GOOD + ";" + "x" * 4000)
    assert not is_other("a\0b")
