"""pkilint on every certificate of our chains, alone and in pairs: no error and no warning."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.oracles.hierarchies import KIND_NAMES, KINDS, ours
from tests.pki.chain_forge import ca, edge

pytest.importorskip("pkilint", reason="pkilint is not installed (package pkilint)")


def lint(tool: str, *certificates: x509.Certificate, folder: Path) -> set[str]:
    """The codes of what a tool of pkilint finds, from warnings up."""
    files = []
    for number, certificate in enumerate(certificates):
        files.append(folder / f"{number}.pem")
        files[-1].write_bytes(certificate.public_bytes(Encoding.PEM))
    program = Path(sys.executable).parent / tool
    command = [str(program), "lint", "-s", "WARNING", "-f", "JSON", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return {one["code"] for result in json.loads(done.stdout)["results"] for one in result["finding_descriptions"]}


@pytest.mark.parametrize(("levels", "key_type"), KINDS[1:5:2], ids=KIND_NAMES[1:5:2])
def test_our_own_certificates(levels, key_type, tmp_path):
    mine = ours(levels, key_type)
    for certificate in dict.fromkeys((*mine.hub, *mine.leaf)):
        assert lint("lint_pkix_cert", certificate, folder=tmp_path) == set(), certificate.subject
    for chain in (mine.hub, mine.leaf):
        for subject, issuer in zip(chain.certificates, chain.issuers, strict=False):
            found = lint("lint_pkix_signer_signee_cert_chain", issuer, subject, folder=tmp_path)
            assert found == set(), subject.subject


def test_it_would_find_something(tmp_path):
    """A CA without critical basicConstraints, and one that names another key as its issuer's: **found**"""
    flawed = ca("flawed", edge().root, bc_critical=False, aki=b"another key").certificate
    assert lint("lint_pkix_cert", flawed, folder=tmp_path)
    assert lint("lint_pkix_signer_signee_cert_chain", edge().root.certificate, flawed, folder=tmp_path)
