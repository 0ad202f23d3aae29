"""Certificate requests from outside: what is taken, and bad ones named after their defect."""

import ipaddress
import os
import subprocess
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leafward.errors import EncodingError, LeafwardError, RequestError, RuleViolation
from leafward.pki.names import HostName
from leafward.pki.request import CertificateRequest, check_key


def csr(
    *extensions: x509.ExtensionType,
    key: Any = None,
    names: tuple[tuple[x509.ObjectIdentifier, str], ...] = ((NameOID.COMMON_NAME, "pump-7"),),
) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    key = key or ec.generate_private_key(ec.SECP256R1())
    plain = isinstance(key, ed25519.Ed25519PrivateKey)
    return builder.sign(key, None if plain else hashes.SHA256())


def pem(request: x509.CertificateSigningRequest) -> bytes:
    return request.public_bytes(Encoding.PEM)


def san(*names: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(names)


def wrong_signature() -> bytes:
    """A good request with another name put into its signed part."""
    der = csr().public_bytes(Encoding.DER)
    assert der.count(b"pump-7") == 1
    return der.replace(b"pump-7", b"pump-8")


def test_what_is_taken() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = ((NameOID.ORGANIZATION_NAME, "Anybody"), (NameOID.COMMON_NAME, "pump-7"), (NameOID.SERIAL_NUMBER, "7"))
    asked = csr(
        san(
            x509.DNSName("Pump.Example"),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
            x509.DNSName("pump.example"),
            x509.UniformResourceIdentifier("azureiot://hub/devices/pump-7"),
        ),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),
        key=key,
        names=names,
    )
    for data in (pem(asked), asked.public_bytes(Encoding.DER), pem(asked).replace(b"\n", b"\r\n")):
        assert CertificateRequest.from_csr(data) == CertificateRequest(
            public_key=key.public_key(),
            common_name="pump-7",
            hosts=(HostName("pump.example"), ipaddress.ip_address("192.0.2.1")),
            serial_number="7",
            uris=("azureiot://hub/devices/pump-7",),
        )


@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384", "rsa-2048", "ed25519"])
def test_key_types(hierarchy, key_type: str) -> None:
    key = hierarchy.key(key_type, "leaf")
    assert CertificateRequest.from_csr(pem(csr(key=key))).public_key == key.public_key()


def test_no_names_at_all() -> None:
    assert CertificateRequest.from_csr(pem(csr(names=()))).common_name is None


@pytest.mark.parametrize(
    "extension",
    [
        x509.BasicConstraints(ca=True, path_length=None),
        x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        ),
    ],
    ids=["ca-true", "key-cert-sign"],
)
def test_a_request_to_be_a_ca_is_remembered(extension: x509.ExtensionType) -> None:
    assert CertificateRequest.from_csr(pem(csr(extension))).asks_for_ca
    assert not CertificateRequest.from_csr(pem(csr(x509.BasicConstraints(ca=False, path_length=None)))).asks_for_ca


def signed_with_sha1() -> bytes:
    """`cryptography` makes none, OpenSSL still does."""
    command = ["openssl", "req", "-new", "-sha1", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    options = ["-subj", "/CN=pump-7", "-nodes", "-keyout", os.devnull]
    return subprocess.run([*command, *options], capture_output=True, check=True).stdout


BAD: dict[str, tuple[Any, type[LeafwardError], str]] = {
    "signature-of-another-request": (wrong_signature, RequestError, "not signed by its own key"),
    "rsa-1024": (lambda: pem(csr(key=rsa.generate_private_key(65537, 1024))), RuleViolation, "1024 bits"),
    "rsa-exponent-3": (lambda: pem(csr(key=rsa.generate_private_key(3, 2048))), RuleViolation, "exponent 3"),
    "curve-secp256k1": (lambda: pem(csr(key=ec.generate_private_key(ec.SECP256K1()))), RuleViolation, "secp256k1"),
    "signed-with-sha1": (signed_with_sha1, RuleViolation, "SHA-1"),
    "wildcard-name": (lambda: pem(csr(san(x509.DNSName("*.example")))), RequestError, "wildcard"),
    "address-as-dns-name": (lambda: pem(csr(san(x509.DNSName("192.0.2.1")))), RequestError, "iPAddress|dNSName"),
    "network-as-address": (
        lambda: pem(csr(san(x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))))),
        RequestError,
        "IPAddress",
    ),
    "e-mail-name": (lambda: pem(csr(san(x509.RFC822Name("a@example")))), RequestError, "RFC822Name"),
    "two-common-names": (
        lambda: pem(csr(names=((NameOID.COMMON_NAME, "a"), (NameOID.COMMON_NAME, "b")))),
        RequestError,
        "more than one common name",
    ),
    "cut-off": (lambda: pem(csr())[:-40], EncodingError, "damaged"),
    "no-request": (lambda: b"nothing of the kind", EncodingError, "does not decode"),
    "two-requests": (lambda: pem(csr()) * 2, EncodingError, "one certificate request"),
}


@pytest.mark.parametrize("defect", BAD)
def test_bad_request(defect: str) -> None:
    make, kind, words = BAD[defect]
    with pytest.raises(kind, match=words):
        CertificateRequest.from_csr(make())


def test_a_certificate_is_no_request(gateway) -> None:
    with pytest.raises(EncodingError, match="a certificate where one certificate request belongs"):
        CertificateRequest.from_csr(gateway.root.chain.to_pem())


def test_a_good_key_passes(hierarchy) -> None:
    check_key(hierarchy.key("rsa-2048", "leaf").public_key())
