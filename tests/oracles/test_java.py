"""Java on our chains: CertPath, the trust manager of its TLS, and keytool's reading of the root."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from leafward.pki.chain import fingerprint
from tests.oracles.hierarchies import KINDS, ours

JAVA, KEYTOOL = shutil.which("java"), shutil.which("keytool")
needs_java = pytest.mark.skipif(
    JAVA is None or shutil.which("javac") is None, reason="java is not installed (package default-jdk-headless)"
)
needs_keytool = pytest.mark.skipif(KEYTOOL is None, reason="keytool is not installed (package default-jre-headless)")
PROGRAM = Path(__file__).parent / "programs" / "Validate.java"
LIGHT = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


def judge(cases: list[tuple[bytes, bytes, str, str]], folder: Path) -> list[str]:
    """(chain, root, key algorithm, purpose) -> "valid" or the reason. One process for all."""
    arguments = []
    for number, (chain, root, algorithm, purpose) in enumerate(cases):
        chain_file, root_file = folder / f"chain{number}.pem", folder / f"root{number}.pem"
        chain_file.write_bytes(chain)
        root_file.write_bytes(root)
        arguments += [str(chain_file), str(root_file), algorithm, purpose]
    done = subprocess.run(
        [str(JAVA), *LIGHT, str(PROGRAM), *arguments], capture_output=True, text=True, timeout=90, check=True
    )
    return done.stdout.splitlines()


@needs_java
def test_our_own_chains(tmp_path):
    """Every kind, the hub's and the leaf's: **valid**; another root of the same name: **refused**"""
    cases = []
    for levels, key_type in KINDS:
        mine, algorithm = ours(levels, key_type), "RSA" if key_type.startswith("rsa") else "ECDSA"
        cases.append((mine.hub.to_pem(), mine.root_pem, algorithm, "server"))
        cases.append((mine.leaf.to_pem(), mine.root_pem, algorithm.replace("ECDSA", "EC"), "client"))
    good = len(cases)
    mine = ours(1, "ec-p256")
    cases.append((mine.hub.to_pem(), ours(0, "ec-p256").root_pem, "ECDSA", "server"))
    cases.append((mine.leaf.to_pem(), mine.root_pem, "ECDSA", "server"))
    said = judge(cases, tmp_path)
    assert said[:good] == ["valid"] * good
    assert all(line.startswith("refused") for line in said[good:])
    assert len(said) == len(cases)


@needs_keytool
def test_keytool_takes_the_root(tmp_path):
    """The root goes into a trust store, and its fingerprint comes out as ours."""
    mine = ours(1, "ec-p256")
    root, store = tmp_path / "root.pem", tmp_path / "trust.p12"
    root.write_bytes(mine.root_pem)
    options = ["-keystore", str(store), "-storepass", "changeit", "-alias", "root"]
    environment = {**os.environ, "LC_ALL": "C"}
    for command in (["-importcert", "-noprompt", "-file", str(root)], ["-list", "-v"]):
        done = subprocess.run(
            [str(KEYTOOL), *command, *options], capture_output=True, text=True, timeout=60, check=True, env=environment
        )
    assert fingerprint(mine.root) in done.stdout.replace(":", "").lower()
