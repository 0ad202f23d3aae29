"""The Management API: both ends against each other."""

import pytest

from leafward.errors import InputError
from leafward.wire import management_api as api


@pytest.mark.parametrize(
    "value",
    [
        api.CreateModule("modA"),
        api.CreateIdentity("modA"),
        api.CreateIdentity("$edgeHub", "somebody"),
        api.ModuleIdentity("modA", "1"),
        api.ModuleEnvironment("modA", {"IOTEDGE_MODULEID": "modA", "IOTEDGE_WORKLOADURI": "unix:///w.sock"}),
        api.SystemInfo("linux", "x86_64", "0.1", "gw.local"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_there_and_back(
    value: api.CreateModule | api.CreateIdentity | api.ModuleIdentity | api.ModuleEnvironment | api.SystemInfo,
) -> None:
    """to_json -> parse."""
    assert type(value).parse(value.to_json()) == value


def test_identities_there_and_back() -> None:
    """The list, in the daemon's shape."""
    identities = [api.ModuleIdentity("a", "1"), api.ModuleIdentity("b", "2", "x")]
    data = api.identities_to_json(identities)
    assert api.parse_identities(data) == identities
    assert data.startswith(b'{"identities":[{"moduleId":"a","managedBy":"iotedge","generationId":"1","authType":"sas"}')


def test_the_daemons_create_body_is_read() -> None:
    """Image and settings are left alone, the name counts."""
    body = b'{"name":"modA","type":"docker","config":{"settings":{"image":"x"},"env":[{"key":"a","value":"b"}]}}'
    assert api.CreateModule.parse(body) == api.CreateModule("modA")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"name": 5}', b'{"name": ""}', b'{"name": "a/b"}', b'{"name": "#"}'])
def test_names_that_are_none(body: bytes) -> None:
    """Missing, of another type, empty, with a '/', a wildcard -> InputError."""
    with pytest.raises(InputError):
        api.CreateModule.parse(body)


def test_an_environment_holds_text_only() -> None:
    """A number among the variables -> InputError."""
    with pytest.raises(InputError):
        api.ModuleEnvironment.parse(b'{"moduleId": "m", "environment": {"A": 5}}')


def test_paths_and_names_in_them() -> None:
    """Percent-encoded there, checked here."""
    assert api.path(api.ATTACH, "$edgeHub") == "/modules/%24edgeHub/attach"
    assert api.module_name("$edgeHub") == "$edgeHub"
    assert api.module_name("a/b") is None
