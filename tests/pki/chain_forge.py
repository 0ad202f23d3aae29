"""Chains for tests, good ones and broken ones, made with `cryptography`'s builder alone and none of our own code.

A `Party` is a certificate with its key and its issuer. Each field of a certificate has a sane default and can be
overridden, so that a test says only what is special about its chain.
"""

import contextlib
import ipaddress
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pyasn1.codec.der.decoder import decode
from pyasn1.codec.der.encoder import encode
from pyasn1.type import univ
from pyasn1_alt_modules import rfc5280

from leafward.pki.chain import Chain

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
HOST = "iotedgegw.local"
SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
OTHER_USE = ExtendedKeyUsageOID.CODE_SIGNING
DEFAULT: Any = object()


@cache
def key(label: str, kind: str = "ec-p256") -> Any:
    """A key of a kind: the same label gives the same key in one process."""
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ml-dsa-44":
        return mldsa.MLDSA44PrivateKey.generate()
    if kind == "dsa":
        return dsa.generate_private_key(key_size=2048)
    curves = {"ec-p256": ec.SECP256R1, "ec-p384": ec.SECP384R1, "ec-p224": ec.SECP224R1, "ec-k256": ec.SECP256K1}
    return ec.generate_private_key(curves[kind]())


def name(common_name: str | None, **more: str) -> x509.Name:
    """A subject of a common name and, by keyword, an organisation."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, more["o"])] if "o" in more else []
    if common_name:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name that is too long may be what a test is about
            parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=len(common_name) <= 64))
    return x509.Name(parts)


def san(*names: str) -> x509.SubjectAlternativeName:
    """A SAN: addresses as iPAddress, "DNS:…" as a dNSName whatever it looks like, the rest as dNSName."""
    return x509.SubjectAlternativeName([_general_name(one) for one in names])


def _general_name(text: str) -> x509.GeneralName:
    if text.startswith("DNS:"):
        return x509.DNSName(text[4:])
    if text.startswith("URI:"):
        return x509.UniformResourceIdentifier(text[4:])
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def usage(*names: str) -> x509.KeyUsage:
    """A key usage with these bits."""
    bits = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    bits += ["key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{bit: bit in names for bit in bits})


@dataclass(frozen=True)
class Party:
    """A certificate, its key, and who issued it."""

    certificate: x509.Certificate
    key: Any
    issuer: "Party | None"

    @property
    def line(self) -> list[x509.Certificate]:
        """Itself and all above, the root included."""
        return [self.certificate, *(self.issuer.line if self.issuer else ())]

    @property
    def chain(self) -> Chain:
        """The whole chain, the root included."""
        return Chain(tuple(self.line))

    @property
    def root(self) -> x509.Certificate:
        return self.line[-1]

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issue(
    subject: str | x509.Name | None,
    issuer: Party | None = None,
    *,
    ca: bool | None = False,
    path_length: int | None = None,
    bc_critical: bool = True,
    key_usage: x509.KeyUsage | None = DEFAULT,
    eku: Sequence[x509.ObjectIdentifier] | None = None,
    names: x509.SubjectAlternativeName | None = None,
    ski: bytes | bool = True,
    aki: bytes | bool = True,
    not_before: datetime = NOW - timedelta(days=1),
    not_after: datetime = NOW + timedelta(days=30),
    serial: int | None = None,
    key_kind: str = "ec-p256",
    own_key: Any = None,
    signing_key: Any = None,
    issuer_name: x509.Name | None = None,
    digest: hashes.HashAlgorithm | None = DEFAULT,
    extra: Iterable[tuple[x509.ExtensionType, bool]] = (),
) -> Party:
    """A certificate as asked for, signed by `issuer` (itself where None)."""
    subject = subject if isinstance(subject, x509.Name) else name(subject)
    own_key = own_key or key(f"{subject.rfc4514_string()} {ca} {issuer is None}", key_kind)
    signing_key = signing_key or (issuer.key if issuer else own_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or (issuer.certificate.subject if issuer else subject))
        .public_key(own_key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    plain = _plain_extensions(ca, path_length, bc_critical, key_usage, eku)
    named = _names_and_keys(names, bool(subject.rdns), ski, aki, (own_key, issuer))
    for extension, critical in (*plain, *named, *extra):
        builder = builder.add_extension(extension, critical)
    certificate = builder.sign(signing_key, _digest(signing_key) if digest is DEFAULT else digest)
    return Party(_read_quietly(lambda: certificate), own_key, issuer)


def _read_quietly(load: Callable[[], x509.Certificate]) -> x509.Certificate:
    """`cryptography` warns of oddities once, when a part is first read; they are what these tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        certificate = load()
        with contextlib.suppress(ValueError):
            _ = certificate.subject, certificate.issuer, certificate.serial_number
    return certificate


