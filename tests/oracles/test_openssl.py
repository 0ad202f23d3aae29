"""OpenSSL on our chains, the good and the broken: an error of ours is what it refuses, and first; a warning passes.

This is what "severity" means in a diagnosis, so each fault is held to it.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.oracles.hierarchies import ADDRESS, KIND_NAMES, KINDS, ours
from tests.pki.chain_faults import FAULTS, Fault, whole
from tests.pki.chain_forge import HOST, ca, client, edge, root, server

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="openssl is not installed (package openssl)")

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


def pem(certificates: list[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def openssl_error(fault: Fault, folder: Path, *options: str) -> int:
    """The first error of `openssl verify` with Debian's security level; 0 where it accepts."""
    leaf, rest, trusted = folder / "leaf.pem", folder / "rest.pem", folder / "trusted.pem"
    leaf.write_bytes(pem(fault.chain[:1]))
    rest.write_bytes(pem(fault.chain[1:]))
    trusted.write_bytes(pem(fault.anchors))
    command = [OPENSSL, "verify", "-no-CApath", "-no-CAstore", "-CAfile", trusted, "-auth_level", "2", *options]
    command += ["-purpose", f"ssl{fault.purpose}", "-attime", str(int(fault.now.timestamp()))]
    if fault.chain[1:]:
        command += ["-untrusted", rest]
    if fault.host:
        command += ["-verify_ip" if fault.host[0].isdigit() else "-verify_hostname", fault.host]
    done = subprocess.run([*map(str, command), str(leaf)], capture_output=True, text=True, timeout=30, check=False)
    if done.returncode == 0:
        return 0
    found = re.search(r"error (\d+) at", done.stderr + done.stdout)
    assert found, done
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


@pytest.mark.parametrize(("levels", "key_type"), KINDS, ids=KIND_NAMES)
def test_our_own_chains(levels, key_type, tmp_path):
    """The hub's chain by name and by address, and the leaf's: **valid**, even with -x509_strict"""
    mine = ours(levels, key_type)
    anchors = [mine.root]
    for chain, host, purpose in (
        (mine.hub, HOST, "server"),
        (mine.hub, ADDRESS, "server"),
        (mine.leaf, None, "client"),
    ):
        good = Fault(list(chain), anchors, host=host, purpose=purpose, now=mine.now)
        assert openssl_error(good, tmp_path, "-x509_strict") == 0
    wrong_name = Fault(list(mine.hub), anchors, host="other.local", now=mine.now)
    assert openssl_error(wrong_name, tmp_path) == 62
    only_device_ca = Fault(list(mine.hub), [mine.hub.certificates[2]], now=mine.now)
    assert openssl_error(only_device_ca, tmp_path) != 0
