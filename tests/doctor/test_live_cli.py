"""`leafward doctor` beyond files: `--as`, `--error`, strings and servers as people name them, and its exit codes."""

import json
import socket
import threading
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.cli.main import run
from leafward.cli.progress_line import ProgressLine
from leafward.doctor import live_wire
from leafward.doctor.case_files import Evidence, Question
from leafward.doctor.clients import CLIENTS
from leafward.doctor.live_targets import examine_others
from leafward.doctor.locked import no_password
from leafward.doctor.target_kinds import Asked
from tests.doctor.loopback import ADDRESS, serving, tls
from tests.doctor.stack_cases import CASES, NOW
from tests.pki.chain_forge import HOST

SHOWN = CASES["device CA without AKI"]()
STRING = "HostName=hub.test;DeviceId=pump-7;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg=="


@pytest.fixture
def files(tmp_path, monkeypatch):
    """chain.pem and root.pem, in the folder where the command runs."""
    monkeypatch.chdir(tmp_path)
    for name, certificates in (("chain.pem", SHOWN.chain), ("root.pem", SHOWN.anchors)):
        (tmp_path / name).write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in certificates))
    return tmp_path


def doctor(capsys, *arguments: str) -> tuple[int, dict]:
    code = run(["doctor", *arguments, "--json"])
    out = capsys.readouterr().out
    return code, json.loads(out) if out else {}


@pytest.mark.usefixtures("files")
class TestAs:
    """What other clients would say."""

    ASKED = ("chain.pem", "--root", "root.pem", "--name", HOST)

    def test_all(self, capsys):
        code, report = doctor(capsys, *self.ASKED, "--as", "all")
        assert code == 0
        assert list(report["clients"]) == list(CLIENTS)
        refusing = [name for name, said in report["clients"].items() if not said["accepts"]]
        assert refusing == ["python-3.13-strict"]
        assert report["clients"]["openssl"]["message"] is None

    def test_some_in_words(self, capsys):
        assert run(["doctor", *self.ASKED, "--as", "node", "--as", "python-3.13-strict"]) == 0
        last = capsys.readouterr().out.splitlines()[-2:]
        assert last[0].split() == ["node", "accepts"]
        assert last[1].endswith("certificate verify failed: Missing Authority Key Identifier")

    def test_unknown(self):
        assert run(["doctor", *self.ASKED, "--as", "netscape"]) == 2

    def test_error_text_beside_files(self, capsys):
        """The text of Python 3.13 makes the warning the cause."""
        code, report = doctor(capsys, *self.ASKED, "--error", "verify failed: Missing Authority Key Identifier")
        assert (code, report["cause"]["code"]) == (1, "authority-key-id-missing")


def test_error_text_alone(capsys):
    code, report = doctor(capsys, "--error", "DEPTH_ZERO_SELF_SIGNED_CERT")
    assert (code, report["cause"]["code"]) == (1, "self-signed-server")
    assert run(["doctor", "--error", "it does not work"]) == 2


def test_connection_string_alone(capsys):
    """It has no gateway: that is the cause, and nobody is called; the key is not shown"""
    code, report = doctor(capsys, STRING)
    assert (code, report["cause"]["code"]) == (1, "gateway-host-name-missing")
    assert "MDEy" not in json.dumps(report)
    code, report = doctor(capsys, "HostName=hub.test;DeviceId")
    assert (code, report["cause"]["code"]) == (1, "connection-string-malformed")


def test_closed_port_and_half_a_credential(capsys):
    with socket.create_server((ADDRESS, 0)) as one:
        port = one.getsockname()[1]
    code, report = doctor(capsys, f"{ADDRESS}:{port}")
    assert (code, report["cause"]["code"], report["cause"]["who"]) == (1, "port-closed", "operator")
    assert run(["doctor", f"{ADDRESS}:{port}", "--certificate", "leaf.pem"]) == 2


def test_a_list(capsys, tmp_path, monkeypatch):
    """Ten servers and more: a line each, what was found in sum, and how far it is for somebody who looks."""
    shown = []
    monkeypatch.setattr(ProgressLine, "show", lambda _line, progress: shown.append((progress.seen, progress.length)))
    with serving(tls(CASES["healthy"]())) as good, socket.create_server((ADDRESS, 0)) as one:
        closed = one.getsockname()[1]
        one.close()
        text = f"# gateways\n\n{ADDRESS}:{good}\n" + f" {ADDRESS}:{closed}\n" * 11
        (tmp_path / "list.txt").write_text(text)
        assert run(["doctor", "--list", str(tmp_path / "list.txt"), "--name", HOST]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["OK", f"{ADDRESS}:{good}"]
    assert lines[1].split()[:3] == ["FAILED", f"{ADDRESS}:{closed}", "port-closed"]
    assert "12 looked at: 1 ok, 11 failed" in lines
    assert "       11  port-closed" in lines
    assert shown == [(done, 12) for done in range(1, 13)]


@pytest.mark.parametrize("text", ["", "# none\n"])
def test_a_list_of_nothing(text, tmp_path):
    (tmp_path / "list.txt").write_text(text)
    assert run(["doctor", "--list", str(tmp_path / "list.txt")]) == 2
    assert run(["doctor", "--list", str(tmp_path / "none.txt")]) == 2


def test_who_is_interrupted_waits_for_nobody(monkeypatch):
    """Ctrl-C while servers say nothing: over long before their time is"""
    monkeypatch.setattr(live_wire, "_given_up", threading.Event())

    def interrupted(_done: int, _most: int) -> None:
        raise KeyboardInterrupt

    begun = time.monotonic()
    with (
        serving(lambda connection: connection.close()) as bad,
        serving(lambda one: one.recv(9999) + one.recv(9)) as silent,
    ):
        targets = [f"{ADDRESS}:{port}" for port in (bad, silent, silent)]
        asked, question = Asked(timeout=30), Question(now=NOW)
        with pytest.raises(KeyboardInterrupt):
            examine_others(targets, Evidence(), question, asked, no_password, watch=interrupted)
    assert time.monotonic() - begun < 10


def test_several_servers(capsys):
    """Each has a report of its own, in their order."""
    with serving(tls(CASES["healthy"]())) as good, serving(lambda connection: connection.close()) as bad:
        code = run(["doctor", f"{ADDRESS}:{good}", f"{ADDRESS}:{bad}", "--name", HOST, "--json"])
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert [one["cause"] and one["cause"]["code"] for one in reports] == [None, "refused-in-handshake"]
