"""What a settings file refers to: each fault at the line of the setting, judged as a start judges it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import SettingsError
from leafward.manager.config_check import ConfigCheck
from leafward.manager.settings_source import read_otherwise, read_settings_source
from leafward.pki.encoding import certificates_to_pem, private_key_to_pem
from leafward.store.home import Home

EST = "[enrolment]\nurl = 'https://est.example/.well-known/est'\n"


@pytest.fixture
def folder(tmp_path: Path, maker: Any) -> Path:
    """A right device CA, the roots and a password beside a settings file."""
    made = maker.device_ca()
    (tmp_path / "ca.pem").write_bytes(made.chain.to_pem())
    (tmp_path / "roots.pem").write_bytes(certificates_to_pem([maker.root.chain.leaf]))
    private(tmp_path / "ca.key", private_key_to_pem(made.key))
    private(tmp_path / "password", b"secret\n")
    return tmp_path


def private(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    path.chmod(0o600)


@pytest.fixture
def check(folder: Path, home: Home, clock: Any) -> Callable[..., ConfigCheck]:
    def once(text: str, name: str = "leafward.toml") -> ConfigCheck:
        path = folder / name
        private(path, text.replace("$", str(folder)).encode())
        return ConfigCheck(read_settings_source(path), home, now=clock())

    return once


RIGHT = """[device]
hostname = "iotedgegw.local"
trust_bundle = "roots.pem"
device_ca_certificate = "ca.pem"
device_ca_key = "file:$/ca.key"
"""


def places(found: ConfigCheck) -> list[tuple[str, int | None]]:
    return [(fault.key, fault.line) for fault in found.faults]


def test_a_right_one_has_no_faults(check: Callable[..., ConfigCheck]) -> None:
    found = check(RIGHT)
    assert (found.faults, found.notes) == ([], [])


def test_no_device_ca_yet_is_a_note(check: Callable[..., ConfigCheck]) -> None:
    found = check("")
    assert found.faults == []
    assert "leafward up" in found.notes[0].message


def test_no_device_ca_in_production_is_a_fault(check: Callable[..., ConfigCheck]) -> None:
    assert places(check("[device]\nproduction = true\n")) == [("device.production", 2)]


def test_one_in_the_homes_own_place_is_looked_at(check: Callable[..., ConfigCheck], install: Any) -> None:
    install()
    assert check("").faults == []
    install(path_length=0)
    assert places(check("[device]\n")) == [("device.device_ca_certificate", 1)]


def test_all_files_that_are_missing_are_told_at_once(check: Callable[..., ConfigCheck]) -> None:
    found = check(RIGHT.replace("roots", "no").replace("/ca.key", "/no.key"))
    assert places(found) == [("device.trust_bundle", 3)]
    found = check(RIGHT.replace('"ca.pem', '"no.pem').replace("/ca.key", "/no.key"))
    assert places(found) == [("device.device_ca_key", 5), ("device.device_ca_certificate", 4)]
    assert all(fault.expected for fault in found.faults)


def test_half_a_device_ca(check: Callable[..., ConfigCheck]) -> None:
    (fault,) = check('[device]\ndevice_ca_certificate = "ca.pem"\n').faults
    assert fault.line == 2
    assert "belong together" in fault.message


def test_a_key_that_others_may_read(check: Callable[..., ConfigCheck], folder: Path) -> None:
    (folder / "ca.key").chmod(0o640)
    (fault,) = check(RIGHT).faults
    assert (fault.key, fault.line) == ("device.device_ca_key", 5)
    assert "0640" in fault.message
    assert fault.expected is not None
    assert "chmod 600" in fault.expected


def test_the_key_of_another(check: Callable[..., ConfigCheck], folder: Path) -> None:
    private(folder / "ca.key", private_key_to_pem(ec.generate_private_key(ec.SECP256R1())))
    assert places(check(RIGHT)) == [("device.device_ca_key", 5)]


def test_a_chain_that_is_not_complete(check: Callable[..., ConfigCheck], folder: Path, maker: Any) -> None:
    (folder / "ca.pem").write_bytes(certificates_to_pem([maker.device_ca().chain.leaf]))
    (fault, *_) = check(RIGHT).faults
    assert (fault.key, fault.line) == ("device.device_ca_certificate", 4)
    assert "does not reach a root" in fault.message


def test_every_reason_to_refuse_a_chain_is_told(
    check: Callable[..., ConfigCheck], folder: Path, maker: Any, plan: Any, clock: Any
) -> None:
    made = maker.device_ca(plan(common_name="iotedgegw.local", not_after=clock() - timedelta(days=1)))
    (folder / "ca.pem").write_bytes(made.chain.to_pem())
    private(folder / "ca.key", private_key_to_pem(made.key))
    told = " ".join(fault.message for fault in check(RIGHT).faults)
    assert "expired" in told
    assert "iotedgegw.local" in told


def test_a_file_that_is_no_certificate(check: Callable[..., ConfigCheck], folder: Path) -> None:
    (folder / "ca.pem").write_bytes((folder / "ca.key").read_bytes())
    (folder / "roots.pem").write_bytes(b"x")
    assert places(check(RIGHT)) == [("device.trust_bundle", 3)]


@pytest.mark.parametrize(
    ("text", "key", "told"),
    [
        (EST, "enrolment", "does not say who asks"),
        (f"{EST}username = 'u'\n", "enrolment", "half a credential"),
        (f"{EST}username = 'u'\npassword_file = 'no'\n", "enrolment.bootstrap_certificate", "no"),
        (f"{EST}trust = 'no'\nusername = 'u'\npassword_file = 'password'\n", "enrolment.trust", "does not exist"),
        (f"{EST}key = 'pkcs11:token=a'\nusername = 'u'\npassword_file = 'password'\n", "enrolment.key", "names no key"),
        (f"{EST}identity_certificate = 'no'\nidentity_key = 'file:$/ca.key'\n", "enrolment.identity_certificate", "no"),
        (
            f"{EST}bootstrap_certificate = 'ca.pem'\nbootstrap_key = 'file:$/no'\n",
            "enrolment.bootstrap_certificate",
            "no",
        ),
        (f"{EST}username = 'u'\npassword_file = 'password'\n", "enrolment", "whom to trust"),
    ],
)
def test_an_enrolment(check: Callable[..., ConfigCheck], text: str, key: str, told: str) -> None:
    (fault,) = check(text).faults
    assert fault.key == key
    assert told in fault.message
    assert fault.line is not None


def test_a_right_enrolment(check: Callable[..., ConfigCheck]) -> None:
    found = check(f"{EST}trust = 'roots.pem'\nusername = 'u'\npassword_file = 'password'\n")
    assert found.faults == []


def test_an_iotedge_file_is_told_at_its_own_lines(check: Callable[..., ConfigCheck], folder: Path) -> None:
    text = """hostname = "iotedgegw.local"