def _digest(signing_key: Any) -> hashes.HashAlgorithm | None:
    return None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _plain_extensions(
    ca: bool | None, path_length: int | None, critical: bool, key_usage: Any, eku: Any
) -> Iterable[tuple[x509.ExtensionType, bool]]:
    if ca is not None:
        yield x509.BasicConstraints(ca, path_length if ca else None), critical
    if key_usage is DEFAULT:
        key_usage = usage("key_cert_sign", "crl_sign") if ca else usage("digital_signature")
    if key_usage is not None:
        yield key_usage, True
    if eku is not None:
        yield x509.ExtendedKeyUsage(eku), False


def _names_and_keys(
    names: Any, has_subject: bool, ski: bytes | bool, aki: bytes | bool, keys: tuple[Any, Party | None]
) -> Iterable[tuple[x509.ExtensionType, bool]]:
    own_key, issuer = keys
    if names is not None:
        yield names, not has_subject
    own_id = x509.SubjectKeyIdentifier.from_public_key(own_key.public_key())
    if ski:
        yield (x509.SubjectKeyIdentifier(ski) if isinstance(ski, bytes) else own_id), False
    if aki:
        digest = aki if isinstance(aki, bytes) else _ski(issuer.certificate) if issuer else own_id.digest
        yield x509.AuthorityKeyIdentifier(digest, None, None), False


def _ski(certificate: x509.Certificate) -> bytes:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def altered(party: Party, alter: Callable[[Any], object], replace: tuple[bytes, bytes] = (b"", b"")) -> Party:
    """The certificate with its to-be-signed part changed as no builder would, and signed again (by a P-256 key)."""
    der = party.certificate.public_bytes(Encoding.DER)
    decoded, _ = decode(der.replace(*replace) if replace[0] else der, asn1Spec=rfc5280.Certificate())
    alter(decoded)
    signer = party.issuer.key if party.issuer else party.key
    sha1 = str(decoded["signatureAlgorithm"]["algorithm"]) == ECDSA_WITH_SHA1
    digest = hashes.Hash(hashes.SHA1() if sha1 else hashes.SHA256())
    digest.update(encode(decoded["tbsCertificate"]))
    algorithm = ec.ECDSA(Prehashed(hashes.SHA1() if sha1 else hashes.SHA256()))
    decoded["signature"] = univ.BitString.fromOctetString(signer.sign(digest.finalize(), algorithm))
    return Party(_read_quietly(lambda: x509.load_der_x509_certificate(encode(decoded))), party.key, party.issuer)


ECDSA_WITH_SHA1 = "1.2.840.10045.4.1"


def signed_over_sha1(party: Party) -> Party:
    """The certificate with ecdsa-with-SHA1."""

    def alter(certificate: Any) -> None:
        certificate["tbsCertificate"]["signature"]["algorithm"] = ECDSA_WITH_SHA1
        certificate["signatureAlgorithm"]["algorithm"] = ECDSA_WITH_SHA1

    return altered(party, alter)


def with_bytes(party: Party, old: bytes, new: bytes) -> Party:
    """The certificate with some bytes of its DER replaced by as many others."""
    assert len(old) == len(new)
    return altered(party, lambda _: None, (old, new))


def with_serial(party: Party, serial: int) -> Party:
    """The certificate with any number as its serial number."""

    def alter(certificate: Any) -> None:
        certificate["tbsCertificate"]["serialNumber"] = serial

    return altered(party, alter)


def root(subject: str | x509.Name = "Test Root", **special: Any) -> Party:
    """A root CA."""
    return issue(subject, None, **{"ca": True, **special})


def ca(subject: str | x509.Name, issuer: Party, path_length: int | None = None, **special: Any) -> Party:
    """A CA under another."""
    return issue(subject, issuer, **{"ca": True, "path_length": path_length, **special})


def server(issuer: Party, *hosts: str, subject: str | x509.Name | None = None, **special: Any) -> Party:
    """A server certificate for hosts (HOST by default), named after the first."""
    hosts = hosts or (HOST,)
    special = {"eku": [SERVER], "names": san(*hosts), **special}
    return issue(hosts[0] if subject is None else subject, issuer, **special)


def client(issuer: Party, device_id: str = "pump-7", **special: Any) -> Party:
    """A leaf device's certificate: a common name, no SAN."""
    return issue(device_id, issuer, **{"eku": [CLIENT], **special})


@dataclass(frozen=True)
class Edge:
    """root -> intermediate -> device CA (pathlen 1) -> workload CA (pathlen 0) -> hub"""

    root: Party
    intermediate: Party
    device_ca: Party
    workload_ca: Party
    hub: Party


@cache
def edge() -> Edge:
    """A good five-level hierarchy, as an edge device presents it."""
    top = root()
    intermediate = ca("Test Intermediate", top)
    device_ca = ca("iotgateway.ca", intermediate, 1)
    workload_ca = ca("iotedge workload ca", device_ca, 0)
    return Edge(top, intermediate, device_ca, workload_ca, server(workload_ca))
