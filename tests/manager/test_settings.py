"""The settings: defaults, every fault at once, unknown keys."""

from datetime import timedelta
from pathlib import Path

import pytest

from leafward.errors import SettingsError
from leafward.keys.key_store import KeyReference
from leafward.manager.settings import read_settings
from leafward.pki.names import HostName, parse_host
from leafward.store.device_settings import DEFAULT_DEVICE_ID


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "leafward.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", ["", "[hub]\nanything = 1\n[maker]\n[provisioning]\nx = []\n"])
def test_an_empty_file_works(tmp_path: Path, text: str) -> None:
    settings = read_settings(write(tmp_path, text), hostname="gw.local")
    assert settings.hostname == HostName("gw.local")
    assert settings.device.device_id == DEFAULT_DEVICE_ID
    assert settings.renewal.server_lifetime == timedelta(days=30)
    assert not settings.device.production


def test_a_missing_file_works_and_the_machine_has_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Machine-7")
    assert read_settings(tmp_path / "none.toml").hostname == HostName("machine-7")


def test_everything_is_read(tmp_path: Path) -> None:
    text = """
        [device]
        hostname = "IotEdgeGW.local"
        device_id = "gateway-7"
        device_ca_certificate = "ca/full.pem"
        device_ca_key = "file:/keys/ca.pem"
        trust_bundle = "/etc/roots.pem"
        parent_hostname = "Upper.local"
        names = ["gateway", "192.0.2.7"]
        production = true
        [renewal]
        threshold = "10day"
        retry = "30min"
        server_lifetime_days = 7
        workload_ca_lifetime_days = 90
    """
    settings = read_settings(write(tmp_path, text))
    device = settings.device
    assert str(settings.hostname) == "iotedgegw.local"
    assert device.device_ca_certificate == tmp_path / "ca/full.pem"
    assert device.device_ca_key == KeyReference.parse("file:/keys/ca.pem")
    assert device.trust_bundle == Path("/etc/roots.pem")
    assert device.names == (parse_host("gateway"), parse_host("192.0.2.7"))
    assert str(device.parent_hostname) == "upper.local"
    assert settings.renewal.server_lifetime == timedelta(days=7)


def test_the_flag_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, '[device]\nhostname = "a.local"\n')
    assert str(read_settings(path, hostname="B.local").hostname) == "b.local"


def test_every_fault_is_told_at_once_with_its_key(tmp_path: Path) -> None:
    text = """
        [device]
        hostname = "*.local"
        production = "yes"
        names = ["ok", "-bad-"]
        [renewal]
        threshold = "soon"
        server_lifetime_days = 0
    """
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    for part in ("device.hostname: ", "device.production: ", "device.names.1: ", "renewal.threshold: "):
        assert part in str(caught.value)
    assert "renewal.server_lifetime_days: " in str(caught.value)
    assert "5 wrong settings" in str(caught.value)
    assert str(tmp_path / "leafward.toml") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[device]\nhostnam = "x"', "device.hostnam: not known, did you mean 'hostname'?"),
        ("[renewals]", "renewals: not known, did you mean 'renewal'?"),
        ("[device]\nzzzz = 1", "device.zzzz: not known, known are hostname, device_id"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["[device", "\xff", "hostname = 7\n[device]\nhostname = 7", "device = 1"])
def test_what_is_no_settings_file_names_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "leafward.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"leafward\.toml"):
        read_settings(path)


def test_a_secret_in_a_key_reference_is_not_told(tmp_path: Path) -> None:
    text = '[device]\ndevice_ca_key = "pkcs11:token=a?pin-value=4711"\nx = 1'
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    assert "4711" not in str(caught.value)
    settings = read_settings(write(tmp_path, text.removesuffix("x = 1")))
    assert "4711" not in settings.model_dump_json()
    assert "4711" not in repr(settings)


def test_the_digest_says_whether_something_changed(tmp_path: Path) -> None:
    one = read_settings(write(tmp_path, '[device]\nhostname = "a.local"\n')).digest
    same = read_settings(write(tmp_path, '# changed nothing\n[device]\nhostname = "A.local"\n')).digest
    other = read_settings(write(tmp_path, '[device]\nhostname = "b.local"\n')).digest
    assert one == same != other


def test_where_the_apis_listen(tmp_path: Path) -> None:
    text = '[manager]\nworkload_uri = "unix:///run/lw/w.sock"\nmanagement_uri = "http://[::1]:8081"\n'
    manager = read_settings(write(tmp_path, text)).manager
    assert manager.workload_uri is not None
    assert (manager.workload_uri.scheme, manager.workload_uri.rest) == ("unix", "/run/lw/w.sock")
    assert str(manager.management_uri) == "http://[::1]:8081"
    assert "unix:///run/lw/w.sock" in manager.model_dump_json()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[manager]\nworkload_uri = "http://0.0.0.0:80"', "this machine alone"),
        ('[manager]\nworkload_uri = "http://gw.local:80"', "this machine alone"),
        ('[manager]\nworkload_uri = "fd://x"', "unix:// or http://"),
        ('[manager]\nworkload_uri = "unix://run/x"', "absolute path"),
        (f'[manager]\nworkload_uri = "unix:///{"x" * 100}"', "too long"),
        ('[manager]\nworkload_uri = "unix:///x"\nmanagement_uri = "unix:///x"', "an address for each"),
        ('[enrolment]\nurl = "http://e/.well-known/est"', "https://"),
        ('[enrolment]\nurl = "https://u:4711@e/"', "settings of their own"),
        ('[enrolment]\nurl = "https://e/"\ncommon_name = " a"', "blank"),
        ('[enrolment]\nurl = "https://e/"\npassword = "4711"', "password_file"),
    ],
)
def test_a_fault_has_its_line_and_shows_no_secret(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(write(tmp_path, text))
    (fault,) = caught.value.faults
    assert told in fault.message
    assert fault.line is not None
    assert "4711" not in f"{caught.value}{fault!r}"
