"""Java on our chains: CertPath, the handshakes of its TLS, and keytool's reading of the root."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from leafward.pki.chain import fingerprint
from tests.oracles.stand import ask_program
from tests.oracles.trial import asked_of, hold

JAVA, KEYTOOL = shutil.which("java"), shutil.which("keytool")
needs_java = pytest.mark.skipif(
    JAVA is None or shutil.which("javac") is None, reason="java is not installed (package default-jdk-headless)"
)
needs_keytool = pytest.mark.skipif(KEYTOOL is None, reason="keytool is not installed (package default-jre-headless)")
PROGRAM = Path(__file__).parent / "programs" / "Validate.java"


# CertPath sees everything. A handshake adds the name and the purpose, which two key types are enough for.
SHOWN = {"ec-p256", "rsa-2048"}


@needs_java
def test_every_chain(docket, own, tmp_path):
    """By CertPath and by TLS, each kind, key type and depth: **valid**; each control: **refused**"""
    shown = [case for case in docket if case.traits & SHOWN]
    paths = [replace(case, purpose=f"path:{case.purpose}") for case in asked_of("java-path", docket)]
    handshakes = asked_of("java-tls", shown)
    # One process for both: starting Java costs more than they do.
    command = [str(JAVA), "-XX:+UseSerialGC", str(PROGRAM)]
    verdicts = ask_program(command, [*paths, *handshakes], own, tmp_path)
    hold("java-path", docket, lambda _: verdicts[: len(paths)])
    hold("java-tls", shown, lambda _: verdicts[len(paths) :])


@needs_keytool
def test_keytool_takes_the_root(own, tmp_path):
    """The root goes into a trust store, and its fingerprint comes out as ours."""
    root, store = tmp_path / "root.pem", tmp_path / "trust.p12"
    root.write_bytes(own.anchor_pem)
    options = ["-keystore", str(store), "-storepass", "changeit", "-alias", "root"]
    environment = {**os.environ, "LC_ALL": "C"}
    for command in (["-importcert", "-noprompt", "-file", str(root)], ["-list", "-v"]):
        done = subprocess.run(
            [str(KEYTOOL), *command, *options], capture_output=True, text=True, timeout=60, check=True, env=environment
        )
    assert fingerprint(own.anchor) in done.stdout.replace(":", "").lower()
