"""Real EST clients against `leafward ca serve`: strongSwan's pki, and curl with openssl, as their users call them."""

import base64
import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.edge import LEAFWARD, leafward, leafward_json

# What strongSwan loads is in a Debian package of its own; without it, pki knows no elliptic curve.
STRONGSWAN_OPENSSL = Path("/usr/lib/ipsec/plugins/libstrongswan-openssl.so")
needs_strongswan = pytest.mark.skipif(
    not STRONGSWAN_OPENSSL.exists(), reason="strongswan-pki with libstrongswan-standard-plugins is not there"
)


@dataclass(frozen=True)
class Est:
    """A server that runs, and the folder of its client."""

    home: Path
    facts: dict[str, Any]
    process: subprocess.Popen[str]

    @property
    def host(self) -> str:
        return f"https://localhost:{self.facts['port']}"

    @property
    def root(self) -> Path:
        return self.home / "maker/authorities/test-root-ca/certificate.pem"

    @property
    def factory(self) -> Path:
        return self.home / "maker/authorities/test-factory-ca/certificate.pem"

    def account(self, name: str) -> str:
        return str(leafward_json("ca", "account", "add", name, "--once", home=self.home)["password"])

    def status(self, name: str) -> list[str]:
        found = leafward_json("ca", "search", name, home=self.home)
        return sorted(one["status"] for one in found["certificates"] if one["kind"] == "leaf_device")


