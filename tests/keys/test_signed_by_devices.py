"""What each backend signs through the issuer is good to OpenSSL: root > intermediate > leaf, a request, a CRL."""

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from leafward.keys.generation import new_private_key
from leafward.keys.key_reference import KeyReference
from leafward.keys.key_store import generate_key
from leafward.keys.passphrase import Passphrases, in_use, use
from leafward.keys.serial import new_serial
from leafward.pki.issuer import Issuer, prepare_root
from leafward.pki.key_types import KEY_TYPES
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

PEM = serialization.Encoding.PEM
NOW = datetime.now(UTC).replace(microsecond=0)
References = Callable[[str], KeyReference]


@pytest.fixture(params=["file", "encrypted file", "pkcs11", "tpm"])
def references(request: pytest.FixtureRequest, tmp_path: Path) -> References:
    if request.param == "pkcs11":
        return request.getfixturevalue("soft_hsm").reference
    if request.param == "tpm":
        folder = request.getfixturevalue("swtpm").folder
        return lambda name: KeyReference("tpm", str(folder / "keys" / name))
    if request.param == "encrypted file":
        use(Passphrases(encrypt_new=True, ask=lambda _: "under the ninth flagstone"))
    return lambda name: KeyReference("file", str(tmp_path / "keys" / name))


def openssl(*arguments: str | Path) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["ec-p256", "ec-p384", "rsa-2048"])
def test_chain_request_and_crl(references: References, tmp_path: Path, name: str) -> None:
    """root (device) > intermediate (device) > leaf, CRL by the intermediate, CSR by the root's key -> OpenSSL: OK."""
    key_type = KEY_TYPES[name]
    root_key, key = (generate_key(references(who), key_type, in_use()) for who in ("root", "intermediate"))
    lifetime = timedelta(days=400)
    root = prepare_root(root_key, common_name="Root", now=NOW, serial=new_serial(), lifetime=lifetime).sign()
    intermediate = (
        Issuer(root, root_key)
        .prepare(
            profile("intermediate_ca"),
            CertificateRequest(public_key=key.public_key(), common_name="Intermediate"),
            now=NOW,
            serial=new_serial(),
            lifetime=lifetime,
            path_length=2,
        )
        .sign()
    )
    leaf_key = new_private_key(KEY_TYPES["ec-p256"])
    request = CertificateRequest(public_key=leaf_key.public_key(), common_name="leaf-1")
    leaf = Issuer(intermediate, key).prepare(profile("leaf_device"), request, now=NOW, serial=new_serial()).sign()
    for file, chain in (("root", root), ("intermediate", intermediate), ("leaf", leaf)):
        (tmp_path / f"{file}.pem").write_bytes(chain.leaf.public_bytes(PEM))
    crl = x509.CertificateRevocationListBuilder(intermediate.leaf.subject, NOW, NOW + timedelta(days=7))
    (tmp_path / "crl.pem").write_bytes(crl.sign(key, key_type.signature_hash).public_bytes(PEM))
    csr = x509.CertificateSigningRequestBuilder(root.leaf.subject).sign(root_key, key_type.signature_hash)
    (tmp_path / "csr.pem").write_bytes(csr.public_bytes(PEM))

    files = ("-CAfile", tmp_path / "root.pem", "-untrusted", tmp_path / "intermediate.pem")
    assert "OK" in openssl("verify", "-x509_strict", *files, tmp_path / "leaf.pem")
    checked = (*files, "-CRLfile", tmp_path / "crl.pem", "-crl_check")
    assert "OK" in openssl("verify", "-x509_strict", *checked, tmp_path / "leaf.pem")
    assert "verify OK" in openssl("req", "-in", tmp_path / "csr.pem", "-noout", "-verify")
