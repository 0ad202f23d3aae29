"""URIs of files, keys and APIs: what is taken, what is refused, and no PIN in any sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.wire.iotedge_config.locations import api_uri, file_path, is_loopback, key_location, slot_location
from leafward.wire.iotedge_config.values import ApiUri, KeyLocation, Secret


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:///var/secrets/ca.pem", "/var/secrets/ca.pem"),
        ("file://localhost/var/ca.pem", "/var/ca.pem"),
        ("file:/var/ca.pem", "/var/ca.pem"),
        ("FILE:///var/ca.pem", "/var/ca.pem"),
        ("file:///var/trust%20bundle.pem", "/var/trust bundle.pem"),
        ("file:///C:/secrets/ca.pem", "C:/secrets/ca.pem"),
        ("/var/secrets/ca.pem", "/var/secrets/ca.pem"),
        ("C:\\secrets\\ca.pem", "C:\\secrets\\ca.pem"),
    ],
)
def test_a_path(text: str, path: str) -> None:
    assert file_path(text, relative=False) == path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file://var/ca.pem", "three slashes"),
        ("file://host/var/ca.pem", "three slashes"),
        ("file:///var/ca.pem?x=1", "'?'"),
        ("https://example.org/ca.pem", "'https'"),
        ("pkcs11:object=ca", "'pkcs11'"),
        ("file:", "path"),
        ("ca.pem", "absolute path"),
        ("/a\0b", "control"),
        ("file:///a%00b", "control"),
        ("file://[", "IPv6"),
    ],
)
def test_no_path(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("?", r"\?")):
        file_path(text, relative=False)


def test_a_relative_path_is_taken_where_it_may_be() -> None:
    assert file_path("./ca.pem", relative=True) == "./ca.pem"


def test_a_key_in_a_token_without_its_pin() -> None:
    found = key_location("pkcs11:slot-id=0;object=edge%20ca?pin-value=47%3011", relative=False)
    assert found == KeyLocation("pkcs11", "slot-id=0;object=edge%20ca", Secret("47011"))
    assert found.reference == "pkcs11:slot-id=0;object=edge%20ca"
    assert "47" not in repr(found)


def test_a_slot_counts_more_than_a_label() -> None:
    assert slot_location("pkcs11:token=a;slot-id=1").rest == "slot-id=1"


def test_what_helps_to_reach_the_token_is_kept() -> None:
    found = slot_location("pkcs11:token=a?pin-value=1&module-path=/lib/x.so")
    assert found == KeyLocation("pkcs11", "token=a?module-path=/lib/x.so", Secret("1"))
    assert slot_location("pkcs11:token=a?pin-source=file:/pin").rest == "token=a?pin-source=file:/pin"


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:object=ca?pin-value=4711",
        "pkcs11:token=a?pin-value=4711",
        "pkcs11:slot-id=x;object=ca?pin-value=4711",
        "pkcs11:token=a;object=ca;pin-value=4711",
        "pkcs11:token=a;object=ca?PIN-VALUE=4711",
        "pkcs11:token=a;object=ca?pin-value=4711&pin-value=4711",
        "tpm:4711",
        "pkcs11:",
    ],
)
def test_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        key_location(text, relative=False)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("unix:///run/iotedge/workload.sock", ApiUri("unix", "/run/iotedge/workload.sock")),
        ("unix:///C:/ProgramData/iotedge/sock", ApiUri("unix", "C:/ProgramData/iotedge/sock")),
        ("http://localhost:8081", ApiUri("http", "localhost:8081")),
        ("http://127.0.0.1:8081/", ApiUri("http", "127.0.0.1:8081")),
        ("http://[::1]:8081", ApiUri("http", "[::1]:8081")),
        ("fd://aziot-edged.workload.socket", ApiUri("fd", "aziot-edged.workload.socket")),
    ],
)
def test_an_api(text: str, uri: ApiUri) -> None:
    assert api_uri(text, ("unix", "http", "fd")) == uri
    assert str(uri) == text.rstrip("/")


@pytest.mark.parametrize(
    "text",
    [
        "unix://run/x",
        "/run/x",
        "https://h:1",
        "http://h",
        "http://u:p@h:1",
        "http://h:1/x",
        "http://h:99999",
        "fd://a/b",
    ],
)
def test_no_api(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        api_uri(text, ("unix", "http", "fd"))


def test_a_scheme_that_may_not_stand_there() -> None:
    with pytest.raises(ValueError, match="unix:// or http://"):
        api_uri("fd://x", ("unix", "http"))


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("localhost", True), ("127.0.0.7", True), ("[::1]", True), ("0.0.0.0", False), ("gw.local", False)],
)
def test_loopback(host: str, is_ours: bool) -> None:
    assert is_loopback(ApiUri("http", f"{host}:1")) is is_ours


@settings(max_examples=80)
@given(st.text(alphabet="file:/pkcs11;?=&%20xunhtobjetk-d[]@\0", max_size=30))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    for read in (
        lambda: file_path(text, relative=True),
        lambda: key_location(text, relative=True),
        lambda: api_uri(text, ("unix", "http", "fd")),
    ):
        try:
            read()
        except ValueError as error:
            assert str(error)  # noqa: PT017
