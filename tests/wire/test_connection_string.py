"""Connection strings: there and back, and each wrong one named after its defect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import SettingsError
from leafward.wire.connection_string import ConnectionString

ids = st.text("abcXYZ0189-.%_*?!(),:=@$'", min_size=1, max_size=30).filter(lambda text: text.strip("."))
hosts = st.sampled_from(["hub.example", "edge", "IotEdgeGW.local", "192.168.1.7"])
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
GOOD = f"HostName=hub.example;DeviceId=leaf1;SharedAccessKey={KEY}"


@given(hosts, ids, st.none() | ids, st.binary(min_size=1, max_size=64), st.none() | hosts)
def test_there_and_back(host: str, device: str, module: str | None, key: bytes, gateway: str | None) -> None:
    """text -> parse gives the same, '=' in ids and keys included."""
    made = ConnectionString(host, device, module, key, gateway)
    assert ConnectionString.parse(made.text()) == made


def test_the_sdks_form() -> None:
    """Every field of a module's string; the key is not in the repr."""
    found = ConnectionString.parse(f"{GOOD};ModuleId=m;GatewayHostName=IotEdgeGW.local")
    assert found.shared_access_key == bytes(range(32))
    assert (found.module_id, found.gateway_host_name, found.connects_to) == ("m", "IotEdgeGW.local", "IotEdgeGW.local")
    assert found.has_credential
    assert KEY not in repr(found)
    assert "\\x01" not in repr(found)


def test_x509() -> None:
    """`x509=true` in place of a key, in any case of letters; a last ';' does no harm."""
    found = ConnectionString.parse("HostName=edge.local;DeviceId=leaf1;x509=True;")
    assert found.x509
    assert found.has_credential
    assert found.connects_to == "edge.local"
    assert found.text() == "HostName=edge.local;DeviceId=leaf1;x509=true"


def test_without_a_credential_it_reads_and_says_so() -> None:
    """The doctor has a diagnosis for it, so it is not malformed."""
    assert not ConnectionString.parse("HostName=hub.example;DeviceId=leaf1").has_credential
    assert not ConnectionString.parse("HostName=hub.example;DeviceId=leaf1;x509=false").has_credential


MALFORMED = {
    "empty": "",
    "no_host": f"DeviceId=a;SharedAccessKey={KEY}",
    "no_device": f"HostName=h;SharedAccessKey={KEY}",
    "key_alone": KEY,
    "value_missing": "HostName=h;DeviceId=",
    "field_twice": GOOD + ";DeviceId=leaf2",
    "field_unknown": GOOD + ";Colour=red",
    "field_lower_case": GOOD.replace("HostName", "hostname"),
    "service_string": GOOD.replace("DeviceId=leaf1", "SharedAccessKeyName=iothubowner"),
    "signature": "HostName=h;DeviceId=a;SharedAccessSignature=x",
    "key_cut_off": GOOD[:-2],
    "key_with_blank": GOOD.replace("AAEC", "AA C"),
    "key_url_safe": GOOD.replace("AAEC", "AA_C"),
    "key_and_x509": GOOD + ";x509=true",
    "x509_perhaps": "HostName=h;DeviceId=a;x509=perhaps",
    "host_with_slash": "HostName=https://h;DeviceId=a;x509=true",
    "host_with_port": "HostName=h:8883;DeviceId=a;x509=true",
    "device_with_slash": "HostName=h;DeviceId=a/b;x509=true",
    "device_with_wildcard": "HostName=h;DeviceId=+;x509=true",
    "module_with_slash": "HostName=h;DeviceId=a;ModuleId=a/b;x509=true",
    "gateway_with_blank": "HostName=h;DeviceId=a;x509=true;GatewayHostName=my edge",
    "too_long": GOOD + ";GatewayHostName=" + "h" * 5000,
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_malformed(defect: str) -> None:
    """SettingsError with what to do, and never the key in it."""
    with pytest.raises(SettingsError) as caught:
        ConnectionString.parse(MALFORMED[defect])
    said = f"{caught.value} {caught.value.hint}"
    assert KEY[6:] not in said
    assert caught.value.why


def test_a_wrong_spelling_is_corrected() -> None:
    """got 'hostname', expected 'HostName'."""
    with pytest.raises(SettingsError, match="got the field 'hostname', expected 'HostName'"):
        ConnectionString.parse(MALFORMED["field_lower_case"])
