"""The commands for enrolments, CAs and the registry, as a person types them; no service need run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.edge import leafward, leafward_json
from tests.hub.hub_certificates import make

Run = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose edge has been there."""
    made = tmp_path / "home"
    (made / "trust").mkdir(parents=True)
    (made / "trust" / "root.pem").write_text("")
    (made / "leafward.toml").write_text('[device]\nhostname = "gateway.test"\n')
    return made


def test_a_life_of_an_enrolment(home: Path, tmp_path: Path) -> None:
    """Added, shown without its keys, changed, disabled, enabled, removed; each refusal with its exit code."""
    added = leafward_json("enrolment", "add", "pump-7", "--symmetric-key", "--twin", '{"tags":{"a":1}}', home=home)
    assert len(added["attestation"]["symmetricKey"]["primaryKey"]) == 88
    shown = leafward_json("enrolment", "show", "PUMP-7", home=home)
    assert (shown["attestation"]["symmetricKey"], shown["initialTwin"]) == ({}, {"tags": {"a": 1}})
    secret = leafward_json("enrolment", "show", "pump-7", "--secrets", home=home)
    assert secret["attestation"] == added["attestation"]
    changed = leafward_json(
        "enrolment",
        "update",
        "pump-7",
        "--hub",
        "a.test",
        "--allocation",
        "static",
        "--new-key",
        "secondary",
        home=home,
    )
    assert (changed["iotHubs"], changed["allocationPolicy"]) == (["a.test"], "static")
    keys = [one["attestation"]["symmetricKey"] for one in (added, changed)]
    assert keys[0]["primaryKey"] == keys[1]["primaryKey"]
    assert keys[0]["secondaryKey"] != keys[1]["secondaryKey"]
    for word, status in (("disable", "disabled"), ("enable", "enabled")):
        assert leafward("enrolment", word, "pump-7", home=home).returncode == 0
        assert leafward_json("enrolment", "show", "pump-7", home=home)["provisioningStatus"] == status
    assert leafward("enrolment", "update", "pump-7", "--etag", "old", "--edge", home=home).returncode == 3
    assert leafward("enrolment", "add", "pump-7", "--symmetric-key", home=home).returncode == 3
    assert leafward("enrolment", "remove", "pump-7", home=home, input="n\n").returncode == 1
    assert "would remove" in leafward("enrolment", "remove", "pump-7", "--dry-run", home=home).stdout
    assert leafward("enrolment", "remove", "pump-7", "--yes", home=home).returncode == 0
    assert leafward("enrolment", "show", "pump-7", home=home).returncode == 3


