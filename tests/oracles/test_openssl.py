"""OpenSSL on our chains, the good and the broken: an error of ours is what it refuses, and first; a warning passes.

This is what "severity" means in a diagnosis, so each fault is held to it.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.oracles.case import ACCEPTED, Case
from tests.oracles.hierarchies import ADDRESS, ADDRESS_6
from tests.oracles.processes import ask_each, run
from tests.oracles.stand import write
from tests.oracles.trial import hold
from tests.pki.chain_faults import FAULTS, Fault, whole
from tests.pki.chain_forge import HOST, ca, client, edge, root, server

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed (package openssl)")
# With the security level that Debian sets for TLS.
VERIFY = [str(OPENSSL), "verify", "-no-CApath", "-no-CAstore", "-auth_level", "2"]
PURPOSES = {"server": "sslserver", "client": "sslclient", "responder": "ocsphelper"}

# Our code -> the numbers of OpenSSL's errors that may come first (x509_vfy.h).
NUMBERS = {
    "self-signed-server": {18},
    "root-not-trusted": {19, 20},
    "intermediate-missing": {20},
    "root-same-name-different-key": {19, 20, 7},
    "anchor-not-self-signed": {2},
    "root-file-is-not-root": {2},
    "issuer-same-name-as-server": {18},
    "issuer-name-mismatch": {20},
    "key-id-mismatch": {20},
    "stale-workload-ca": {20},
    "signature-invalid": {7},
    "extension-malformed": {20},
    "unknown-critical-extension": {34},
    "not-a-ca": {24, 79},
    "key-usage-missing-cert-sign": {24, 32, 79},
    "path-length-exceeded": {25},
    "eku-missing-server-auth": {26},
    "eku-missing-client-auth": {26},
    "eku-not-nested": {26},
    "key-usage-missing-digital-signature": {26},
    "weak-key": {66, 67},
    "weak-signature": {68},
    "hostname-mismatch": {62, 64},
    "san-missing": {62},
    "ip-in-dns-san": {64},
    "ip-san-missing": {64},
    "certificate-expired": {10},
    "certificate-not-yet-valid": {9},
    "name-constraint-violated": {47},
}


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def openssl_error(fault: Fault, folder: Path) -> int:
    """The first error of `openssl verify` with Debian's security level; 0 where it accepts."""
    leaf, rest, trusted = folder / "leaf.pem", folder / "rest.pem", folder / "trusted.pem"
    leaf.write_bytes(pem(fault.chain[:1]))
    rest.write_bytes(pem(fault.chain[1:]))
    trusted.write_bytes(pem(fault.anchors))
    command = [*VERIFY, "-CAfile", str(trusted)]
    command += ["-purpose", f"ssl{fault.purpose}", "-attime", str(int(fault.now.timestamp()))]
    if fault.chain[1:]:
        command += ["-untrusted", str(rest)]
    if fault.host:
        command += ["-verify_ip" if fault.host[0].isdigit() else "-verify_hostname", fault.host]
    code, said = run([*command, str(leaf)])
    if code == 0:
        return 0
    found = re.search(r"error (\d+) at", said)
    assert found, said
    return int(found[1])


@pytest.mark.parametrize("case", [case for case in FAULTS if FAULTS[case]().openssl_can_tell])
def test_severity_is_what_openssl_does(case, tmp_path):
    fault, code = FAULTS[case](), case.partition("/")[0]
    number = openssl_error(fault, tmp_path)
    if fault.severity == "error":
        assert number in NUMBERS[code]
    else:
        assert number == 0


@pytest.mark.parametrize("levels", [0, 1, 4, 13])
def test_good_chains(levels, tmp_path):
    """root -> n intermediates -> server: **valid**"""
    party = root()
    for number in range(levels):
        party = ca(f"Intermediate {number}", party)
    assert openssl_error(whole(server(party)), tmp_path) == 0


def test_good_peers(tmp_path):
    """The five-level example, and a leaf device below its device CA: **valid**"""
    assert openssl_error(whole(edge().hub, host=HOST), tmp_path) == 0
    assert openssl_error(whole(client(edge().device_ca), purpose="client", host=None), tmp_path) == 0


def test_every_chain(docket, tmp_path):
    """Each kind, key type and depth: **valid**, with -x509_strict; each control: **refused**"""

    def verify(case: Case) -> str:
        command = [*VERIFY, "-x509_strict", "-check_ss_sig", "-CAfile", str(write(case.anchor_pem, tmp_path))]
        if case.purpose in PURPOSES:
            command += ["-purpose", PURPOSES[case.purpose]]
        if case.host is not None:
            command += ["-verify_ip" if case.host in (ADDRESS, ADDRESS_6) else "-verify_hostname", case.host]
        if case.chain.issuers:
            command += ["-untrusted", str(write(pem(case.chain.issuers), tmp_path))]
        code, said = run([*command, str(write(pem([case.chain.leaf]), tmp_path))])
        return ACCEPTED if code == 0 else said

    hold("openssl", docket, lambda cases: ask_each(cases, verify))
