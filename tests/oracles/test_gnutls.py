"""GnuTLS's certtool on our chains."""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.oracles.hierarchies import ADDRESS, HOST, KIND_NAMES, KINDS, ours

CERTTOOL = shutil.which("certtool")
pytestmark = pytest.mark.skipif(CERTTOOL is None, reason="certtool is not installed (package gnutls-bin)")
SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"


def certtool(chain: bytes, trusted: bytes, folder: Path, *options: str) -> str:
    """What certtool says of a chain: its last lines."""
    (folder / "trusted.pem").write_bytes(trusted)
    (folder / "chain.pem").write_bytes(chain)
    files = ["--load-ca-certificate", str(folder / "trusted.pem"), "--infile", str(folder / "chain.pem")]
    done = subprocess.run(
        [str(CERTTOOL), "--verify", *files, *options], capture_output=True, text=True, timeout=30, check=False
    )
    return f"{done.returncode} {done.stdout}{done.stderr}"


def accepted(said: str) -> bool:
    return said.startswith("0 ") and "Chain verification output: Verified." in said


@pytest.mark.parametrize(("levels", "key_type"), KINDS, ids=KIND_NAMES)
def test_our_own_chains(levels, key_type, tmp_path):
    """By name, by address, and the leaf's: **valid**; another name, only the device CA trusted: **refused**"""
    mine = ours(levels, key_type)
    hub, root = mine.hub.to_pem(), mine.root_pem
    for name in (HOST, HOST.upper()):
        said = certtool(hub, root, tmp_path, "--verify-hostname", name, "--verify-purpose", SERVER)
        assert accepted(said), said
    said = certtool(mine.leaf.to_pem(), root, tmp_path, "--verify-purpose", CLIENT)
    assert accepted(said), said
    assert not accepted(certtool(hub, root, tmp_path, "--verify-hostname", "other.local"))
    assert not accepted(certtool(hub, root, tmp_path, "--verify-purpose", CLIENT))
    assert not accepted(certtool(mine.leaf.to_pem(), root, tmp_path, "--verify-hostname", ADDRESS))


def test_another_root(tmp_path):
    """The root of another maker, with the same name: **refused**"""
    mine, other = ours(1, "ec-p256"), ours(0, "ec-p256")
    assert mine.root.subject == other.root.subject
    assert not accepted(certtool(mine.hub.to_pem(), other.root.public_bytes(Encoding.PEM), tmp_path))
