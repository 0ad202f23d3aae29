"""What the tests of hierarchies share: an authority on disk, and openssl as the judge of its chains."""

import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.authority.authorities import Authority
from leafward.authority.delivery import deliver
from leafward.authority.issuance import Issuance
from leafward.pki.chain import Chain
from leafward.pki.key_types import KeyType, parse_key_type

P256 = parse_key_type("ec-p256")


def now() -> datetime:
    """The real time: openssl reads the system's clock."""
    return datetime.now(UTC)


def root(issuance: Issuance, name: str = "Maker Root", key_type: KeyType = P256) -> Authority:
    return issuance.root(name, key_type, now=now())


def intermediate(issuance: Issuance, name: str, issuer: Authority, below: int = 0) -> Authority:
    return issuance.intermediate(name, P256, now=now(), issuer=issuer, intermediates_below=below)


def device_ca(issuance: Issuance, name: str, issuer: Authority, folder: Path) -> Chain:
    return deliver(issuance, "device_ca", name, P256, folder, now=now(), issuer=issuer).chain


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def openssl_verify(folder: Path, anchor: x509.Certificate, chain: Iterable[x509.Certificate], *options: str) -> str:
    """ "OK", or what `openssl verify -x509_strict` says of a presented chain, leaf first, with one anchor."""
    leaf, *rest = chain
    files = {"anchor": [anchor], "leaf": [leaf], "rest": rest}
    for name, certificates in files.items():
        (folder / f"{name}.pem").write_bytes(pem(certificates))
    command = ["openssl", "verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-CAfile", folder / "anchor.pem"]
    command += ["-untrusted", folder / "rest.pem"] if rest else []
    done = subprocess.run(
        [*map(str, command), *options, str(folder / "leaf.pem")], capture_output=True, text=True, check=False
    )
    return "OK" if done.returncode == 0 else done.stdout + done.stderr
