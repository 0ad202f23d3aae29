"""Small TLS clients against a real edge: mbedTLS and wolfSSL take the chain that the hub presents, and only that."""

import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.pki.chain_forge import root


def verdicts(program: str, address: str, port: int, questions: list[tuple[str, Path]]) -> list[str]:
    """What a C program says of the server there, once for each (name, trusted root)."""
    lines = "".join(f"server\t{name}\t{trusted}\t\t\n" for name, trusted in questions)
    done = subprocess.run(
        [program, address, str(port)], input=lines, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("door", ["mqtts", "https"])
@pytest.mark.parametrize("judge", ["mbedtls", "wolfssl"])
def test_the_hub(judge, door, edge, c_program, tmp_path):
    """By its name under its root: **connected**; another root of the same name, another name: **refused**"""
    other = tmp_path / "other-root.pem"
    name = x509.load_pem_x509_certificate(edge.root.read_bytes()).subject
    other.write_bytes(root(name).certificate.public_bytes(Encoding.PEM))
    questions = [(edge.hostname, edge.root), (edge.hostname, other), ("other.test", edge.root)]
    questions += questions[:1]  # a refusal leaves nothing behind
    said = verdicts(c_program(f"{judge}_judge"), edge.address, edge.ready[door]["port"], questions)
    assert [line.partition(":")[0] for line in said] == ["accepted", "refused", "refused", "accepted"]


@pytest.mark.parametrize(("judge", "sent_name"), [("mbedtls", "other.test"), ("wolfssl", None)])
def test_the_hub_knows_why(judge, sent_name, edge, c_program, tmp_path):
    """What they refuse, `leafward hub failures` explains; wolfSSL sends no name: that is then one cause of several."""
    edge.run("hub", "failures", "--clear", "--yes")
    other = tmp_path / "other-root.pem"
    name = x509.load_pem_x509_certificate(edge.root.read_bytes()).subject
    other.write_bytes(root(name).certificate.public_bytes(Encoding.PEM))
    questions = [(edge.hostname, other), ("other.test", edge.root)]
    verdicts(c_program(f"{judge}_judge"), edge.address, edge.ready["mqtts"]["port"], questions)
    wrong_name, wrong_root = edge.json("hub", "failures")["failures"]
    assert (wrong_root["symptom"], wrong_root["code"]) == ("unknown_ca", "root-not-trusted")
    assert (wrong_name["symptom"], wrong_name["code"]) == ("bad_certificate", "hostname-mismatch")
    assert wrong_name["server_name"] == sent_name
    assert wrong_name["certificate"] == wrong_root["certificate"] is not None
    assert "root-not-trusted" in edge.run("hub", "failures").stdout
