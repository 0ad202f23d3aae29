"""MQTT user names of the SDKs, and client ids that do not belong to them."""

import pytest

from leafward.errors import AccessDenied, ProtocolError
from leafward.wire.hub_login import Login

QUERY = "?api-version=2019-10-01"


@pytest.mark.parametrize(
    ("username", "client_id", "device", "module", "version"),
    [
        (f"hub.example/leaf1/{QUERY}&DeviceClientType=azure-iot%2F2.14.0%28x%29", "leaf1", "leaf1", None, "2019-10-01"),
        (f"hub.example/gw/$edgeHub/{QUERY}", "gw/$edgeHub", "gw", "$edgeHub", "2019-10-01"),
        ("h/d/?api-version=2021-04-12&model-id=dtmi:a:b;1", "d", "d", None, "2021-04-12"),
        ("h/d/api-version=2016-11-14/DeviceClientType=Microsoft.Azure/1.5.1-x", "d", "d", None, "2016-11-14"),
        ("h/d/m/api-version=2017-06-30&DeviceClientType=a/b", "d/m", "d", "m", "2017-06-30"),
        ("h/d/DeviceClientType=a&api-version=2017-06-30", "d", "d", None, "2017-06-30"),
        ("h/d/?api-version=x&DeviceClientType=py/1/2", "d", "d", None, "x"),
        ("h/d/?unknown=1&api-version=x", "d", "d", None, "x"),
    ],
)
def test_forms(username: str, client_id: str, device: str, module: str | None, version: str) -> None:
    """With '?' and without, device and module; fields nobody knows are left alone."""
    login = Login.parse(username, client_id)
    assert (login.device_id, login.module_id, login.api_version) == (device, module, version)
    assert login.client_id == client_id
    assert login.auth_chain == ()


def test_every_field() -> None:
    """Host, client type decoded, auth-chain from the target to the actor."""
    login = Login.parse(
        f"Hub.example/leaf/{QUERY}&DeviceClientType=a%20b&auth-chain=leaf;edgeA;edgeB&model-id=dtmi%3Aa%3B1", "leaf"
    )
    assert login == Login("Hub.example", "leaf", None, "2019-10-01", ("leaf", "edgeA", "edgeB"), "a b", "dtmi:a;1")


@pytest.mark.parametrize(
    ("username", "client_id"),
    [
        (f"h/leaf1/{QUERY}", "leaf2"),
        (f"h/leaf1/{QUERY}", "LEAF1"),
        (f"h/leaf1/{QUERY}", ""),
        (f"h/leaf1/{QUERY}", "leaf1/m"),
        (f"h/gw/m/{QUERY}", "gw"),
        (f"h/gw/m/{QUERY}", "gw/m/"),
    ],
)
def test_another_client_id_is_refused(username: str, client_id: str) -> None:
    """Exactly deviceId or deviceId/moduleId -> else AccessDenied."""
    with pytest.raises(AccessDenied):
        Login.parse(username, client_id)


MALFORMED = {
    "empty": "",
    "no_query": "h/d",
    "no_query_slash": "h/d/",
    "query_without_version": "h/d/?DeviceClientType=x",
    "version_empty": "h/d/?api-version=",
    "version_twice": "h/d/?api-version=a&api-version=b",
    "no_device": "h/?api-version=a",
    "no_host": "/d/?api-version=a",
    "device_empty": "h//?api-version=a",
    "module_empty": "h/d//?api-version=a",
    "four_parts": "h/d/m/x/?api-version=a",
    "device_wildcard": "h/+/?api-version=a",
    "device_control_character": "h/a\n/?api-version=a",
    "chain_with_a_gap": "h/d/?api-version=a&auth-chain=d;;e",
    "chain_empty": "h/d/?api-version=a&auth-chain=",
    "chain_of_nine": "h/d/?api-version=a&auth-chain=" + ";".join("abcdefghi"),
    "too_long": "h/d/?api-version=" + "a" * 5000,
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_malformed(defect: str) -> None:
    """Named after the defect -> ProtocolError that shows the form."""
    with pytest.raises(ProtocolError) as caught:
        Login.parse(MALFORMED[defect], "d")
    assert "api-version" in (caught.value.hint or "")