trust_bundle_cert = "file://$/roots.pem"
[provisioning]
source = "none"
[edge_ca]
cert = "file://$/no.pem"
pk = "file://$/ca.key"
"""
    found = check(text, "config.toml")
    assert places(found) == [("edge_ca.cert", 6)]
    assert check(text.replace("no.pem", "ca.pem"), "config.toml").faults == []
    (folder / "ca.key").chmod(0o644)
    assert places(check(text.replace("no.pem", "ca.pem"), "config.toml")) == [("edge_ca.pk", 7)]


def test_secrets_in_a_file_that_others_may_read_are_noted(
    check: Callable[..., ConfigCheck], folder: Path, home: Home, clock: Any
) -> None:
    text = "[provisioning]\nsource = 'none'\n[edge_ca]\nmethod = 'est'\nusername = 'u'\npassword = 'p4711'\n"
    text += "url = 'https://est.example/.well-known/est'\n[cert_issuance.est]\ntrusted_certs = ['$/roots.pem']\n"
    assert not any("chmod" in note.message for note in check(text, "config.toml").notes)
    (folder / "config.toml").chmod(0o644)
    found = ConfigCheck(read_settings_source(folder / "config.toml"), home, now=clock())
    assert any("chmod 600" in note.message for note in found.notes)
    assert found.faults == []
    assert "4711" not in f"{found.notes}"


def test_a_folder_for_sockets_that_is_not_there_is_noted(check: Callable[..., ConfigCheck]) -> None:
    found = check(f"{RIGHT}[manager]\nworkload_uri = 'unix://$/no/w.sock'\n")
    assert [(note.key, note.line) for note in found.notes] == [("manager.workload_uri", 7)]
    assert "does not exist" in found.notes[0].message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('parent_hostname = "IotEdgeGw.local"\n', ("device.parent_hostname", 6)),
        ('parent_hostname = "up.local"\nnames = ["up.local"]\n', ("device.names", 7)),
        ('[manager]\nmetrics = "0.0.0.0:x"\n', ("manager.metrics", 7)),
    ],
)
def test_what_no_manager_can_run_with_is_told_before_a_start(
    check: Callable[..., ConfigCheck], text: str, place: tuple[str, int]
) -> None:
    with pytest.raises(SettingsError) as raised:
        check(RIGHT + text)
    assert [(fault.key, fault.line) for fault in raised.value.faults] == [place]


def test_a_hub_user_that_does_not_exist(check: Callable[..., ConfigCheck]) -> None:
    assert places(check(RIGHT + '[manager]\nhub_user = "no-such-user"\n')) == [("manager.hub_user", 7)]


def test_what_hub_and_commands_read_otherwise(tmp_path: Path, home: Home) -> None:
    """A manager that runs with another file, beside a home whose file names another gateway."""
    given = tmp_path / "given.toml"
    given.write_text('[device]\nhostname = "gw.local"\ndevice_id = "gw-1"\n')
    home.settings.parent.mkdir(parents=True, exist_ok=True)
    home.settings.write_text('[device]\nhostname = "other.local"\n')
    told = read_otherwise(given, home)
    assert len(told) == 1
    assert "other.local instead of gw.local" in told[0]
    assert "edge-device instead of gw-1" in told[0]
    home.settings.write_text(given.read_text())
    assert read_otherwise(given, home) == []
    home.settings.write_text("[device")
    assert str(home.settings) in read_otherwise(given, home)[0]
