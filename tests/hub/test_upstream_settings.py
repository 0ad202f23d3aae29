"""`[hub.upstream]` and the files it names: every fault told with its setting, no secret in any of them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import LeafwardError, SettingsError
from leafward.hub.settings import HubSettings
from leafward.hub.upstream_credentials import Destination, UpstreamCredentials
from leafward.hub.upstream_settings import UpstreamTable
from leafward.store.settings_file import checked
from leafward.wire import sas
from leafward.wire.connection_string import ConnectionString
from leafward.wire.sas import SasToken
from leafward.wire.upstream import BrokerForm, HubForm
from tests.hub.hub_certificates import Held, make

NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = b"k" * 32
MQTT = {"kind": "mqtt", "host": "broker.example", "topic": "plant/{device}"}
HUB = {"kind": "iot-hub", "connection_string_file": "string"}


def table(**values: Any) -> UpstreamTable:
    found = checked(HubSettings, {"hub": {"upstream": values}}, Path("leafward.toml")).hub.upstream
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"kind": "amqp"}, "hub.upstream.kind: got 'amqp', expected 'iot-hub', 'mqtt' or 'leafward'"),
        ({"kind": "mqtt"}, "kind 'mqtt' needs host and topic"),
        ({"kind": "leafward"}, "kind 'leafward' needs connection_string_file"),
        ({**HUB, "host": "x"}, "kind 'iot-hub' has no use for host"),
        ({**MQTT, "connection_string_file": "x"}, "kind 'mqtt' has no use for connection_string_file"),
        ({**MQTT, "host": "not a name"}, "hub.upstream.host: "),
        ({**MQTT, "topic": "plant/{devic}"}, "hub.upstream.topic: 'plant/{devic}' is no topic template"),
        ({**MQTT, "certificate": "x"}, "certificate and key belong together"),
        ({**MQTT, "password_file": "x"}, "a password_file needs a username"),
        ({**MQTT, "window": 0}, "hub.upstream.window: "),
        ({**MQTT, "first_pause": 10, "longest_pause": 5}, "longest_pause is shorter than first_pause"),
        ({**MQTT, "passwort_file": "x"}, "did you mean 'password_file'"),
    ],
)
def test_a_fault(values: dict[str, Any], told: str) -> None:
    """Each with its key."""
    with pytest.raises(SettingsError) as caught:
        table(**values)
    assert told in str(caught.value)


def test_who_vouches() -> None:
    """The system's roots, but for a gateway above us."""
    assert table(**MQTT).trusted == table(**HUB).trusted == "system"
    assert table(kind="leafward", connection_string_file="x").trusted == "bundle"
    assert table(**MQTT, trust="ca.pem").trusted == "ca.pem"


def test_routes_with_terms() -> None:
    """A table in the place of the text; each fault with what it is about, and the place in the route."""
    routes = {
        "up": "FROM /* INTO $upstream",
        "alarm": {"route": "FROM /* INTO $upstream", "priority": 0, "time_to_live_secs": -1},
    }
    found = checked(HubSettings, {"hub": {"routes": routes}}, Path("x")).routes
    assert [(route.priority, route.time_to_live) for route in found.values()] == [(None, None), (0, -1)]
    for wrong, told in (
        ({"route": "FROM /* INTO $upstream", "prio": 1}, "'prio' is not known"),
        ({"priority": 1}, "got NoneType, expected text"),
        ({"route": "FROM /* INTO $upstream", "priority": True}, "priority: got bool"),
        ({"route": "FROM /* INTO $upstream", "priority": 10}, "got 10, expected 0 (first) to 9"),
        ("FROM /* WHERE a == 1 INTO $upstream", "\n    FROM /* WHERE a == 1 INTO $upstream\n" + " " * 21 + "^"),
    ):
        with pytest.raises(SettingsError) as caught:
            checked(HubSettings, {"hub": {"routes": {"r": wrong}}}, Path("x"))
        assert told in str(caught.value), caught.value


@pytest.mark.parametrize("seconds", [-2, "7200", 1.5])
def test_a_time_to_live_that_is_none(seconds: object) -> None:
    """Whole seconds, or -1."""
    with pytest.raises(SettingsError, match=r"hub\.time_to_live_secs"):
        checked(HubSettings, {"hub": {"time_to_live_secs": seconds}}, Path("x"))


