"""Hierarchies by their commands: a corporate root, a contractor, a fenced gateway that serves, a post-quantum chain."""

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.edge import StartEdge, leafward, leafward_json


def ca(home: Path, *arguments: str) -> Any:
    return leafward_json("ca", *arguments, home=home)


def openssl(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False, cwd=folder)
    return done.stdout + done.stderr


def certificate(home: Path, name: str) -> Path:
    return home / "maker" / "authorities" / name / "certificate.pem"


def test_a_corporate_root_by_request_and_answer(tmp_path: Path) -> None:
    """openssl's own CA signs our request; the answer completes the CA; a device CA below verifies."""
    home = tmp_path / "home"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/O=Corporation/CN=Corporate Root", "-days", "900", "-keyout", "root.key", "-out", "root.pem",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", folder=tmp_path)  # fmt: skip
    ca(home, "intermediate", "Factory CA", "--csr-out", str(tmp_path / "factory.csr"))
    text = openssl("req", "-in", "factory.csr", "-noout", "-text", folder=tmp_path)
    assert "CA:TRUE, pathlen:2" in text
    openssl("x509", "-req", "-in", "factory.csr", "-CA", "root.pem", "-CAkey", "root.key", "-days", "800",
            "-copy_extensions", "copyall", "-out", "factory.pem", folder=tmp_path)  # fmt: skip
    done = leafward("ca", "import", str(tmp_path / "factory.pem"), home=home)
    assert done.returncode == 3
    assert "Corporate Root" in done.stderr
    imported = ca(home, "import", str(tmp_path / "factory.pem"), str(tmp_path / "root.pem"))
    assert [(one["name"], one["how"], one["key"]) for one in imported] == [
        ("corporate-root", "added", False),
        ("factory-ca", "completed", True),
    ]
    ca(home, "device", "gw.ca", "--out", str(tmp_path / "gw"))
    said = openssl("verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "gw/certificate.pem",
                   "gw/certificate.pem", folder=tmp_path)  # fmt: skip
    assert said.endswith(": OK\n")


def test_a_contractor_gets_an_intermediate_from_the_maker(tmp_path: Path) -> None:
    """Two companies, two homes: the contractor's key never leaves it; the maker signs with a fence and a policy."""
    maker, contractor = tmp_path / "maker", tmp_path / "contractor"
    ca(maker, "init", "--cn", "Maker Root")
    ca(
        contractor,
        "intermediate",
        "Contractor CA",
        "--csr-out",
        str(tmp_path / "asked.csr"),
        "--permit-dns",
        "c.example",
    )
    ca(maker, "sign", str(tmp_path / "asked.csr"), "--profile", "intermediate_ca", "--permit-dns", "c.example",
       "--policy", "1.3.6.1.4.1.99999.7", "--out", str(tmp_path / "signed.pem"))  # fmt: skip
    imported = ca(contractor, "import", str(tmp_path / "signed.pem"))
    assert [one["how"] for one in imported] == ["added", "completed"]
    ca(contractor, "device", "gw.ca", "--out", str(tmp_path / "gw"))
    text = openssl("x509", "-in", "gw/certificate.pem", "-noout", "-text", folder=tmp_path)
    assert "1.3.6.1.4.1.99999.7" in text
    assert (tmp_path / "contractor/maker/authorities/contractor-ca/key.pem").exists()
    assert not list((tmp_path / "maker").rglob("contractor-ca"))


