"""`leafward ca log`: the maker proves, the auditor verifies, and neither has to trust the other."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.edge import leafward, leafward_json


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A maker with a root and a device CA."""
    folder = tmp_path_factory.mktemp("maker")
    for arguments in (["init", "--cn", "Example Root"], ["device", "gw.ca", "--out", str(folder / "gw")]):
        done = leafward("ca", *arguments, home=folder / "home")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "home"


def log(home: Path, *arguments: str, code: int = 0) -> str:
    done = leafward("ca", "log", *arguments, home=home)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_show_and_checkpoint(home: Path) -> None:
    shown = leafward_json("ca", "log", "show", "--last", "5", home=home)
    assert (shown["size"], shown["signed"]) == (2, 2)
    assert [entry["lines"][0] for entry in shown["entries"]] == ["root_ca", "device_ca"]
    assert shown["origin"].startswith("example-root/issuance/")
    assert "device_ca" in log(home, "show", "--last", "1")
    assert log(home, "checkpoint").startswith(f"{shown['origin']}\n2\n")
    assert log(home, "key").strip() == shown["key"] == leafward_json("ca", "log", "key", home=home)["key"]
    assert leafward_json("ca", "log", "checkpoint", home=home)["size"] == 2
    assert "its name is signed" in log(home, "checkpoint", "--origin", "other.example", code=2)
    assert "no name of a log" in log(home, "checkpoint", "--origin", "a b", code=2)


def test_an_auditor_with_files_and_a_key(home: Path, tmp_path: Path) -> None:
    """No home, no database: the exported files, the key, a proof and the certificate."""
    public, auditor, proof = tmp_path / "public", tmp_path / "auditor", tmp_path / "gw.tlog-proof"
    log(home, "export", str(public))
    key = log(home, "key").strip()
    log(home, "proof", "gw.ca", "--out", str(proof))
    assert "as it was signed" in log(auditor, "verify", "--files-only", "--export", str(public), "--log-key", key)
    certificate = str(tmp_path / "gw" / "certificate.pem")
    assert "proved: device_ca" in log(
        auditor, "verify", "--proof", str(proof), "--certificate", certificate, "--log-key", key
    )
    root = str(home / "maker" / "authorities" / "example-root" / "certificate.pem")
    wrong = log(auditor, "verify", "--proof", str(proof), "--certificate", root, "--log-key", key, code=1)
    assert "of another certificate" in wrong
    assert not auditor.exists()
    bundle = public / "tile" / "entries" / "000.p" / "2"
    bundle.write_bytes(bundle.read_bytes().replace(b"device_ca", b"leaf_devi"))
    said = log(auditor, "verify", "--files-only", "--export", str(public), "--log-key", key, code=1)
    assert "entry-changed: entry 1" in said


def test_proofs_as_json(home: Path, tmp_path: Path) -> None:
    proof = leafward_json("ca", "log", "proof", "gw.ca", home=home)
    assert (proof["index"], proof["size"]) == (1, 2)
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof))
    answer = leafward_json("ca", "log", "verify", "--proof", str(file), home=home)
    assert (answer["valid"], answer["kind"]) == (True, "device_ca")
    proof["index"] = 0
    file.write_text(json.dumps(proof))
    done = leafward("ca", "log", "verify", "--proof", str(file), "--json", home=home)
    assert done.returncode == 1
    assert json.loads(done.stdout)["valid"] is False
    assert "no certificate" in log(home, "proof", "nobody", code=3)


def test_a_tampered_database(home: Path, tmp_path: Path) -> None:
    assert "the log of 2 entries is as it was signed" in log(home, "verify")
    with sqlite3.connect(home / "maker" / "maker.db") as connection:
        connection.execute("UPDATE certificates SET name = 'other.ca' WHERE log_index = 1")
    connection.close()
    assert "certificate-differs: entry 1" in log(home, "verify", code=1)
    done = leafward("ca", "log", "verify", "--json", home=home)
    assert done.returncode == 1
    assert json.loads(done.stdout)["differences"][0]["code"] == "certificate-differs"


def test_a_restored_backup_is_refused_and_ended(home: Path, tmp_path: Path) -> None:
    """backup -> a device CA -> the backup is put back -> nothing is issued -> another log, with a new key."""
    database = home / "maker" / "maker.db"
    backup = database.read_bytes()
    key = log(home, "key")
    assert leafward("ca", "device", "gw2.ca", "--out", str(tmp_path / "gw2"), home=home).returncode == 0
    database.write_bytes(backup)
    refused = leafward("ca", "device", "gw3.ca", "--out", str(tmp_path / "gw3"), home=home)
    assert refused.returncode == 3
    assert "older than its issuance log: it has 2 entries, and 3 were signed" in refused.stderr
    assert not (tmp_path / "gw3" / "certificate.pem").exists()
    assert "log-older" in log(home, "verify", code=1)
    assert "log-key" not in log(home, "restart", "--yes")
    assert log(home, "key") != key
    assert leafward("ca", "device", "gw3.ca", "--out", str(tmp_path / "gw3"), home=home).returncode == 0
    assert "as it was signed" in log(home, "verify")


def test_wrong_use(home: Path, tmp_path: Path) -> None:
    assert "--export and --log-key" in log(home, "verify", "--files-only", code=2)
    assert "no file" in log(home, "verify", "--log-key", "nowhere", code=3)
    empty = tmp_path / "empty"
    for asked in ("checkpoint", "key", "show", "verify"):
        assert "no issuance log in" in log(empty, asked, code=3)
    assert not empty.exists()
