"""IoT Edge's files as a leafward.toml: everything comes along, secrets go elsewhere, and nothing is overwritten."""

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.cli import main
from leafward.errors import AlreadyExists, NotFound, SettingsError
from leafward.manager.iotedge_import import read_import, write_import
from leafward.manager.iotedge_settings import read_iotedge_settings
from leafward.manager.settings import read_settings
from leafward.manager.settings_text import settings_text
from leafward.store.home import Home

FILES = sorted((Path(__file__).parents[1] / "iotedge_files").iterdir())
FOLDER = FILES[0].parent
NOW = datetime(2026, 11, 24, tzinfo=UTC)
VALUES = st.one_of(st.booleans(), st.integers(-(2**60), 2**60), st.text(), st.lists(st.text(), max_size=3))
TABLES = st.dictionaries(st.text(min_size=1), st.dictionaries(st.text(min_size=1), VALUES, max_size=4), max_size=3)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@settings(max_examples=60, deadline=None)
@given(TABLES)
def test_what_is_written_reads_back(tables: dict[str, dict[str, Any]]) -> None:
    comments = {f"{table}.{key}": f"{key}\n[x]" for table, values in tables.items() for key in values}
    assert tomllib.loads(settings_text(tables, head=["a\tb"], comments=comments)) == tables


def test_what_cannot_be_written_is_refused() -> None:
    for value in (1.5, None, {"a": 1}):
        with pytest.raises(SettingsError):
            settings_text({"t": {"k": value}})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_becomes_settings_that_mean_the_same(path: Path, home: Home) -> None:
    """The settings of the written file are those of the old one, but for where its secrets are."""
    found = read_import(path, home, now=NOW)
    assert not home.root.exists()
    write_import(found, home, replace=False)
    written, carried = read_settings(home.settings), read_iotedge_settings(path).settings
    assert (written.device.hostname, written.device.trust_bundle) == (
        carried.device.hostname, carried.device.trust_bundle,
    )  # fmt: skip
    assert (written.renewal, written.manager) == (carried.renewal, carried.manager)
    if not found.secrets:
        assert written == carried


def test_a_password_goes_to_a_file_of_its_own(home: Home) -> None:
    found = read_import(FOLDER / "1.3-est.toml", home, now=NOW)
    assert "est-password" not in found.text.replace('password_file = "est-password"', "")
    write_import(found, home, replace=False)
    secret = home.root / "est-password"
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("est-password\n", 0o600)
    enrolment = read_settings(home.settings).enrolment
    assert enrolment is not None
    assert enrolment.password_file == secret


def test_a_pin_goes_to_a_file_of_its_own(home: Home) -> None:
    found = read_import(FOLDER / "1.2-pkcs11.toml", home, now=NOW)
    assert "4711" not in found.text + repr(found)
    write_import(found, home, replace=False)
    assert (home.root / "token-pin-1").read_text() == "4711\n"
    key = read_settings(home.settings).device.device_ca_key
    assert key is not None
    assert key.rest.endswith(f"pin-source=file:{home.root}/token-pin-1")


def test_what_must_be_decided(home: Home, tmp_path: Path) -> None:
    quickstart = " ".join(read_import(FOLDER / "1.0-quickstart.yaml", home, now=NOW).decide)
    assert "no device CA comes along" in quickstart
    assert "iothub_hostname" not in quickstart
    by_dps = " ".join(read_import(FOLDER / "1.1-x509.yaml", home, now=NOW).decide)
    assert "device.iothub_hostname: the file does not name the IoT hub" in by_dps
    assert "/var/secrets/trusted-cas.pem" in by_dps
    assert "leafward device add ID" in by_dps


def test_a_file_that_is_there_is_kept(home: Home) -> None:
    found = read_import(FOLDER / "1.2-files.toml", home, now=NOW)
    home.root.mkdir()
    home.settings.write_text("# mine\n")
    with pytest.raises(AlreadyExists, match="it is not overwritten"):
        write_import(found, home, replace=False)
    assert home.settings.read_text() == "# mine\n"
    write_import(found, home, replace=True)
    assert home.settings.with_name("leafward.toml.before-import").read_text() == "# mine\n"
    assert 'device_id = "press-8"' in home.settings.read_text()


def test_faults_of_the_file_and_none_at_all(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("hostnam = 'x'\n[provisioning]\nsource = 'none'\n")
    with pytest.raises(SettingsError, match="line 1: hostnam"):
        read_import(path, home, now=NOW)
    with pytest.raises(NotFound):
        read_import(tmp_path / "no.yaml", home, now=NOW)


def run(home: Home, *arguments: str) -> int:
    return main.run(["manager", "import", "--home", str(home.root), *arguments])


def test_the_command(home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(FOLDER / "1.2-files.toml")
    assert run(home, path, "--dry-run") == 0
    assert not home.root.exists()
    said = capsys.readouterr().out
    assert 'hostname = "Press-8.plant.example"  # hostname, line 2' in said
    assert "line 9: agent: leafward starts no containers" in said
    assert said.endswith(f"would write: {home.settings}\n")
    assert run(home, path, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["written"]
    assert {"key": "device.device_id", "value": "press-8", "from": "provisioning.connection_string", "line": 7} in (
        facts["taken"]
    )
    assert run(home, path) == 3
    assert "add --force to replace it" in capsys.readouterr().err
    assert run(home, path, "--force", "--yes") == 0
    assert main.run(["manager", "check-config", "--home", str(home.root)]) == 1
    capsys.readouterr()
    assert run(home, str(home.settings)) == 2
    assert "is no configuration of IoT Edge" in capsys.readouterr().err
