"""GnuTLS's certtool on our chains."""

import shutil

import pytest

from tests.oracles.case import ACCEPTED, Case
from tests.oracles.processes import ask_each, run
from tests.oracles.stand import write
from tests.oracles.trial import hold

CERTTOOL = shutil.which("certtool")
pytestmark = pytest.mark.skipif(CERTTOOL is None, reason="certtool is not installed (package gnutls-bin)")
PURPOSES = {"server": "1.3.6.1.5.5.7.3.1", "client": "1.3.6.1.5.5.7.3.2", "responder": "1.3.6.1.5.5.7.3.9"}


def test_every_chain(docket, tmp_path):
    """Each kind, key type and depth: **verified**; each control: **refused**"""

    def certtool(case: Case) -> str:
        files = ["--load-ca-certificate", str(write(case.anchor_pem, tmp_path))]
        command = [str(CERTTOOL), "--verify", *files, "--infile", str(write(case.chain_pem, tmp_path))]
        if case.purpose in PURPOSES:
            command += ["--verify-purpose", PURPOSES[case.purpose]]
        if case.host is not None:
            command += ["--verify-hostname", case.host]
        code, said = run(command)
        verified = code == 0 and "Chain verification output: Verified." in said
        return ACCEPTED if verified else f"{code}: {said[-300:]}"

    hold("gnutls", docket, lambda cases: ask_each(cases, certtool))
