"""What the settings say before and after a wipe: the maker's half elsewhere, an enrolment, IoT Edge's file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import KeyUnavailable
from leafward.manager.settings import read_settings, settings_from
from leafward.manager.settings_source import settings_to_run_with
from leafward.manager.start import LAST_SEEN, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.manager.wipe import Wanted, wipe
from leafward.manager.wipe_contents import kept_paths
from leafward.manager.wipe_settings import ROOT, _table, reduced_settings, spelled_out
from leafward.pki.chain import Chain
from leafward.pki.encoding import private_key_to_pem
from leafward.store.home import Home
from leafward.store.settings_file import parse_tables
from tests.manager.wipe_world import judged, start, wiped

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def test_the_makers_half_elsewhere_in_the_home_stays_and_is_found_again(
    home: Home, maker: Any, clock: Any, receipt: Path, settings_of: Callable[..., None]
) -> None:
    """Device CA in a folder of its own, without its root; identity and token PIN named by the settings."""
    ca = maker.device_ca()
    folder = home.root / "from-the-maker"
    folder.mkdir(parents=True)

    (folder / "ca.pem").write_bytes(Chain(ca.chain.certificates[:-1]).to_pem())
    (folder / "ca.key").write_bytes(private_key_to_pem(ca.key))
    (folder / "ca.key").chmod(0o600)
    (home.root / "roots.pem").write_bytes(Chain.of(ca.chain.top).to_pem())
    settings_of(
        device_ca_certificate="from-the-maker/ca.pem",
        device_ca_key=f"file:{folder}/ca.key",
        trust_bundle="roots.pem",
        production=True,
    )
    before = start(home, clock)
    wiped(home, clock, receipt)
    assert judged(receipt, ca.chain.top, clock()).valid
    device = read_settings(home.settings).device
    assert device.production
    assert device.trust_bundle == home.root / ROOT
    assert not (home.root / "roots.pem").exists()
    assert "iotedgegw" not in home.settings.read_text()
    after = start(home, clock)
    assert after.device_ca.chain == before.device_ca.chain


def test_an_enrolment_stays_with_what_it_needs(home: Home, clock: Any, install: Callable[..., Any]) -> None:
    """What renews the device CA is the maker's half: its table, its files and its trust, with the name it asks for."""

    tables = parse_tables(
        f"""
        [device]
        hostname = "iotedgegw.local"
        device_id = "gw-0001"
        trust_bundle = "roots.pem"
        [enrolment]
        url = "https://est.example/.well-known/est/device_ca"
        identity_certificate = "idevid.pem"
        identity_key = "file:{home.root}/idevid.key"
        key = "pkcs11:token=gw;object=ca?pin-source=file:{home.root}/pin"
        """,
        home.settings,
    )
    settings = settings_from(tables, source=home.settings)
    assert {"roots.pem", "idevid.pem", "idevid.key", "pin"} <= kept_paths(home, settings)
    text = reduced_settings(home, tables, settings, root_apart=False)
    assert text is not None
    left = parse_tables(text, home.settings)
    assert left == {"enrolment": {**tables["enrolment"], "common_name": "gw-0001", "trust": "roots.pem"}}


def test_the_settings_of_iot_edge_are_carried_over(
    home: Home, maker: Any, clock: Any, receipt: Path, tmp_path: Path
) -> None:
    """The manager ran with /etc/aziot/config.toml: what it says of the device CA stands in the home's settings then."""
    ca = maker.device_ca()
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "ca.pem").write_bytes(ca.chain.to_pem())
    (etc / "ca.key").write_bytes(private_key_to_pem(ca.key))
    (etc / "ca.key").chmod(0o600)
    config = etc / "config.toml"
    config.write_text(
        f"""
        hostname = "iotedgegw.local"
        [provisioning]
        source = "manual"
        connection_string = "HostName=hub.example;DeviceId=gw;SharedAccessKey=AAAA"
        [edge_ca]
        cert = "file://{etc}/ca.pem"
        pk = "file://{etc}/ca.key"
        """
    )
    standing = bring_up(home, settings_to_run_with(config), TimeFloor(home.manager / LAST_SEEN, clock))
    standing.modules.close()
    with pytest.raises(KeyUnavailable):
        wiped(home, clock, receipt)
    wipe(home, TimeFloor(home.manager / LAST_SEEN, clock), Wanted(receipt, config=config))
    assert judged(receipt, ca.chain.top, clock()).valid
    assert read_settings(home.settings).device.device_ca_certificate == etc / "ca.pem"
    assert start(home, clock).device_ca.chain == standing.device_ca.chain


def test_what_another_file_says_of_an_enrolment_is_spelled_out(home: Home) -> None:
    """Whole paths, and no password: only IoT Edge's file has one."""
    enrolment = {"url": "https://est.example/.well-known/est/device_ca", "username": "gw", "password_file": "secret"}
    settings = settings_from({"enrolment": enrolment, "manager": {"hub_user": "0"}}, source=home.settings)
    tables = spelled_out(settings)
    assert tables["enrolment"] == {**enrolment, "password_file": str(home.root / "secret"), "key_type": "ec-p256"}
    text = reduced_settings(home, tables, settings, root_apart=False)
    assert text is not None
    assert parse_tables(text, home.settings)["manager"] == {"hub_user": "0"}
    assert settings.enrolment is not None
    inline = settings.enrolment.model_copy(update={"password": "x", "password_file": None})
    assert "username" not in spelled_out(settings.model_copy(update={"enrolment": inline}))["enrolment"]


def test_settings_are_written_as_they_were_read() -> None:

    tables = {
        "maker": {"database": "postgresql://a", "crl_days": 7, "on": True, "half": 0.5},
        "est": {"labels": {"a b": {"list": ["x", "ü\n\"'\\ \x7f"], "of": [{"k": 1}, {"k": 2}]}}},
    }
    text = "".join(_table((name,), table) for name, table in tables.items())
    assert parse_tables(text, Path("x")) == tables
