"""`leafward ca revoke|crl|ocsp`: revocation by its commands, and what OpenSSL and GnuTLS say of the files."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.edge import leafward, leafward_json

SETTINGS = """
[maker]
crl_url = "http://pki.example.com/crl"
ocsp_url = "http://pki.example.com/ocsp"
"""


def ca(home: Path, *arguments: str) -> str:
    done = leafward("ca", *arguments, home=home)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ca_json(home: Path, *arguments: str) -> Any:
    return leafward_json("ca", *arguments, home=home)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root -> factory -> pump-1, pump-2; lists in parts."""
    home = tmp_path_factory.mktemp("maker")
    home.chmod(0o700)
    (home / "leafward.toml").write_text(SETTINGS)
    ca(home, "init", "--cn", "Root")
    ca(home, "intermediate", "Factory CA")
    for name in ("pump-1", "pump-2"):
        ca(home, "leaf", name, "--out", str(home / name))
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A copy of it for one test."""
    shutil.copytree(made, tmp_path / "home")
    return tmp_path / "home"


def chain_of(home: Path, name: str) -> Path:
    return home / name / "certificate.pem"


def test_revoke_and_verify(home: Path) -> None:
    """Revoked by name; `leafward verify --crl` refuses it, and not the other."""
    revoked = ca_json(home, "revoke", "pump-1", "--reason", "keyCompromise")
    assert (revoked["status"], revoked["reason"], revoked["name"]) == ("revoked", "keyCompromise", "pump-1")
    assert (revoked["list"]["part"], revoked["list"]["number"], revoked["list"]["revoked"]) == (1, 1, 1)
    assert revoked["list"]["url"].startswith("http://pki.example.com/crl/")
    ca(home, "crl")
    lists, root = home / "lists.pem", home / "root.pem"
    lists.write_text(ca(home, "crl", "show", "--pem"))
    root.write_text(ca(home, "show", "root", "--pem"))
    for name, code in (("pump-1", 1), ("pump-2", 0)):
        arguments = [str(chain_of(home, name)), "--root", str(root), "--purpose", "client", "--crl", str(lists)]
        done = leafward("verify", *arguments, "--json", home=home)
        assert done.returncode == code, done.stdout
        assert json.loads(done.stdout)["rule"] == ("certificate-revoked" if code else None)


def test_openssl_and_gnutls_take_the_lists(home: Path) -> None:
    """`openssl verify -crl_check_all` up to the root; `certtool --verify-crl` each list."""
    ca(home, "revoke", "pump-1")
    ca(home, "crl")
    lists, root, cas = home / "lists.pem", home / "root.pem", home / "cas.pem"
    lists.write_text(ca(home, "crl", "show", "--pem"))
    root.write_text(ca(home, "show", "root", "--pem"))
    cas.write_text(ca(home, "show", "factory-ca", "--pem"))
    for name, words in (("pump-1", "certificate revoked"), ("pump-2", "OK")):
        command = ["openssl", "verify", "-x509_strict", "-crl_check_all", "-CAfile", str(root)]
        files = ["-untrusted", str(cas), "-CRLfile", str(lists), str(chain_of(home, name))]
        done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
        assert words in done.stdout + done.stderr
    for one in ca_json(home, "crl", "show"):
        pem = home / "one.pem"
        issuer = home / "issuer.pem"
        signers = x509.load_pem_x509_certificates(cas.read_bytes())
        issuer.write_bytes(signers[one["authority"] == "root"].public_bytes(Encoding.PEM))
        command = ["openssl", "crl", "-inform", "DER", "-in", one["file"], "-out", str(pem)]
        subprocess.run(command, check=True, capture_output=True)
        done = subprocess.run(
            ["certtool", "--verify-crl", "--load-ca-certificate", str(issuer), "--infile", str(pem)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Verified. The certificate is trusted." in done.stdout + done.stderr


def test_hold_and_release(home: Path) -> None:
    assert ca_json(home, "revoke", "pump-1", "--reason", "certificatehold")["status"] == "revoked"
    wanted = ca_json(home, "search", "pump-1")["certificates"][0]["sha256"]
    assert ca_json(home, "revoke", wanted, "--reason", "removeFromCRL")["status"] == "valid"
    assert "released" in ca(home, "revoke", "pump-2", "--reason", "certificateHold") + ca(
        home, "revoke", "pump-2", "--reason", "removeFromCRL"
    )
    done = leafward("ca", "revoke", "pump-2", "--reason", "removeFromCRL", home=home)
    assert done.returncode == 3
    assert "not on hold" in done.stderr


def test_refusals_say_what_to_do(home: Path) -> None:
    ca(home, "revoke", "pump-1")
    for arguments, code, words in (
        (("pump-1",), 3, "revoked already"),
        (("pump-9",), 3, "no certificate 'pump-9'"),
        (("root",), 3, "a root cannot be revoked"),
        (("pump-2", "--reason", "stolen"), 2, "keyCompromise"),
    ):
        done = leafward("ca", "revoke", *arguments, home=home)
        assert done.returncode == code, done.stderr
        assert words in done.stderr


def test_without_the_key_it_is_recorded_and_said(home: Path) -> None:
    key = home / "maker" / "authorities" / "factory-ca" / "key.pem"
    key.rename(key.with_suffix(".away"))
    done = leafward("ca", "revoke", "pump-1", "--json", home=home)
    assert done.returncode == 0
    assert "not published yet" in done.stderr
    assert "leafward ca crl" in done.stderr
    assert json.loads(done.stdout)["list"] is None
    assert leafward("ca", "crl", home=home).returncode == 3
    key.with_suffix(".away").rename(key)
    published = ca_json(home, "crl")
    assert [one["revoked"] for one in published if one["authority"] == "factory-ca"] == [1]


def test_crl_publishes_what_is_due(home: Path) -> None:
    first = ca_json(home, "crl")
    assert [(one["authority"], one["part"]) for one in first] == [("root", None), ("root", 1), ("factory-ca", 1)]
    assert ca_json(home, "crl") == []
    assert "no revocation list is due" in ca(home, "crl")
    again = ca_json(home, "crl", "--all", "--issuer", "factory-ca", "--days", "30")
    assert [(one["number"], one["part"]) for one in again] == [(2, 1)]
    whole = ca_json(home, "crl", "--complete", "--issuer", "factory-ca")
    assert [(one["number"], one["part"], one["url"]) for one in whole] == [(1, None, None)]
    shown = ca_json(home, "crl", "show")
    assert {Path(one["file"]).name for one in shown} == {"complete.crl", "1.crl"}
    assert "number 2" in ca(home, "crl", "show", "--issuer", "factory-ca")
    verified = leafward("ca", "log", "verify", home=home)
    assert verified.returncode == 0, verified.stdout


def test_ocsp_ahead(home: Path) -> None:
    ca(home, "revoke", "pump-1")
    assert ca_json(home, "ocsp") == {"root": 1, "factory-ca": 2}
    assert ca_json(home, "ocsp") == {"root": 0, "factory-ca": 0}
    assert ca_json(home, "ocsp", "--issuer", "factory-ca", "--all") == {"factory-ca": 2}
    shown = ca_json(home, "ocsp", "show", "pump-1")
    assert (shown["answer"], shown["until"] is None) == ("revoked", False)
    assert "answer: good" in ca(home, "ocsp", "show", "pump-2")


def test_an_empty_home_stays_empty(tmp_path: Path) -> None:
    for arguments in (("revoke", "x"), ("crl",), ("crl", "show"), ("ocsp",), ("ocsp", "show", "x")):
        assert leafward("ca", *arguments, home=tmp_path).returncode == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('crl_url = "https://pki.example.com/crl"', "http://HOST/PATH"),
        ('crl_url = "http://pki.example.com/crl?x=1"', "http://HOST/PATH"),
        ('crl_url = "pki.example.com"', "http://HOST/PATH"),
        ('ocsp_url = "http://pki.example.com/a b"', "ASCII"),
        ("crl_days = 0", "crl_days"),
        ("ocsp_hours = 10000", "ocsp_hours"),
    ],
)
def test_wrong_settings(tmp_path: Path, line: str, words: str) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "leafward.toml").write_text(f"[maker]\n{line}\n")
    done = leafward("ca", "list", home=tmp_path)
    assert done.returncode == 3
    assert words in done.stderr
