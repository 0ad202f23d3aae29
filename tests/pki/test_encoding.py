"""Encodings: round trips, and every wrong file answered by what it is."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs7
from cryptography.x509 import CertificateRevocationListBuilder, CertificateSigningRequestBuilder
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.pki.chain import Chain
from leafward.pki.encoding import (
    certificate_to_pem,
    certificates_to_pem,
    dump_pkcs12,
    load_certificate,
    load_certificates,
    load_crls,
    load_pkcs7,
    load_pkcs12,
    load_private_key,
    load_request,
    private_key_to_pem,
    request_to_pem,
)
from leafward.pki.pem import read_blocks, write_block

KEY_TYPES = ["ec-p256", "ec-p384", "rsa-2048", "ed25519", "ml-dsa-44"]


@pytest.fixture(scope="module")
def chain(gateway) -> Chain:
    return gateway.issue("hub_server")


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_certificates_pem_and_der(chain: Chain) -> None:
    assert load_certificates(chain.to_pem()) == list(chain)
    assert load_certificates(chain.leaf.public_bytes(Encoding.DER)) == [chain.leaf]
    assert load_certificate(certificate_to_pem(chain.leaf)) == chain.leaf


@pytest.mark.parametrize(
    "dress",
    [
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: b"# our chain, \xe4 in Latin-1\n\n" + pem.replace(b"-----BEGIN", b"\nsubject=CN = x\n-----BEGIN"),
        lambda pem: pem.rstrip(b"\n"),
        lambda pem: pem.replace(b"\n", b" \n"),
        lambda pem: pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
    ],
    ids=["crlf", "byte-order-mark", "text-between", "no-last-line-end", "blanks-at-line-ends", "old-label"],
)
def test_what_is_tolerated_around_a_block(chain: Chain, dress: Any) -> None:
    assert load_certificates(dress(chain.to_pem())) == list(chain)


def test_the_output_of_openssl_x509_text(chain: Chain) -> None:
    made = subprocess.run(["openssl", "x509", "-text"], input=chain.to_pem(), capture_output=True, check=True)
    assert made.stdout.startswith(b"Certificate:")
    assert load_certificate(made.stdout) == chain.leaf


def test_exactly_one(chain: Chain) -> None:
    with pytest.raises(EncodingError, match="expected one, got 5"):
        load_certificate(chain.to_pem())


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda pem: pem[: len(pem) // 3], "ends before its END"),
        (lambda pem: pem.replace(b"-----END CERTIFICATE-----", b"", 1), "expected its END line, got BEGIN"),
        (lambda pem: pem.replace(b"-----BEGIN CERTIFICATE-----", b"", 1), "never began"),
        (lambda pem: pem.replace(b"END CERTIFICATE", b"END PRIVATE KEY", 1), "got END 'PRIVATE KEY'"),
        (lambda pem: pem.replace(b"\nMII", b"\nM!I", 1), "no base64"),
        (lambda pem: pem.replace(b"\nMII", b"\nMI", 1), "characters missing|no certificate"),
        (lambda pem: pem.replace(b"\nMII", b"\n\xe4MII", 1), "no base64"),
        (lambda pem: b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n" + pem, "it holds nothing"),
        (lambda pem: pem.replace(b"\nMII", b"\nProc-Type: 4,ENCRYPTED\n\nMII", 1), "headers"),
        (lambda _: write_block("CERTIFICATE", b"\x30\x03abc"), "no certificate in the PEM block at line 1"),
        (lambda _: b"", "there are no bytes"),
        (lambda _: b"hello", "no certificate in the DER data"),
        (lambda _: b"-----BEGIN nonsense", "no PEM block"),
        (lambda pem: pem.replace(b"-----\n-----", b"----------"), "no base64"),
        (lambda pem: pem.replace(b"\n-----END", b"-----END", 1), "expected its END line, got BEGIN"),
        (lambda pem: b"see " + pem, "never began"),
    ],
)
def test_damaged_pem(chain: Chain, break_it: Any, words: str) -> None:
    with pytest.raises(EncodingError, match=words):
        load_certificates(break_it(chain.to_pem()))


def test_a_version_that_does_not_exist(chain: Chain) -> None:
    """One bit of a good certificate, turned over by a disk."""
    der = chain.leaf.public_bytes(Encoding.DER)
    version = der.index(b"\xa0\x03\x02\x01\x02") + 4
    with pytest.raises(EncodingError, match="version"):
        load_certificates(der[:version] + b"\x0a" + der[version + 1 :])


def test_der_with_something_after_it(chain: Chain) -> None:
    with pytest.raises(EncodingError):
        load_certificates(chain.leaf.public_bytes(Encoding.DER) + b"\0")


def test_other_objects_are_named(chain: Chain, key: Any, gateway: Any) -> None:
    name = chain.leaf.subject
    request = CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    crl = CertificateRevocationListBuilder(name, gateway.now, gateway.now).sign(key, hashes.SHA256())
    for data, words in [
        (private_key_to_pem(key), "a private key where a certificate belongs"),
        (chain.to_pem() + private_key_to_pem(key), "a private key where a certificate belongs"),
        (request_to_pem(request), "a certificate request where a certificate belongs"),
        (crl.public_bytes(Encoding.PEM), "a revocation list where a certificate belongs"),
        (write_block("PKCS7", b"1"), r"a PKCS#7 bundle where a certificate belongs"),
        (write_block("STRANGE THING", b"1"), "kind 'STRANGE THING' where a certificate belongs"),
    ]:
        with pytest.raises(EncodingError, match=words) as refused:
            load_certificates(data)
        assert "PRIVATE" not in str(refused.value)
    for wrong in (chain.to_pem(), chain.leaf.public_bytes(Encoding.DER)):
        with pytest.raises(EncodingError, match="a certificate where a private key belongs"):
            load_private_key(wrong)
    assert load_request(request_to_pem(request)) == request
    assert load_crls(crl.public_bytes(Encoding.PEM)) == load_crls(crl.public_bytes(Encoding.DER)) == [crl]
    with pytest.raises(EncodingError, match="a certificate where a revocation list belongs"):
        load_crls(chain.to_pem())


@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize("passphrase", [None, b"open sesame"])
def test_private_keys(hierarchy, key_type: str, passphrase: bytes | None) -> None:
    key = hierarchy.key(key_type, "encoding")
    pem = private_key_to_pem(key, passphrase)
    assert (b"ENCRYPTED" in pem) is (passphrase is not None)
    assert load_private_key(pem, passphrase).public_key() == key.public_key()
    # a passphrase too many is no fault
    assert load_private_key(private_key_to_pem(key), b"unneeded").public_key() == key.public_key()


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_private_key_forms(hierarchy, form: PrivateFormat, encoding: Encoding) -> None:
    for key_type in ("ec-p256", "rsa-2048"):
        key = hierarchy.key(key_type, "encoding")
        data = key.private_bytes(encoding, form, NoEncryption())
        assert load_private_key(data).public_key() == key.public_key()


def test_a_key_as_openssl_ecparam_writes_it() -> None:
    """The old command puts a block of curve parameters before the key."""
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey"]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    assert b"EC PARAMETERS" in made
    assert isinstance(load_private_key(made), ec.EllipticCurvePrivateKey)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_an_encrypted_key(key: Any, encoding: Encoding, form: PrivateFormat) -> None:
    if (encoding, form) == (Encoding.DER, PrivateFormat.TraditionalOpenSSL):
        return  # that form has no DER
    data = key.private_bytes(encoding, form, serialization.BestAvailableEncryption(b"right"))
    with pytest.raises(EncodingError, match="the private key is encrypted"):
        load_private_key(data)
    with pytest.raises(EncodingError, match="does not open") as refused:
        load_private_key(data, b"wrong")
    assert "wrong" not in str(refused.value)
    assert load_private_key(data, b"right").public_key() == key.public_key()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not decode"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "does not decode"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "damaged"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "an OpenSSH private key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "a public key where a private key belongs"),
    ],
)
def test_no_private_key(data: bytes, words: str) -> None:
    with pytest.raises(EncodingError, match=words):
        load_private_key(data)


def test_two_private_keys(key: Any) -> None:
    with pytest.raises(EncodingError, match="expected one, got 2"):
        load_private_key(private_key_to_pem(key) * 2)


def test_a_key_of_another_algorithm() -> None:
    data = dsa.generate_private_key(1024).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(EncodingError, match="got DSA"):
        load_private_key(data)


@pytest.mark.parametrize("passphrase", [None, b"1234"])
def test_pkcs12_round_trip(hierarchy, gateway, passphrase: bytes | None) -> None:
    for key_type in ("ec-p256", "rsa-2048"):
        key = hierarchy.key(key_type, "encoding")
        chain = gateway.issue("leaf_device", key)
        loaded = load_pkcs12(dump_pkcs12("pump-7", key, chain.certificates, passphrase), passphrase)
        assert loaded.key is not None
        assert loaded.key.public_key() == key.public_key()
        assert loaded.certificates[0] == chain.leaf
        assert Chain.ordered(loaded.certificates) == chain
        assert loaded.friendly_name == "pump-7"
        assert "PrivateKey" not in repr(loaded)


def test_pkcs12_is_read_by_openssl(chain: Chain, gateway: Any, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "pump.pfx"
    file.write_bytes(dump_pkcs12("pump-7", key, gateway.issue("leaf_device", key).certificates, b"1234"))
    command = ["openssl", "pkcs12", "-in", str(file), "-passin", "pass:1234", "-nodes"]
    out = subprocess.run(command, capture_output=True, check=True).stdout
    assert out.count(b"BEGIN CERTIFICATE") == 4
    assert out.count(b"BEGIN PRIVATE KEY") == 1


def test_pkcs12_refused(hierarchy, chain: Chain) -> None:
    for data in (b"", b"junk", chain.to_pem()):
        with pytest.raises(EncodingError):
            load_pkcs12(data, b"1234")
    with pytest.raises(EncodingError, match="no place"):
        dump_pkcs12("x", hierarchy.key("ml-dsa-44"), [chain.leaf], b"1234")


def test_pkcs12_with_the_wrong_passphrase(gateway, key: Any) -> None:
    data = dump_pkcs12("x", key, gateway.issue("leaf_device", key).certificates, b"right")
    for passphrase in (None, b"", b"wrong"):
        with pytest.raises(EncodingError, match="passphrase"):
            load_pkcs12(data, passphrase)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_pkcs7(chain: Chain, encoding: Encoding) -> None:
    data = pkcs7.serialize_certificates(list(chain), encoding)
    assert Chain.ordered(load_pkcs7(data)) == chain


def test_pkcs7_refused(chain: Chain) -> None:
    for data in (b"", b"junk", write_block("PKCS7", b"junk")):
        with pytest.raises(EncodingError):
            load_pkcs7(data)
    with pytest.raises(EncodingError, match="a certificate where a PKCS#7 bundle belongs"):
        load_pkcs7(certificates_to_pem([chain.leaf]))


@given(st.binary(min_size=1, max_size=300), st.sampled_from(["CERTIFICATE", "X509 CRL", "SOME-THING ELSE"]))
def test_blocks_round_trip(data: bytes, label: str) -> None:
    written = write_block(label, data)
    assert max(map(len, written.splitlines())) <= 64
    (block,) = read_blocks(b"before\n" + written + b"after\n")
    assert (block.label, block.data, block.line) == (label, data, 2)
    assert repr(data) not in repr(block)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_in_our_own_words(data: bytes) -> None:
    for load in (load_certificates, load_private_key, load_pkcs7, load_pkcs12, load_request, load_crls):
        for form in (data, b"-----BEGIN CERTIFICATE-----\n" + data, write_block("PRIVATE KEY", data or b"\0")):
            with pytest.raises(EncodingError):
                load(form)