def test_cross_signing_and_rollover_and_the_way_through(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ca(home, "init", "--cn", "Maker Root")
    ca(home, "intermediate", "Factory")
    ca(home, "device", "gw.ca", "--out", str(tmp_path / "gw"))
    ca(home, "init", "--cn", "Other Root")
    ca(home, "cross-sign", "maker-root", "--by", "other-root", "--out", str(tmp_path / "cross.pem"))
    ca(home, "rollover", "maker-root")
    roots = [certificate(home, name) for name in ("maker-root", "maker-root-2", "other-root")]
    for name, root in zip(("maker-root", "maker-root-2", "other-root"), roots, strict=True):
        shown = leafward("ca", "show", "gw.ca", "--through", name, "--pem", home=home)
        assert shown.returncode == 0, shown.stderr
        (tmp_path / "through.pem").write_text(shown.stdout)
        said = openssl("verify", "-x509_strict", "-CAfile", str(root), "-untrusted", "through.pem", "through.pem",
                       folder=tmp_path)  # fmt: skip
        assert said.endswith(": OK\n"), (name, said)
    done = leafward("ca", "intermediate", "X", home=home)
    assert done.returncode == 3
    assert "hierarchies" in done.stderr


def test_a_fenced_gateway_serves_its_own_site(tmp_path: Path, start_edge: StartEdge) -> None:
    """device CA fenced to site7.example, hub gw.site7.example: a TLS client with the root alone accepts it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "leafward.toml").write_text('[device]\nhostname = "gw.site7.example"\n')
    ca(home, "init", "--cn", "Maker Root")
    ca(home, "device", "gw.ca", "--permit-dns", "site7.example", "--install")
    edge = start_edge(home)
    mqtts = edge.ready["mqtts"]
    served = ssl.get_server_certificate((edge.address, mqtts["port"]))
    (tmp_path / "hub.pem").write_text(served)
    text = openssl("x509", "-noout", "-ext", "subjectAltName", "-in", "hub.pem", folder=tmp_path)
    assert "DNS:gw.site7.example" in text
    assert "edgehub" not in text
    context = ssl.create_default_context(cafile=str(edge.root))
    with (
        socket.create_connection((edge.address, mqtts["port"]), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="gw.site7.example") as secure,
    ):
        assert secure.version() is not None


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--permit-dns", "site8.example"], "name constraints"),
        (["--key", "ml-dsa-65"], "TLS 1.2"),
    ],
)
def test_a_device_ca_that_cannot_serve_this_gateway_is_refused_at_start(
    tmp_path: Path, options: list[str], code: str
) -> None:
    """Fenced to another site, or with a key that no TLS 1.2 client verifies: the manager says so and makes nothing."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "leafward.toml").write_text('[device]\nhostname = "gw.site7.example"\n')
    ca(home, "init", "--cn", "Maker Root")
    ca(home, "device", "gw.ca", "--install", *options)
    done = leafward("manager", "run", home=home)
    assert done.returncode == 3
    assert code in done.stderr
    assert "next: " in done.stderr
    assert not list((home / "manager").rglob("hub-server/*"))


@pytest.mark.parametrize("key", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_a_post_quantum_hierarchy_with_the_same_commands(tmp_path: Path, key: str) -> None:
    home = tmp_path / "home"
    ca(home, "init", "--cn", "Root", "--key", key)
    ca(home, "intermediate", "Factory", "--key", key)
    ca(home, "device", "gw.ca", "--key", key, "--with-identity", "--out", str(tmp_path / "gw"))
    ca(home, "leaf", "pump-7", "--key", key, "--out", str(tmp_path / "leaf"))
    for folder in ("gw", "gw/identity", "leaf"):
        described = leafward_json("chain", str(tmp_path / folder / "certificate.pem"), home=home)
        assert {one["key"] for one in described["certificates"]} == {key}
        assert described["complete"]
    shown = ca(home, "show", "factory")
    assert [one["key"] for one in shown["certificates"]] == [key, key]


def test_a_device_ca_with_room_for_gateways_behind_it(tmp_path: Path) -> None:
    """root -> plant CA (pathlen 3) -> parent (2) | (3) refused: the plant CA has room for one gateway, not for two."""
    home = tmp_path / "home"
    ca(home, "init", "--cn", "Root")
    ca(home, "intermediate", "Plant CA", "--intermediates-below", "1")
    out = tmp_path / "parent"
    ca(home, "device", "parent.ca", "--gateways-below", "1", "--with-identity", "--out", str(out))
    assert "CA:TRUE, pathlen:2" in openssl("x509", "-in", "certificate.pem", "-noout", "-text", folder=out)
    done = leafward("ca", "device", "deep.ca", "--gateways-below", "2", "--out", str(tmp_path / "deep"), home=home)
    assert done.returncode == 3
    assert "pathlen:3" in done.stderr
    assert not (tmp_path / "deep").exists()