class TestCredentials:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        string = ConnectionString("h.example", "gw", "$edgeHub", KEY, "parent.example")
        (tmp_path / "string").write_text(string.text() + "\n")
        (tmp_path / "password").write_text("s3cret\n")
        for file in tmp_path.iterdir():
            file.chmod(0o600)
        return tmp_path

    def read(self, folder: Path, anchors: Any = tuple, **values: Any) -> Destination:
        return UpstreamCredentials(table(**values), folder, "gw-1", anchors).read(NOW)

    def test_a_hub(self, folder: Path) -> None:
        """Who we are, and a token that is good for an hour."""
        found = self.read(folder, **HUB)
        assert (found.host, found.port, found.terms.level) == ("parent.example", 8883, 4)
        assert isinstance(found.form, HubForm)
        connect = found.terms.connect
        assert connect.client_id == "gw/$edgeHub"
        assert str(connect.username).startswith(
            "h.example/gw/$edgeHub/?api-version=2021-04-12&DeviceClientType=leafward%2F"
        )
        assert connect.password is not None
        token = SasToken.parse(connect.password.decode())
        sas.verify(token, KEY, NOW)
        sas.check_audience(token, {"h.example"}, "gw", "$edgeHub")
        assert token.expiry == int(NOW.timestamp()) + 3600
        assert found.renew_after == 2880
        assert "SharedAccess" not in repr(found)

    def test_a_broker(self, folder: Path) -> None:
        """With a password; without one of the system's roots where a file is named."""
        root = make("Root", ca=True)
        (folder / "ca.pem").write_bytes(root.pem())
        found = self.read(folder, **MQTT, username="u", password_file="password", trust="ca.pem", port=1883)
        assert (found.host, found.port, found.renew_after) == ("broker.example", 1883, None)
        assert isinstance(found.form, BrokerForm)
        connect = found.terms.connect
        assert (connect.level, connect.client_id, connect.username, connect.password) == (5, "gw-1", "u", b"s3cret")
        assert len(found.tls.get_ca_certs()) == 1
        assert "s3cret" not in repr(found)

    def test_with_a_certificate(self, folder: Path, root: Held) -> None:
        """x509=true: no password, and the token needs no renewal."""
        client = make("gw", root, client=True)
        (folder / "client.pem").write_bytes(client.pem())
        (folder / "key.pem").write_bytes(client.key_pem())
        (folder / "key.pem").chmod(0o600)
        (folder / "string").write_text("HostName=h.example;DeviceId=gw;x509=true")
        found = self.read(folder, **HUB, certificate="client.pem", key="key.pem")
        assert (found.terms.connect.password, found.terms.connect.client_id, found.renew_after) == (None, "gw", None)
        with pytest.raises(SettingsError, match="needs a client certificate"):
            self.read(folder, **HUB)
        (folder / "key.pem").write_bytes(make("other").key_pem())
        with pytest.raises(SettingsError, match="certificate and key cannot be used"):
            self.read(folder, **HUB, certificate="client.pem", key="key.pem")

    def test_the_trust_bundle(self, folder: Path) -> None:
        """This gateway's; an empty one vouches for nobody."""
        root = make("Root", ca=True)
        found = self.read(folder, lambda: [root.leaf], kind="leafward", connection_string_file="string")
        assert len(found.tls.get_ca_certs()) == 1
        with pytest.raises(SettingsError, match="holds no certificate"):
            self.read(folder, kind="leafward", connection_string_file="string")

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda file: file.unlink(), "connection_string_file cannot be read"),
            (lambda file: file.chmod(0o644), "connection_string_file is not private"),
            (lambda file: file.write_text("HostName=x"), "the connection string is malformed: it has no DeviceId"),
            (lambda file: file.write_text("HostName=h;DeviceId=d"), "the connection string has no key"),
            (lambda file: file.write_bytes(b"\xff" * 10), "the connection string is malformed"),
        ],
    )
    def test_a_file_that_will_not_do(self, folder: Path, change: Any, told: str) -> None:
        """Named, with what to do; the secret is in no error."""
        change(folder / "string")
        with pytest.raises(LeafwardError) as caught:
            self.read(folder, **HUB)
        assert told in str(caught.value)
        assert "SharedAccessKey=a2tr" not in str(caught.value)
