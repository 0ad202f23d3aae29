"""`leafward doctor`: the report, its JSON, `--explain`, exit codes 0, 1 and 2."""

import json
from pathlib import Path
from typing import Any

import click
import pytest

from leafward.cli.commands.doctor import command
from leafward.cli.main import run
from leafward.doctor.checks import CHECKS
from tests.doctor.corpus_files import CHAIN, HOST, KEY, LINE, LOCKED, PASSWORD, ROOT, pem
from tests.pki.chain_forge import NOW, key, server

AT = f"{NOW:%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """chain.pem, root.pem and key.pem, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    for name, data in (("chain.pem", CHAIN), ("root.pem", ROOT), ("key.pem", KEY)):
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def doctor_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    run(["doctor", *arguments, "--at", AT, "--json"])
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return value


@pytest.mark.usefixtures("files")
class TestAnswers:
    """What is printed, and the exit code."""

    def test_ok(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["doctor", "chain.pem", "key.pem", "--root", "root.pem", "--name", HOST, "--at", AT]) == 0
        out = capsys.readouterr().out
        assert out.startswith("OK  chain.pem key.pem  (as a server's for iotedgegw.local")
        assert "└─ hub server  iotedgegw.local" in out

    def test_failed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["doctor", "chain.pem", "--root", "root.pem", "--name", "other.local", "--at", AT]) == 1
        out = capsys.readouterr().out
        assert "the certificate is for another name  [hostname-mismatch]" in out
        assert "expected     DNS:other.local" in out
        assert "who          the operator" in out
        assert "leafward manager rotate" in out
        assert next(line for line in out.splitlines() if "└─ hub server" in line).endswith("<- hostname-mismatch")

    def test_warnings_are_no_failure(self, files: Path) -> None:
        (files / "key.pem").chmod(0o644)
        assert run(["doctor", "chain.pem", "key.pem", "--root", "root.pem", "--at", AT]) == 0

    def test_what_could_not_be_told_is_said(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["doctor", "chain.pem", "--at", AT]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "give them with --root FILE" in out
        assert "give it with --name HOST" in out

    def test_a_missing_file(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["doctor", "nowhere.pem"]) == 1
        assert "[file-missing]" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "arguments",
        [[], ["chain.pem", "--at", "tomorrow"], ["chain.pem", "--purpose", "any"], ["--explain", "nothing"]],
    )
    def test_wrong_use(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["doctor", *arguments]) == 2
        assert capsys.readouterr().out == ""

    def test_a_password_from_the_environment(self, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        leaf = server(None, own_key=key("level 0"))
        (files / "locked.pem").write_bytes(LOCKED)
        (files / "locked.pem").chmod(0o600)
        (files / "leaf.pem").write_bytes(pem(*leaf.line))
        assert run(["doctor", "leaf.pem", "locked.pem", "--root", "leaf.pem", "--at", AT]) == 1
        monkeypatch.setenv("LEAFWARD_PASSPHRASE", PASSWORD.decode())
        assert run(["doctor", "leaf.pem", "locked.pem", "--root", "leaf.pem", "--at", AT]) == 0


@pytest.mark.usefixtures("files")
class TestJson:
    """The contract's keys."""

    def test_ok(self, capsys: pytest.CaptureFixture[str]) -> None:
        answer = doctor_json(capsys, "chain.pem", "--root", "root.pem", "--name", HOST)
        assert (answer["verdict"], answer["cause"], answer["findings"]) == ("ok", None, [])
        assert answer["target"] == "chain.pem"
        chain = answer["chain"]
        assert {"source", "certificates", "complete", "anchor"} <= set(chain)
        assert [one["role"] for one in chain["certificates"]][0::4] == ["hub_server", "root_ca"]
        assert chain["anchor"] == chain["certificates"][-1]["sha256"]

    def test_a_finding(self, capsys: pytest.CaptureFixture[str], files: Path) -> None:
        (files / "hub.pem").write_bytes(pem(LINE[0]))
        answer = doctor_json(capsys, "hub.pem", "--root", "root.pem", "--name", HOST)
        cause = answer["cause"]
        assert answer["verdict"] == "failed"
        assert set(cause) == {
            "code", "severity", "title", "evidence", "certificate", "who", "fix", "alternatives",
        }  # fmt: skip
        assert (cause["code"], cause["alternatives"]) == ("intermediate-missing", ["root-not-trusted"])
        assert {"got", "expected", "look"} <= set(cause["evidence"])
        assert cause["certificate"] == answer["chain"]["certificates"][0]["sha256"]

    def test_no_chain(self, capsys: pytest.CaptureFixture[str]) -> None:
        answer = doctor_json(capsys, "nowhere.pem")
        assert answer["chain"] is None
        assert answer["cause"]["evidence"]["file"] == "nowhere.pem"
        assert answer["cause"]["certificate"] is None


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--explain", "stale-workload-ca"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("stale-workload-ca: ")
    assert all(head in out for head in ("How it comes about:", "How to see it:", "How to mend it:"))


def test_explain_offers_the_codes() -> None:
    """What a shell completes."""
    (option,) = [one for one in command.params if one.name == "explain"]
    offered = [one.value for one in option.shell_complete(click.Context(command), "chain-")]
    assert offered == [one.code for one in CHECKS if one.code.startswith("chain-")]
    assert "all" in [one.value for one in option.shell_complete(click.Context(command), "")]


def test_explain_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--explain", "all"]) == 0
    assert "clock-wrong" in capsys.readouterr().out
