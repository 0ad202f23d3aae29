"""`leafward ca list|show|search|expiring|compact`, and `--replace` and `--renew`: the inventory by its commands."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.edge import leafward, leafward_json
from tests.postgresql import PostgreSql


def ca(home: Path, *arguments: str) -> str:
    done = leafward("ca", *arguments, home=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ca_json(home: Path, *arguments: str) -> Any:
    return leafward_json("ca", *arguments, home=home)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root -> intermediate -> gw-1.ca (replaced once), gw-2.ca; pump-1, which ends in ten days."""
    home = tmp_path_factory.mktemp("maker")
    ca(home, "init", "--cn", "Root")
    ca(home, "intermediate", "Factory CA")
    ca(home, "device", "gw-1.ca", "--out", str(home / "gw-1"))
    ca(home, "device", "gw-1.ca", "--out", str(home / "gw-1-again"), "--replace")
    ca(home, "device", "gw-2.ca", "--out", str(home / "gw-2"))
    ca(home, "leaf", "pump-1", "--out", str(home / "pump-1"), "--days", "10")
    return home


def fingerprint(file: Path) -> str:
    described = leafward_json("chain", str(file), home=file.parent)
    return str(described["certificates"][0]["sha256"])


def test_list_has_the_authorities_and_what_lives(home: Path) -> None:
    listed = ca_json(home, "list")
    assert [(row["name"], row["role"], row["common_name"]) for row in listed] == [
        ("root", "root_ca", "Root"),
        ("factory-ca", "intermediate_ca", "Factory CA"),
        ("-", "device_ca", "gw-1.ca"),
        ("-", "device_ca", "gw-2.ca"),
        ("-", "leaf_device", "pump-1"),
    ]
    everything = ca_json(home, "list", "--all")
    assert [row["status"] for row in everything] == ["valid", "valid", "replaced", "valid", "valid", "valid"]
    lines = ca(home, "list").splitlines()
    assert len(lines) == 5
    assert "gw-2.ca" in lines[3]


def test_looking_at_an_empty_home_makes_nothing(tmp_path: Path) -> None:
    assert ca_json(tmp_path, "list") == []
    done = leafward("ca", "show", "nobody", home=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (3, [])


def test_a_second_request_for_a_living_name_says_who_lives(home: Path) -> None:
    done = leafward("ca", "device", "gw-2.ca", "--out", str(home / "elsewhere"), home=home)
    assert done.returncode == 3
    assert fingerprint(home / "gw-2" / "certificate.pem") in done.stderr
    assert "--replace" in done.stderr
    assert not (home / "elsewhere").exists()


def test_renew_keeps_the_key(tmp_path: Path) -> None:
    ca(tmp_path, "init", "--cn", "Root")
    folder = tmp_path / "pump"
    ca(tmp_path, "leaf", "pump-1", "--out", str(folder))
    key, certificate = ((folder / name).read_bytes() for name in ("key.pem", "certificate.pem"))
    ca(tmp_path, "leaf", "pump-1", "--out", str(folder), "--renew")
    assert (folder / "key.pem").read_bytes() == key
    assert (folder / "certificate.pem").read_bytes() != certificate


def test_show_finds_an_issued_certificate_by_name_serial_and_fingerprint(home: Path) -> None:
    file = home / "gw-2" / "certificate.pem"
    leaf = x509.load_pem_x509_certificates(file.read_bytes())[0]
    for wanted in ("gw-2.ca", fingerprint(file)[:12], f"{leaf.serial_number:x}"):
        shown = ca_json(home, "show", wanted)
        assert shown["sha256"] == fingerprint(file)
        assert (shown["kind"], shown["status"], shown["log_index"]) == ("device_ca", "valid", 4)
        assert [one["common_name"] for one in shown["certificates"]] == ["gw-2.ca", "Factory CA", "Root"]
    assert ca(home, "show", "gw-2.ca", "--pem") == file.read_text()
    assert "status: valid" in ca(home, "show", "gw-2.ca")
    assert "Factory CA" in ca(home, "show", "factory-ca")
    assert leafward("ca", "show", "nobody", home=home).returncode == 3


def test_search(home: Path) -> None:
    found = ca_json(home, "search", "GW-", "--status", "valid")
    assert [one["name"] for one in found["certificates"]] == ["gw-1.ca", "gw-2.ca"]
    assert found["next"] is None
    first = ca_json(home, "search", "gw-", "--limit", "2")
    rest = ca_json(home, "search", "gw-", "--limit", "2", "--after", first["next"])
    assert [one["name"] for one in first["certificates"] + rest["certificates"]] == ["gw-1.ca", "gw-1.ca", "gw-2.ca"]
    assert "pump-1" in ca(home, "search", "--kind", "leaf_device")
    nothing = leafward("ca", "search", "no-such-thing", home=home)
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert leafward("ca", "search", "--after", "nonsense", home=home).returncode == 2


def test_counts(home: Path) -> None:
    counted = {(one["kind"], one["status"]): one["number"] for one in ca_json(home, "search", "--count")}
    assert counted == {
        ("device_ca", "replaced"): 1,
        ("device_ca", "valid"): 2,
        ("intermediate_ca", "valid"): 1,
        ("leaf_device", "valid"): 1,
        ("root_ca", "valid"): 1,
    }


def test_expiring(home: Path) -> None:
    assert [one["name"] for one in ca_json(home, "expiring")] == ["pump-1"]
    assert ca_json(home, "expiring", "--days", "5") == []
    assert "pump-1" in ca(home, "expiring", "--days", "11")


def test_compact_drops_nothing_that_lives(home: Path) -> None:
    assert ca_json(home, "compact", "--dry-run") == {"certificates": 0, "octets": 0, "dry_run": True}
    assert ca_json(home, "compact", "--yes", "--days", "0") == {"certificates": 0, "octets": 0, "dry_run": False}
    assert ca(home, "show", "gw-2.ca", "--pem")


def test_times_are_utc(home: Path) -> None:
    issued = datetime.fromisoformat(ca_json(home, "search", "pump-1")["certificates"][0]["issued"])
    assert abs((datetime.now(UTC) - issued).total_seconds()) < 600


def test_two_stations_share_a_server(tmp_path: Path, postgresql: PostgreSql) -> None:
    """Two homes, one database: what the one issued is known to the other, and its names are taken."""
    url = postgresql.database()
    stations = tmp_path / "one", tmp_path / "two"
    for number, station in enumerate(stations):
        station.mkdir()
        (station / "leafward.toml").write_text(f"[maker]\ndatabase = {json.dumps(url)}\n")
        ca(station, "init", "--cn", f"Root {number}")
    ca(stations[0], "device", "gw.ca", "--out", str(tmp_path / "gw"))
    done = leafward("ca", "device", "gw.ca", "--out", str(tmp_path / "again"), home=stations[1])
    assert done.returncode == 3
    assert fingerprint(tmp_path / "gw" / "certificate.pem") in done.stderr
    assert len(ca_json(stations[1], "search")["certificates"]) == 3
    assert not (stations[0] / "maker" / "maker.db").exists()
