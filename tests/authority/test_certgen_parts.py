"""certgen's parts: whose command a name is, where a password comes from, and what its keys show."""

import contextlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leafward.authority.certgen import Certgen
from leafward.authority.certgen_commands import COMMANDS, Paper, resolve
from leafward.authority.certgen_dialect import DIALECTS
from leafward.authority.certgen_folder import Folder
from leafward.authority.certgen_keys import KeyMaker, open_own_key
from leafward.authority.certgen_passwords import Passwords
from leafward.errors import AlreadyExists, EncodingError, KeyUnavailable, StoreError, UsageError
from leafward.pki.encoding import load_certificates


@pytest.mark.parametrize(
    ("name", "choice", "found", "dialect"),
    [
        ("create_device_certificate", None, None, "iotedge"),
        ("create_device_certificate", "sdk-c", None, "sdk-c"),
        ("create_device_certificate", None, "certs/azure-iot-test-only.chain.ca.cert.pem", "sdk-c"),
        ("create_device_certificate_from_intermediate", None, None, "sdk-c"),
        ("create_edge_server_certificate", None, None, "iotedge"),
        ("create_edge_server_certificate", "powershell", None, "iotedge-powershell"),
        ("New-CACertsDevice", None, None, "iotedge-powershell"),
        ("new-cacertsdevice", "sdk-c", None, "sdk-c-powershell"),
        ("New-CACertsDevice", None, "RootCA.pem", "sdk-c-powershell"),
        ("Write-CACertsCertificatesToEnvironment", None, None, "sdk-c-powershell"),
        ("Install-RootCACertificate", None, None, "iotedge-powershell"),
    ],
)
def test_whose_command_it_is(tmp_path: Path, name: str, choice: str | None, found: str | None, dialect: str) -> None:
    for path in (found, "certs/azure-iot-test-only.root.ca.cert.pem") if found else ():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    chosen, command = resolve(name, choice, tmp_path)
    assert chosen.name == dialect
    assert COMMANDS[dialect][command.name] is command


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("prefix", ["../x", "a/b", ".x", "a\0b", "a\\b"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, dialect: str, prefix: str) -> None:
    with pytest.raises(UsageError):
        Folder(tmp_path, DIALECTS[dialect]).files(prefix)


def test_where_a_password_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, the environment, a person, the script's own; and none of them is shown."""
    monkeypatch.delenv("ROOT_CA_PASSWORD", raising=False)
    file = tmp_path / "password"
    file.write_text("in a file\n")
    file.chmod(0o600)
    asked = Passwords(ask=lambda _: "typed")
    assert (Passwords().of("root"), asked.of("root")) == ("1234", "typed")
    monkeypatch.setenv("ROOT_CA_PASSWORD", "set")
    assert Passwords(ask=lambda _: "typed").of("root") == "set"
    assert Passwords({"root": file}).of("root") == "in a file"
    assert "typed" not in repr(asked)
    assert "told" not in repr(Passwords(given="told"))
    with pytest.raises(KeyUnavailable, match="no password"):
        Passwords().of("pfx", None)
    file.chmod(0o644)
    with pytest.raises(KeyUnavailable, match="too open"):
        Passwords({"root": file}).of("root")


def test_a_new_password_is_asked_twice() -> None:
    answers = iter(["one", "two"])
    with pytest.raises(UsageError, match="differ"):
        Passwords(ask=lambda _: next(answers)).for_new("intermediate")
    passwords = Passwords(ask=lambda _: "same")
    assert [passwords.for_new("intermediate") for _ in range(2)] == ["same", "same"]


def test_keys_without_racers() -> None:
    with KeyMaker() as keys:
        keys.expect("rsa-4096")
        assert keys.make("ec-p256").curve.name == "secp256r1"  # type: ignore[union-attr]
        with pytest.raises(UsageError):
            keys.make("rsa-1")


def test_a_key_that_does_not_open() -> None:
    with pytest.raises(EncodingError):
        open_own_key(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", None)


IOTEDGE = DIALECTS["iotedge"]


def generator(folder: Path) -> Certgen:
    now = datetime.now(UTC)
    return Certgen(Folder(folder, IOTEDGE), now, timedelta(days=30), KeyMaker(), key_type="ec-p256")


@pytest.mark.parametrize("step", range(0, 60, 4))
def test_what_fails_half_way_is_done_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The disk refuses at one step or another: no certificate stands without its key, and no --force is needed."""
    real, count = os.fsync, iter(range(10_000))

    def failing(descriptor: int) -> None:
        if next(count) == step:
            raise OSError(28, "No space left on device")
        real(descriptor)

    device = COMMANDS["iotedge"]["create_device_certificate"].does
    assert isinstance(device, Paper)
    with monkeypatch.context() as patched, contextlib.suppress(StoreError):
        patched.setattr(os, "fsync", failing)
        generator(tmp_path).hierarchy()
        generator(tmp_path).paper(device, "pump-7")
    for certificate in tmp_path.glob("certs/*[a-z0-9].cert.pem"):
        if "full-chain" not in certificate.name:
            name = certificate.name.replace(".cert.pem", ".key.pem")
            pair = load_certificates(certificate.read_bytes())[0], (tmp_path / "private" / name).read_bytes()
            assert open_own_key(pair[1], b"1234").public_key() == pair[0].public_key()
    for make in (lambda: generator(tmp_path).hierarchy(), lambda: generator(tmp_path).paper(device, "pump-7")):
        with contextlib.suppress(AlreadyExists):
            make()
    chain = load_certificates((tmp_path / "certs/iot-device-pump-7-full-chain.cert.pem").read_bytes())
    assert len(chain) == 3
    assert (tmp_path / "certs/iot-device-pump-7.cert.pem").exists()
