"""`[hub]` of leafward.toml: defaults, and every fault told with its path."""

from pathlib import Path

import pytest

from leafward.errors import LeafwardError, SettingsError
from leafward.hub.settings import HubSettings, read_settings
from leafward.store.settings_file import checked
from leafward.wire.routes import DEFAULT_ROUTE

SOURCE = Path("leafward.toml")


def test_no_file(tmp_path: Path) -> None:
    """Everything has a default; the only route leads upstream."""
    settings = read_settings(tmp_path / "none.toml")
    assert settings.routes == {"upstream": DEFAULT_ROUTE}
    assert settings.limits.packet_size == 262_144


def test_tables_of_others_are_left_alone(tmp_path: Path) -> None:
    """One file for all parts; the name is lower-cased."""
    path = tmp_path / "leafward.toml"
    path.write_text(
        '[device]\nhostname = "GateWay.local"\ndevice_id = "e1"\nproduction = true\n[renewal]\nthreshold = "70%"\n'
        "[hub.routes]\nup = 'FROM /messages/events/* INTO $upstream'\n[hub.limits]\ninflight = 5\n"
    )
    settings = read_settings(path)
    assert (settings.hostname, settings.device_id, settings.limits.inflight) == ("gateway.local", "e1", 5)
    assert list(settings.routes) == ["up"]


@pytest.mark.parametrize(
    ("hub", "told"),
    [
        ({"routes": {"r": "FROM /messages/* INT $upstream"}}, "hub.routes.r: "),
        ({"routes": {"r": 1}}, "hub.routes.r: got int"),
        ({"routes": "x"}, "hub.routes: "),
        ({"limits": {"connections": 0}}, "hub.limits.connections: "),
        ({"limits": {"connections": "many"}}, "hub.limits.connections: "),
        ({"limits": {"packet_size": 10}}, "hub.limits.packet_size: "),
        ({"limit": {}}, "hub.limit: not known"),
        ({"hostname": "x"}, "hub.hostname: not known, known are routes, leaf_cas, limits"),
        ("x", "hub: "),
    ],
)
def test_a_fault(hub: object, told: str) -> None:
    """The file and the key are named."""
    with pytest.raises(SettingsError) as caught:
        checked(HubSettings, {"hub": hub, "device": {"hostname": "gw.local"}}, SOURCE)
    assert told in str(caught.value)
    assert "leafward.toml" in str(caught.value)


def test_every_fault_at_once() -> None:
    """Two faults, one error."""
    with pytest.raises(SettingsError, match="2 wrong settings"):
        checked(HubSettings, {"hub": {"limits": {"inflight": 0}, "x": 1}}, SOURCE)


def test_a_route_says_where_it_stops() -> None:
    """The position in the text of the route."""
    with pytest.raises(SettingsError, match=r"character|position|at \d+"):
        checked(HubSettings, {"hub": {"routes": {"r": "FROM /messages/* INTO nowhere"}}}, SOURCE)


def test_a_hostname_that_is_none() -> None:
    """As the manager says it."""
    with pytest.raises(LeafwardError):
        checked(HubSettings, {"device": {"hostname": "not a name"}}, SOURCE)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    """Named, with what it should be."""
    path = tmp_path / "leafward.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(path)
