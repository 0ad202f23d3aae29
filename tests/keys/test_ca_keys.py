"""`leafward ca` with keys elsewhere: `--key-at`, `--encrypt`, passphrases from files, variables and a terminal."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest

from leafward.cli.commands.ca import COMMANDS
from leafward.cli.commands.ca import command as ca
from tests.edge import LEAFWARD
from tests.keys.devices import PIN, SoftHsm, SwTpm, new_soft_hsm

PASSPHRASE = "under the ninth flagstone"
ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def passphrase(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return path


def run(home: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`leafward ca …` with nobody at a terminal; no secret ever comes out."""
    done = subprocess.run(
        [LEAFWARD, "ca", *arguments, "--home", home],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    for secret in (PASSPHRASE, PIN):
        assert secret not in done.stdout + done.stderr
    return done


def authority(home: Path, name: str) -> Path:
    return home / "maker" / "authorities" / name


def good(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stderr


def test_encrypted_root(home: Path, passphrase: Path) -> None:
    """root with --encrypt: sealed on disk; signs with its passphrase from file or variable, and not without."""
    good(run(home, "init", "--cn", "Root", "--encrypt", "--passphrase-file", passphrase))
    key = authority(home, "root") / "key.pem"
    assert key.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    without = run(home, "intermediate", "A")
    assert without.returncode == 3
    assert "is encrypted" in without.stderr
    assert "--passphrase-file" in without.stderr
    wrong = run(home, "intermediate", "A", LEAFWARD_PASSPHRASE="wrong")
    assert wrong.returncode == 3
    assert "does not open" in wrong.stderr
    assert not authority(home, "a").exists()
    good(run(home, "intermediate", "A", LEAFWARD_PASSPHRASE=PASSPHRASE))
    good(run(home, "intermediate", "B", "--issuer", "Root", "--passphrase-file", passphrase))
    assert (authority(home, "a") / "key.pem").read_text().startswith("-----BEGIN PRIVATE KEY-----")


def test_each_key_its_own_passphrase(home: Path, passphrase: Path, tmp_path: Path) -> None:
    """root under one passphrase, intermediate under another -> a device CA needs the intermediate's only."""
    other = tmp_path / "other"
    other.write_text("another")
    other.chmod(0o600)
    good(run(home, "init", "--cn", "Root", "--new-passphrase-file", passphrase))
    good(run(home, "intermediate", "A", "--passphrase-file", passphrase, "--new-passphrase-file", other))
    device = ("device", "gw.ca", "--out", tmp_path / "gw")
    assert run(home, *device, "--passphrase-file", passphrase).returncode == 3
    good(run(home, *device, "--passphrase-file", other))


def test_too_open_passphrase_file(home: Path, passphrase: Path) -> None:
    passphrase.chmod(0o644)
    done = run(home, "init", "--cn", "Root", "--encrypt", "--passphrase-file", passphrase)
    assert done.returncode == 3
    assert "got mode 0644, expected 0600" in done.stderr


def test_hierarchy_in_a_token(home: Path, soft_hsm: SoftHsm, tmp_path: Path) -> None:
    """root and intermediate in a token, device CA below -> OpenSSL: OK; no key of theirs in the home."""
    for name in ("root", "intermediate"):
        kind = ("init", "--cn", "root") if name == "root" else ("intermediate", "intermediate")
        good(run(home, *kind, "--key-at", str(soft_hsm.reference(name))))
        assert not (authority(home, name) / "key.pem").exists()
        assert (authority(home, name) / "key.ref").read_text().strip() == str(soft_hsm.reference(name))
    good(run(home, "device", "gw.ca", "--out", tmp_path / "gw"))
    chain = tmp_path / "gw" / "certificate.pem"
    root = authority(home, "root") / "certificate.pem"
    command = ["openssl", "verify", "-x509_strict", "-CAfile", root, "-untrusted", chain, chain]
    assert "OK" in subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    pulled = new_soft_hsm(tmp_path / "empty")
    away = run(home, "device", "gw2.ca", "--out", tmp_path / "gw2", **pulled.environment)
    assert away.returncode == 3
    assert "is not there" in away.stderr
    assert not (tmp_path / "gw2" / "certificate.pem").exists()


def test_device_ca_below_an_intermediate_in_a_tpm(home: Path, swtpm: SwTpm, tmp_path: Path) -> None:
    good(run(home, "init", "--cn", "Root"))
    good(run(home, "intermediate", "A", "--key-at", f"tpm:{tmp_path / 'a.tpm'}"))
    for number in range(4):  # what a process leaves loaded in the TPM would use up its room
        good(run(home, "device", f"gw{number}.ca", "--out", tmp_path / f"gw{number}"))


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("pkcs11:token=t;object=o?pin-value=4711", "pin-source"),
        ("file:relative.pem", "absolute path"),
        ("floppy:a", "expected one of file"),
        ("nonsense", "no key reference"),
    ],
)
def test_reference_that_is_refused(home: Path, reference: str, words: str) -> None:
    if reference.startswith("pkcs11:"):
        pytest.importorskip("pkcs11", reason="the Python module pkcs11 is not installed: make hardware")
    done = run(home, "init", "--cn", "Root", "--key-at", reference)
    assert done.returncode == 3
    assert words in done.stderr
    assert "4711" not in done.stderr
    assert not authority(home, "root").exists()


def test_passphrase_at_a_terminal(home: Path) -> None:
    """--encrypt at a terminal: asked twice, not echoed; then asked once to open."""
    typed = f"{PASSPHRASE}\n"
    said = at_a_terminal(home, ["init", "--cn", "Root", "--encrypt"], [("for the new key", typed), ("again", typed)])
    assert PASSPHRASE not in said
    assert "ENCRYPTED" in (authority(home, "root") / "key.pem").read_text()
    said = at_a_terminal(home, ["intermediate", "A", "--json"], [("passphrase of", typed)])
    assert said.count("passphrase of") == 1
    assert json.loads(said[said.index("{") :])["name"] == "a"


def at_a_terminal(home: Path, arguments: list[str], dialogue: list[tuple[str, str]]) -> str:
    """Runs a command on a terminal of its own; each answer is typed when its question is there. What it said."""
    command = [sys.executable, "-c", ON_A_TERMINAL, str(LEAFWARD), "ca", *arguments, "--home", str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = ""
        for question, answer in dialogue:
            before = len(said)
            while question not in said[before:] or not said.endswith(": "):
                piece = process.stdout.read(1)
                assert piece, said
                said += piece.decode()
            process.stdin.write(answer.encode())
        # Standard input stays open until it ends: a terminal that hangs up would end it first.
        said += process.stdout.read().decode()
    assert process.returncode == 0, said
    return said


@pytest.mark.parametrize("name", COMMANDS)
def test_no_secret_in_the_arguments(name: str) -> None:
    """Every option that is about a secret takes a path or is a flag: arguments are seen by all users of a machine."""
    command = ca.get_command(click.Context(ca), name)
    assert command is not None
    for option in command.params:
        words = set(option.name.replace("_", " ").split()) if option.name else set()
        if words & {"passphrase", "password", "pin", "secret"}:
            assert isinstance(option.type, click.Path), option.name