def test_groups(home: Path, tmp_path: Path) -> None:
    """By certificate, by a registered CA, by key with its devices' keys; warned while no CA is proved."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(make("Line CA", ca=True).pem())
    done = leafward("enrolment", "add", "line", "--group", "--certificate", str(ca), home=home)
    assert done.returncode == 0
    assert "no CA is proved yet" in done.stderr
    assert not leafward_json("provisioning", "ca", "add", str(ca), "--name", "line-ca", home=home)["verified"]
    leafward_json("enrolment", "add", "other", "--group", "--ca", "line-ca", home=home)
    assert leafward("provisioning", "ca", "remove", "line-ca", "--yes", home=home).returncode == 3
    leafward_json("enrolment", "add", "batch", "--group", "--symmetric-key", home=home)
    keys = [leafward_json("enrolment", "device-key", "batch", name, home=home) for name in ("pump-1", "pump-2")]
    assert keys[0]["symmetric_key"] != keys[1]["symmetric_key"]
    lines = leafward("enrolment", "list", "--group", "--json", home=home).stdout.splitlines()
    assert [json.loads(line)["enrollmentGroupId"] for line in lines] == ["batch", "line", "other"]
    assert leafward_json("provisioning", "ca", "list", home=home)[0]["name"] == "line-ca"


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("pump-7",), 2),
        (("pump-7", "--symmetric-key", "--ca", "x"), 2),
        (("pump 7", "--symmetric-key"), 2),
        (("pump-7", "--ca", "x"), 3),
        (("pump-7", "--endorsement-key", "AAAA"), 3),
        (("pump-7", "--symmetric-key", "--twin", "{"), 2),
        (("line", "--group", "--ca", "nobody"), 3),
        (("line", "--group", "--symmetric-key", "--device-id", "x"), 3),
    ],
)
def test_wrong_use(home: Path, arguments: tuple[str, ...], exit_code: int) -> None:
    done = leafward("enrolment", "add", *arguments, home=home)
    assert done.returncode == exit_code, done.stderr
    assert "Traceback" not in done.stderr


def test_the_wrong_way_round(home: Path, tmp_path: Path) -> None:
    """A CA for one device, a device for a group."""
    for held, more in ((make("CA", ca=True), ()), (make("pump-7", client=True), ("--group",))):
        file = tmp_path / "certificate.pem"
        file.write_bytes(held.pem())
        done = leafward("enrolment", "add", "x", *more, "--certificate", str(file), home=home)
        assert done.returncode == 3, done.stderr


def test_keys_of_a_file(home: Path, tmp_path: Path) -> None:
    """Read and not shown."""
    file = tmp_path / "keys"
    file.write_text("A" * 43 + "=\n" + "B" * 42 + "A=\n")
    added = leafward_json("enrolment", "add", "pump-7", "--symmetric-key", "--key-file", str(file), home=home)
    assert added["attestation"]["symmetricKey"] == {}
    shown = leafward_json("enrolment", "show", "pump-7", "--secrets", home=home)
    assert shown["attestation"]["symmetricKey"]["primaryKey"] == "A" * 43 + "="


def test_export_and_import(home: Path, tmp_path: Path) -> None:
    """Out with the keys, into another home; wrong lines are told by number; strict writes nothing."""
    first = leafward_json("device", "add", "pump-7", home=home)
    assert "primary_key" not in leafward("device", "export", home=home).stdout
    file = tmp_path / "devices.jsonl"
    assert leafward("device", "export", "--secrets", "--out", str(file), home=home).returncode == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert leafward("device", "remove", "pump-7", "--yes", home=home).returncode == 0
    with file.open("a") as lines:
        lines.write('{"device_id":"pump-8","auth":"x509-ca"}\n{"device_id":"pump/9"}\n')
    for options, written in (("--strict", False), ("--dry-run", False), ("", True)):
        done = leafward("device", "import", str(file), *options.split(), "--json", home=home)
        assert done.returncode == 1
        assert "line 3" in done.stderr
        assert json.loads(done.stdout) == {"added": 2, "replaced": 0, "same": 0, "refused": 1, "written": written}
    again = leafward_json("device", "show", "pump-7", "--secrets", home=home)
    assert again["connection_string"] == first["connection_string"]
    done = leafward("device", "import", "-", "--json", home=home, input='{"device_id":"pump-10"}\n')
    assert json.loads(done.stdout)["added"] == 1


def test_rotate_key(home: Path) -> None:
    """The secondary, then the primary; the other one stays."""
    before = leafward_json("device", "add", "pump-7", home=home)["connection_string"]
    secondary = leafward_json("device", "rotate-key", "pump-7", "--secondary", home=home)["connection_string"]
    assert secondary != before
    assert leafward_json("device", "show", "pump-7", "--secrets", home=home)["connection_string"] == before
    primary = leafward_json("device", "rotate-key", "pump-7", "--yes", home=home)["connection_string"]
    assert primary not in (before, secondary)
    assert leafward("device", "rotate-key", "pump-7", "--secondary", "--dry-run", home=home).returncode == 0
    leafward_json("device", "add", "pump-8", "--auth", "x509-thumbprint", "--thumbprint", "ab" * 32, home=home)
    changed = leafward_json("device", "rotate-key", "pump-8", "--secondary", "--thumbprint", "cd" * 32, home=home)
    assert (changed["primary_thumbprint"], changed["secondary_thumbprint"]) == ("ab" * 32, "cd" * 32)
    assert leafward("device", "rotate-key", "pump-8", home=home).returncode == 2
