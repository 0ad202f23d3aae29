"""`leafward manager wipe` and `verify-receipt`: what they print, and with which exit code."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leafward.authority.development import Names, make_development_chain
from leafward.cli.main import run
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from tests.manager.conftest import set_device
from tests.manager.wipe_world import found_in, kept_files, use

# A development device CA is named after its host otherwise, and stays.
NAMES = Names(device_ca="iotgateway.ca")


class Sold:
    """A gateway with a development chain, of today: the commands read the system's clock."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        set_device(self.home)
        now = datetime.now(UTC)
        make_development_chain(self.home.maker, self.home.manager / "device-ca", NAMES, "iotedgegw.local", now=now)
        self.owner = use(self.home, lambda: datetime.now(UTC))
        self.receipt = folder / "receipt.pem"
        self.root = folder / "root.pem"
        self.root.write_bytes(self.home.root_certificate.read_bytes())

    def __call__(self, *arguments: str) -> int:
        return run(["manager", *arguments])

    def wipe(self, *more: str) -> int:
        return self("wipe", "--home", str(self.home.root), "--receipt", str(self.receipt), *more)

    def verify(self, *more: str) -> int:
        return self("verify-receipt", str(self.receipt), "--root", str(self.root), *more)


@pytest.fixture
def sold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sold:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    return Sold(tmp_path)


def told(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_whole_story(sold: Sold, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Seller: look, wipe. Buyer, with the root alone: verify, take the list, refuse the former owner's chain."""
    before = kept_files(sold.home)
    assert sold("wipe", "--dry-run", "--home", str(sold.home.root), "--json") == 0
    plan = told(capsys)
    assert plan["goes"]["registry.db"].startswith("registrations")
    assert plan["stays"].keys() >= {"manager/device-ca", "maker"}
    assert not any(name.startswith("maker") for name in plan["goes"])
    assert sold.wipe("--yes", "--challenge", "4711", "--json") == 0
    done = told(capsys)
    assert (done["owner_epoch"], done["receipt"]) == (1, str(sold.receipt))
    assert kept_files(sold.home) == before
    assert found_in(sold.home, sold.owner.secrets) == set()
    assert sold.verify("--challenge", "4711", "--crl-to", str(tmp_path / "crl.pem"), "--json") == 0
    facts = told(capsys)
    assert (facts["valid"], facts["owner_epoch"], facts["development"]) == (True, 1, True)
    assert any("copy" in one for one in facts["does_not_prove"])
    assert "pump-1" not in json.dumps(facts)
    assert "iotedgegw" not in json.dumps({key: value for key, value in facts.items() if key != "device"})
    (tmp_path / "old.pem").write_bytes(sold.owner.chain.to_pem())
    asked = ["verify", str(tmp_path / "old.pem"), "--root", str(sold.root)]
    assert run(asked) == 0
    assert run([*asked, "--crl", str(tmp_path / "crl.pem")]) == 1
    assert "revoked" in capsys.readouterr().out


def test_what_a_person_reads(sold: Sold, capsys: pytest.CaptureFixture[str]) -> None:
    assert sold.wipe("--dry-run") == 0
    text = capsys.readouterr().out
    assert "goes:" in text
    assert "2 leaf devices registered" in text
    assert sold.wipe("--yes") == 0
    assert "verify-receipt" in capsys.readouterr().out
    assert sold.verify() == 0
    text = capsys.readouterr().out
    assert text.startswith("valid: owner 1 of the device")
    assert "it does not prove:" in text


def test_a_no_has_a_reason(sold: Sold, capsys: pytest.CaptureFixture[str]) -> None:
    """A changed letter; another challenge; another root; no receipt at all: 1. No such file: 3."""
    assert sold.wipe("--yes") == 0
    data = sold.receipt.read_bytes()
    capsys.readouterr()
    assert sold.verify("--challenge", "another", "--json") == 1
    assert told(capsys)["rule"] == "receipt-challenge"
    for changed in (data[:200] + bytes([data[200] ^ 1]) + data[201:], b"", data[:-1], sold.root.read_bytes()):
        sold.receipt.write_bytes(changed)
        assert sold.verify("--json") == 1
        assert told(capsys)["reason"]
    sold.receipt.unlink()
    assert sold.verify() == 3


def test_it_asks_and_takes_no_for_an_answer(sold: Sold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.confirm", lambda *_arguments, **_options: False)
    assert sold.wipe() == 1
    assert not sold.receipt.exists()
    assert found_in(sold.home, sold.owner.secrets)


def test_wrong_use_and_a_home_in_use(sold: Sold, capsys: pytest.CaptureFixture[str]) -> None:
    home = ("--home", str(sold.home.root))
    assert sold("wipe", "--yes", *home) == 2
    assert sold.wipe("--yes", "--without-receipt") == 2
    assert sold.wipe("--yes", "--challenge", "x" * 257) == 2
    with HomeLock(sold.home.lock).hold("up"):
        assert sold.wipe("--yes") == 3
    assert "stop the edge first" in capsys.readouterr().err
    assert sold("wipe", "--yes", "--without-receipt", *home) == 0
    assert "no receipt" in capsys.readouterr().err
    assert found_in(sold.home, sold.owner.secrets) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_what_root_writes_is_the_managers_users(sold: Sold) -> None:
    """Home of user 12345, wiped by root, as it must be where hub and manager are two users."""
    for path in [sold.home.root, *sold.home.root.rglob("*")]:
        os.chown(path, 12345, 12345)
    assert sold.wipe("--yes") == 0
    strangers = [path for path in sold.home.root.rglob("*") if path.stat().st_uid != 12345]
    assert strangers == []


def test_a_receipt_for_a_folder_that_is_not_there(sold: Sold, capsys: pytest.CaptureFixture[str]) -> None:
    """Told with the file that was asked for, before anything is changed."""
    sold.receipt = sold.receipt.parent / "no" / "receipt.pem"
    assert sold.wipe("--yes") == 3
    said = capsys.readouterr().err
    assert str(sold.receipt) in said
    assert "probe" not in said
    assert sold.home.registry.exists()
