"""`leafward doctor` beyond files: `--as`, `--error`, strings and servers as people name them, and its exit codes."""

import json
import socket

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.cli.main import run
from leafward.doctor.clients import CLIENTS
from tests.doctor.loopback import ADDRESS, serving, tls
from tests.doctor.stack_cases import CASES
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


def test_several_servers(capsys):
    """Each has a report of its own, in their order."""
    with serving(tls(CASES["healthy"]())) as good, serving(lambda connection: connection.close()) as bad:
        code = run(["doctor", f"{ADDRESS}:{good}", f"{ADDRESS}:{bad}", "--name", HOST, "--json"])
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert code == 1
    assert [one["cause"] and one["cause"]["code"] for one in reports] == [None, "refused-in-handshake"]