@pytest.fixture(scope="module")
def est(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Est]:
    home = tmp_path_factory.mktemp("est") / "home"
    leafward_json("ca", "init", "--cn", "Test Root CA", home=home)
    leafward_json("ca", "intermediate", "Test Factory CA", home=home)
    options = ["--home", str(home), "--bind", "127.0.0.1", "--port", "0", "--http-port", "0", "--name", "localhost"]
    process = subprocess.Popen(
        [str(LEAFWARD), "ca", "serve", *options, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said, process.stderr and process.stderr.read()
        yield Est(home, json.loads(said), process)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors


def run(*command: str | Path, data: bytes | None = None) -> bytes:
    done = subprocess.run([*map(str, command)], input=data, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode("latin-1")
    return done.stdout


def make_request(folder: Path, name: str) -> tuple[Path, Path]:
    """A key and a request in DER, by openssl."""
    key, request = folder / f"{name}.key", folder / f"{name}.der"
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    run("openssl", "req", "-new", "-key", key, "-subj", f"/CN={name}", "-outform", "DER", "-out", request)
    return key, request


def alone(chain: Path, folder: Path, name: str) -> Path:
    """The first certificate of a chain file, as strongSwan wants it."""
    run("openssl", "x509", "-in", chain, "-out", folder / name)
    return folder / name


def subject_of(pem: bytes) -> str:
    return run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253", data=pem).decode().strip()


@needs_strongswan
def test_strongswan_fetches_the_ca_certificates(est: Est, tmp_path: Path) -> None:
    """`pki --estca` trusts the root it was given, and writes root and intermediate."""
    run("pki", "--estca", "--url", est.host, "--cacert", est.root, "--caout", tmp_path / "ca.pem", "--outform", "pem")
    assert subject_of((tmp_path / "ca.pem").read_bytes()) == "subject=CN=Test Root CA"
    assert subject_of((tmp_path / "ca-1.pem").read_bytes()) == "subject=CN=Test Factory CA"


@needs_strongswan
def test_strongswan_enrols_with_a_password_and_renews(est: Est, tmp_path: Path) -> None:
    """`pki --est`: simpleenroll with the account, then simplereenroll with the certificate it got."""
    cas = ["--cacert", est.root, "--cacert", alone(est.factory, tmp_path, "factory.pem")]
    key, request = make_request(tmp_path, "swan-1")
    password = f"swan-1:{est.account('swan-1')}"
    first = run("pki", "--est", "--url", est.host, *cas, "--in", request, "--userpass", password, "--outform", "pem")
    assert subject_of(first) == "subject=CN=swan-1"
    (tmp_path / "first.pem").write_bytes(first)
    holder = ["--cert", tmp_path / "first.pem", "--key", key]
    second = run("pki", "--est", "--url", est.host, *cas, "--in", request, *holder, "--outform", "pem")
    assert second != first
    assert est.status("swan-1") == ["replaced", "valid"]


@needs_strongswan
def test_strongswan_renews_with_the_old_certificate(est: Est, tmp_path: Path) -> None:
    leafward_json("ca", "leaf", "swan-2", "--out", str(tmp_path / "swan-2"), home=est.home)
    cas = ["--cacert", est.root, "--cacert", alone(est.factory, tmp_path, "factory.pem")]
    old = [
        "--cert",
        alone(tmp_path / "swan-2/certificate.pem", tmp_path, "old.pem"),
        "--key",
        tmp_path / "swan-2/key.pem",
    ]
    _, request = make_request(tmp_path, "swan-2")
    new = run("pki", "--est", "--url", est.host, *cas, "--in", request, *old, "--outform", "pem")
    assert subject_of(new) == "subject=CN=swan-2"
    assert est.status("swan-2") == ["replaced", "valid"]


def curl(est: Est, *options: str | Path) -> bytes:
    return run("curl", "--silent", "--show-error", "--fail-with-body", "--cacert", est.root, *options)


def test_curl_fetches_the_ca_certificates(est: Est) -> None:
    body = curl(est, f"{est.host}/.well-known/est/cacerts")
    shown = run(
        "openssl", "pkcs7", "-inform", "DER", "-print_certs", "-noout", data=base64.b64decode(body, validate=True)
    )
    assert b"Test Root CA" in shown
    assert b"Test Factory CA" in shown


def test_curl_enrols_with_a_password(est: Est, tmp_path: Path) -> None:
    """The way of many scripts: PEM in the body, no transfer header. Both departures are noted."""
    key, request = make_request(tmp_path, "curl-1")
    pem = run("openssl", "req", "-inform", "DER", "-in", request)
    (tmp_path / "request.pem").write_bytes(pem)
    body = curl(
        est,
        *("--user", f"curl-1:{est.account('curl-1')}", "--header", "Content-Type: application/pkcs10"),
        *("--data-binary", f"@{tmp_path / 'request.pem'}", "--dump-header", tmp_path / "headers"),
        f"{est.host}/.well-known/est/simpleenroll",
    )
    assert "Leafward-Deviation: transfer-encoding-missing, pem-armour" in (tmp_path / "headers").read_text()
    leaf = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(body, validate=True))
    (tmp_path / "leaf.pem").write_bytes(leaf)
    run("openssl", "verify", "-x509_strict", "-CAfile", est.root, "-untrusted", est.factory, tmp_path / "leaf.pem")
    public = run("openssl", "pkey", "-in", key, "-pubout")
    assert run("openssl", "x509", "-in", tmp_path / "leaf.pem", "-noout", "-pubkey") == public


def test_curl_renews_with_the_old_certificate(est: Est, tmp_path: Path) -> None:
    leafward_json("ca", "leaf", "curl-2", "--out", str(tmp_path / "curl-2"), home=est.home)
    _, request = make_request(tmp_path, "curl-2")
    (tmp_path / "body").write_bytes(base64.b64encode(request.read_bytes()))
    body = curl(
        est,
        *("--cert", tmp_path / "curl-2/certificate.pem", "--key", tmp_path / "curl-2/key.pem"),
        *("--header", "Content-Type: application/pkcs10", "--header", "Content-Transfer-Encoding: base64"),
        *("--data-binary", f"@{tmp_path / 'body'}", f"{est.host}/.well-known/est/simplereenroll"),
    )
    leaf = run("openssl", "pkcs7", "-inform", "DER", "-print_certs", data=base64.b64decode(body, validate=True))
    assert subject_of(leaf) == "subject=CN=curl-2"
    assert est.status("curl-2") == ["replaced", "valid"]


def test_curl_without_a_credential_is_told_how(est: Est, tmp_path: Path) -> None:
    _, request = make_request(tmp_path, "curl-3")
    done = subprocess.run(
        [
            *(
                "curl",
                "--silent",
                "--include",
                "--cacert",
                str(est.root),
                "--header",
                "Content-Type: application/pkcs10",
            ),
            *("--data-binary", f"@{request}", f"{est.host}/.well-known/est/simpleenroll"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "401 Unauthorized" in done.stdout
    assert "WWW-Authenticate: Basic" in done.stdout


def test_accounts_are_listed_without_their_passwords(est: Est) -> None:
    password = est.account("listed-1")
    listed = leafward("ca", "account", "list", home=est.home)
    assert "listed-1" in listed.stdout
    assert password not in listed.stdout
    assert leafward("ca", "account", "add", "listed-1", home=est.home).returncode == 3
    assert leafward("ca", "account", "remove", "listed-1", home=est.home).returncode == 0
    assert leafward("ca", "account", "remove", "listed-1", home=est.home).returncode == 3


def test_a_second_server_on_the_same_home_is_told(est: Est) -> None:
    done = leafward("ca", "serve", "--bind", "127.0.0.1", "--port", "0", "--name", "localhost", home=est.home)
    assert done.returncode == 3
    assert "in use" in done.stderr
