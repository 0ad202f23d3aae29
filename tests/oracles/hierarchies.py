"""Our own chains, made by the real `Issuer` at the real time, for other people's verifiers to judge."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from leafward.pki.chain import Chain
from leafward.pki.issuer import Issuer, prepare_root
from leafward.pki.names import parse_host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

HOST = "iotedgegw.local"
ADDRESS = "127.0.0.1"
# (intermediates between root and device CA, key type)
KINDS = [(0, "ec-p256"), (1, "ec-p256"), (3, "ec-p256"), (1, "ec-p384"), (1, "rsa-2048"), (0, "rsa-3072")]
KIND_NAMES = [f"{levels} intermediates, {key_type}" for levels, key_type in KINDS]


@dataclass(frozen=True)
class Ours:
    """One hierarchy: the hub's chain and key, a leaf device's, and the root, all at `now`."""

    hub: Chain
    hub_key: Any
    leaf: Chain
    leaf_key: Any
    now: datetime

    @property
    def root(self) -> x509.Certificate:
        return self.hub.top

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)


@cache
def ours(levels: int, key_type: str) -> Ours:
    """root -> n intermediates -> device CA -> workload CA -> hub, and device CA -> leaf"""
    now = datetime.now(UTC).replace(microsecond=0)
    root_key = make_key(key_type)
    root = prepare_root(
        root_key, common_name="Azure IoT Hub CA Cert Test Only", now=now, serial=_serial(), **_old_rsa()
    )
    issuer = Issuer(root.sign(), root_key)
    for number in range(levels):
        issuer = _ca(
            issuer, "intermediate_ca", f"Intermediate {number}", key_type, now, path_length=1 + levels - number
        )
    device_ca = _ca(issuer, "device_ca", "iotgateway.ca", key_type, now)
    workload_ca = _ca(device_ca, "workload_ca", None, key_type, now)
    hub_key, leaf_key = make_key(key_type), make_key(key_type)
    hosts = (parse_host(HOST), parse_host(ADDRESS))
    hub = CertificateRequest(public_key=hub_key.public_key(), common_name=HOST, hosts=hosts)
    leaf = CertificateRequest(public_key=leaf_key.public_key(), common_name="pump-7")
    return Ours(
        hub=workload_ca.prepare(profile("hub_server"), hub, now=now, serial=_serial()).sign(),
        hub_key=hub_key,
        leaf=device_ca.prepare(profile("leaf_device"), leaf, now=now, serial=_serial()).sign(),
        leaf_key=leaf_key,
        now=now,
    )


def make_key(key_type: str) -> Any:
    if key_type.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[4:]))
    return ec.generate_private_key(ec.SECP384R1() if key_type == "ec-p384" else ec.SECP256R1())


def key_pem(key: Any) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _ca(issuer: Issuer, kind: str, name: str | None, key_type: str, now: datetime, **more: Any) -> Issuer:
    key = make_key(key_type)
    request = CertificateRequest(public_key=key.public_key(), common_name=name)
    prepared = issuer.prepare(profile(kind), request, now=now, serial=_serial(), **_old_rsa(), **more)
    return Issuer(prepared.sign(), key)


def _old_rsa() -> dict[str, bool]:
    """RSA-2048 past 2030, which an operator has to allow."""
    return {"allow_rsa_2048_after_2030": True}


def _serial() -> int:
    return secrets.randbits(158) | 1 << 157
