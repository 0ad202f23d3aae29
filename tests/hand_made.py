"""Roots, an intermediate and a whole hub's chain, made by hand: for tests that need certificates and no edge."""

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leafward.pki.chain import Chain
from leafward.pki.encoding import certificate_to_pem

_START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def write_root(path: Path, name: str = "Same Name") -> Path:
    """A self-signed root."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(certificate_to_pem(_certificate(name, key, name, key)))
    return path


def write_intermediate(path: Path) -> Path:
    """A CA whose root is not in the file."""
    above, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    path.write_bytes(certificate_to_pem(_certificate("Intermediate", key, "Root", above)))
    return path


def hub_chain() -> Chain:
    """root -> intermediate -> device CA "gateway.test.ca" -> workload CA -> hub "gateway.test"."""
    made: list[x509.Certificate] = []
    issuer, issuers_key = "Root", ec.generate_private_key(ec.SECP256R1())
    key = issuers_key
    cas = (("Root", 7300), ("Intermediate", 3650), ("gateway.test.ca", 90), ("iotedge workload ca", 90))
    for name, days in (*cas, ("gateway.test", 30)):
        if made:
            key = ec.generate_private_key(ec.SECP256R1())
        made.append(_certificate(name, key, issuer, issuers_key, days=days, server=name == "gateway.test"))
        issuer, issuers_key = name, key
    return Chain(tuple(reversed(made)))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuers_key: ec.EllipticCurvePrivateKey,
    *,
    days: int = 7300,
    server: bool = False,
) -> x509.Certificate:
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]) if server else None
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_START)
        .not_valid_after(_START + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=not server, path_length=None), critical=True)
    )
    if purpose is not None:
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(issuers_key, hashes.SHA256())
