"""`leafward device`: what is registered, what a device is given, and what is never shown."""

import base64
import stat
import subprocess
from pathlib import Path

from tests.edge import Edge


def test_add_prints_a_connection_string_for_a_person(edge: Edge) -> None:
    done = edge.run("device", "add", "person")
    assert done.stdout.startswith("HostName=gateway.test;DeviceId=person;SharedAccessKey=")
    assert ";GatewayHostName=gateway.test\n" in done.stdout


def test_an_id_in_use_is_exit_code_3_and_nothing_changes(edge: Edge) -> None:
    before = edge.json("device", "add", "twice")
    again = edge.run("device", "add", "twice", "--auth", "x509-ca")
    assert again.returncode == 3
    assert "exists" in again.stderr
    shown = edge.json("device", "show", "twice", "--secrets")
    assert (shown["auth"], shown["connection_string"]) == ("sas", before["connection_string"])
    assert not (edge.home / "devices" / "twice").exists()


def test_an_id_that_differs_in_case_only_is_in_use(edge: Edge) -> None:
    edge.json("device", "add", "Pump-7")
    assert edge.run("device", "add", "pump-7").returncode == 3


def test_a_bad_id_is_refused_with_what_is_accepted(edge: Edge) -> None:
    done = edge.run("device", "add", "no/slash")
    assert done.returncode == 2
    assert "use letters" in done.stderr
    assert not (edge.home / "devices" / "no").exists()


def test_certificates_are_for_the_owner_only_and_verify_by_openssl(edge: Edge) -> None:
    """root -> intermediate -> device CA -> "mode-leaf"."""
    added = edge.json("device", "add", "mode-leaf", "--auth", "x509-ca")
    key, chain = Path(added["private_key"]), Path(added["certificate"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(chain.stat().st_mode) == 0o644
    arguments = [
        "-x509_strict",
        "-purpose",
        "sslclient",
        "-CAfile",
        added["root"],
        "-untrusted",
        str(chain),
        str(chain),
    ]
    done = subprocess.run(["openssl", "verify", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_list_and_show_tell_no_key(edge: Edge) -> None:
    text = edge.json("device", "add", "secret")["connection_string"]
    key = text.split("SharedAccessKey=")[1].split(";")[0]
    assert len(base64.b64decode(key)) == 32
    for command in (["device", "list"], ["device", "list", "--json"], ["device", "show", "secret"]):
        done = edge.run(*command)
        assert "secret" in done.stdout
        assert key not in done.stdout


def test_a_given_thumbprint_is_registered_and_no_key_is_made(edge: Edge) -> None:
    added = edge.json("device", "add", "own-cert", "--auth", "x509-thumbprint", "--thumbprint", "AB" * 32)
    assert added["private_key"] is None
    assert edge.json("device", "show", "own-cert")["primary_thumbprint"] == "ab" * 32


def test_remove_asks_and_without_an_answer_removes_nothing(edge: Edge) -> None:
    edge.json("device", "add", "stays", "--auth", "x509-ca")
    asked = edge.run("device", "remove", "stays")
    assert asked.returncode == 1
    assert asked.stdout == ""
    assert "nothing was changed" in asked.stderr
    assert edge.json("device", "remove", "stays", "--dry-run") == {"device_id": "stays", "removed": False}
    assert edge.json("device", "show", "stays")["enabled"] is True
    assert (edge.home / "devices" / "stays").exists()
    assert edge.json("device", "remove", "stays", "--yes") == {"device_id": "stays", "removed": True}
    assert edge.run("device", "show", "stays").returncode == 3
    assert not (edge.home / "devices" / "stays").exists()


def test_a_module_is_removed_when_that_was_agreed_to(edge: Edge) -> None:
    edge.json("module", "add", "filter")
    assert edge.run("module", "remove", "filter").returncode == 1
    assert edge.run("module", "remove", "filter", "--dry-run").stdout == "would remove filter\n"
    assert "filter" in {one["module_id"] for one in edge.json("module", "list")}
    assert edge.json("module", "remove", "filter", "--yes") == {"module_id": "filter", "removed": True}
    assert "filter" not in {one["module_id"] for one in edge.json("module", "list")}
    assert edge.run("module", "remove", "filter", "--dry-run").returncode == 3


def test_disable_of_an_unknown_device(edge: Edge) -> None:
    done = edge.run("device", "disable", "nobody")
    assert done.returncode == 3
    assert "nobody" in done.stderr


def test_a_device_that_is_moved(edge: Edge) -> None:
    """moved ── line-1 ── here, then ── line-2 ── line-1 ── here, then here: nothing else of it changes."""
    edge.json("device", "add", "line-1")
    edge.json("device", "add", "line-2", "--parent", "line-1")
    edge.json("device", "add", "moved", "--parent", "line-1")
    before = edge.json("device", "show", "moved", "--secrets")
    assert before["parent"] == "line-1"
    assert edge.json("device", "set-parent", "moved", "line-2")["parent"] == "line-2"
    assert edge.json("device", "show", "moved", "--secrets") == {**before, "parent": "line-2"}
    assert edge.run("device", "set-parent", "moved", "--none").stdout == "moved is behind no other gateway\n"
    assert edge.json("device", "show", "moved", "--secrets") == {**before, "parent": None}


def test_a_place_that_cannot_be(edge: Edge) -> None:
    """Behind itself, directly and by another; nowhere said, and both said; a device that is not there."""
    edge.json("device", "add", "upper")
    edge.json("device", "add", "lower", "--parent", "upper")
    for arguments, code, said in (
        (("upper", "lower"), 3, "behind itself"),
        (("upper", "upper"), 3, "behind itself"),
        (("upper",), 2, "--none"),
        (("upper", "lower", "--none"), 2, "--none"),
        (("upper", "no/slash"), 2, "use letters"),
        (("absent", "upper"), 3, "absent"),
    ):
        done = edge.run("device", "set-parent", *arguments)
        assert (done.returncode, said in done.stderr) == (code, True), (arguments, done)
    assert edge.json("device", "show", "upper")["parent"] is None
