"""The command line as a whole: exit codes, voices, and a start that loads nothing it does not need."""

import subprocess
import sys
from pathlib import Path

import pytest

from leafward.cli.main import COMMANDS
from tests.edge import leafward

SLOW = {"cryptography", "aiohttp", "sqlalchemy", "pydantic", "asyncio", "uvloop", "OpenSSL"}


def test_help_loads_nothing_slow() -> None:
    code = (
        "import sys\nfrom leafward.cli.main import run\nrun(['--help'])\nprint(' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not SLOW & {name.split(".")[0] for name in done.stderr.split()}
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_its_help(name: str) -> None:
    done = leafward(name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: leafward {name}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-command"], "No such command"),
        (["up", "--no-such-option"], "No such option"),
        (["device", "add", "x", "--auth", "password"], "x509-thumbprint"),
        (["chain", "neither-file-nor-target"], "HOST:PORT"),
        (["verify"], "--root"),
        (["verify", "x.pem", "--root", "x.pem", "--at", "now"], "RFC 3339"),
        (["verify", "x.pem", "--root", "x.pem", "--at", "2026-W49-1T00:00:00Z"], "RFC 3339"),
        (["verify", "x.pem", "--root", "x.pem", "--name", ""], "name"),
        (["verify", "x.pem", "--batch"], "standard input"),
        (["up", "--hostname", "not a name"], "not a name"),
        (["up", "--hostname", "my_gateway"], "underscore"),
        (["up", "--bind", "nonsense"], "no address"),
        (["up", "--mqtt-port", "8443", "--https-port", "8443"], "8443"),
        (["device", "add", "x", "--auth", "x509-thumbprint", "--thumbprint", "zz"], "SHA-256"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: list[str], words: str) -> None:
    done = leafward(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_what_cannot_be_done_is_exit_code_3_with_what_to_do_next(tmp_path: Path) -> None:
    done = leafward("device", "add", "leaf", home=tmp_path)
    assert done.returncode == 3
    assert "next: leafward up" in done.stderr


def test_the_home_before_or_after_the_command_is_the_same(tmp_path: Path) -> None:
    before = leafward("--home", str(tmp_path), "ca", "init", "--cn", "One Root")
    after = leafward("ca", "list", "--home", str(tmp_path))
    assert before.returncode == after.returncode == 0
    assert "One Root" in after.stdout


def test_python_m_leafward_is_the_same_program() -> None:
    done = subprocess.run([sys.executable, "-m", "leafward", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == leafward("--version").stdout


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [(">&-", 0, ""), ("| (exec <&-; true)", 0, ""), (">/dev/full", 3, "No space left on device")],
    ids=["closed", "reader-gone", "full"],
)
def test_standard_output_that_cannot_be_written(tmp_path: Path, redirection: str, code: int, words: str) -> None:
    leafward("ca", "init", "--cn", "Root", home=tmp_path)
    command = f"{sys.executable} -m leafward ca list --home {tmp_path} {redirection}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
