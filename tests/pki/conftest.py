"""Hierarchies of any depth, by the real Issuer with fast keys: root -> n intermediates -> device CA -> workload CA."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from leafward.pki.chain import Chain
from leafward.pki.issuer import Issuer, prepare_root
from leafward.pki.names import parse_host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

NOW = datetime(2027, 3, 4, 5, 6, 7, tzinfo=UTC)
HOST = "gateway.example"
# 20 octets, top bit clear, counted up: no two certificates of a test run share one, and nothing is drawn at random.
_serials = itertools.count(1 << 158)

# What each end-entity kind is asked for in the tests.
REQUESTS: dict[str, dict[str, Any]] = {
    "device_identity": {"common_name": "gateway-7", "serial_number": "SN-0007"},
    "hub_server": {"hosts": (parse_host(HOST), parse_host("192.0.2.7")), "extra_dns": ("edgehub",)},
    "module_server": {"hosts": (parse_host("filter"),)},
    "module_identity": {
        "common_name": "filter",
        "uris": ("azureiot://hub.example/devices/gateway-7/modules/filter",),
    },
    "leaf_device": {"common_name": "pump-7"},
    "verification": {"common_name": "0123456789ABCDEF"},
    "authority_server": {"hosts": (parse_host("est.example"),)},
    "ocsp_responder": {"common_name": "OCSP responder"},
}


def new_serial() -> int:
    return next(_serials)


@cache
def _rsa_key(size: int, label: str) -> rsa.RSAPrivateKey:
    """Slow to make, so each is made once a process."""
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


def make_key(key_type: str = "ec-p256", label: str = "") -> Any:
    """A new key; RSA keys are reused under one label."""
    if key_type.startswith("rsa-"):
        return _rsa_key(int(key_type.removeprefix("rsa-")), label)
    makers: dict[str, Callable[[], Any]] = {
        "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    }
    return makers[key_type]()


@dataclass
class Hierarchy:
    """A maker's and an operator's CAs, and whatever they issue. `now` is the time of every issue."""

    root: Issuer
    intermediates: list[Issuer]
    device_ca: Issuer
    workload_ca: Issuer
    now: datetime
    key_type: str

    def issuer_of(self, kind: str) -> Issuer:
        """The CA that stands right above a kind."""
        if kind in ("hub_server", "module_server", "module_identity"):
            return self.workload_ca
        if kind in ("leaf_device", "verification", "workload_ca"):
            return self.device_ca
        return self.intermediates[-1] if self.intermediates else self.root

    def request(self, kind: str, key: Any = None, **changes: Any) -> CertificateRequest:
        """The usual request for an end-entity kind, with changes."""
        public_key = (key or make_key(self.key_type, kind)).public_key()
        return CertificateRequest(public_key=public_key, **{**REQUESTS[kind], **changes})

    def issue(
        self,
        kind: str,
        key: Any = None,
        *,
        issuer: Issuer | None = None,
        lifetime: timedelta | None = None,
        **changes: Any,
    ) -> Chain:
        """A certificate of an end-entity kind, leaf first with its issuers."""
        signer = issuer or self.issuer_of(kind)
        request = self.request(kind, key, **changes)
        return signer.prepare(profile(kind), request, now=self.now, serial=new_serial(), lifetime=lifetime).sign()


class Factory:
    """Makes hierarchies, and their parts: `factory(intermediates=3, key_type="ec-p384") -> Hierarchy`."""

    now = NOW
    host = HOST
    key = staticmethod(make_key)
    serial = staticmethod(new_serial)

    def __call__(self, intermediates: int = 1, key_type: str = "ec-p256", now: datetime = NOW) -> Hierarchy:
        """Root, so many intermediates, device CA, workload CA, all with keys of one type."""
        root = self.root(make_key(key_type, "root"), now, allow_rsa_2048_after_2030=True)
        above, between = root, list[Issuer]()
        for number in range(intermediates):
            room = 1 + intermediates - number  # the intermediates below this one, the device CA and the workload CA
            key, name = make_key(key_type, f"intermediate {number}"), f"Test Intermediate CA {number}"
            above = self.ca(above, "intermediate_ca", key, name, now, path_length=room)
            between.append(above)
        device = self.ca(above, "device_ca", make_key(key_type, "device"), "gateway.ca", now)
        workload = self.ca(device, "workload_ca", make_key(key_type, "workload"), None, now)
        return Hierarchy(root, between, device, workload, now, key_type)

    def root(self, key: Any = None, now: datetime = NOW, **more: Any) -> Issuer:
        """A root, ready to issue."""
        key = key or make_key()
        prepared = prepare_root(key, common_name="Test Root CA", now=now, serial=new_serial(), **more)
        return Issuer(prepared.sign(), key)

    def ca(
        self, above: Issuer, kind: str, key: Any = None, name: str | None = None, now: datetime = NOW, **more: Any
    ) -> Issuer:
        """A CA below another, ready to issue."""
        key = key or make_key()
        request = CertificateRequest(public_key=key.public_key(), common_name=name)
        options = {"allow_rsa_2048_after_2030": True, **more}
        return Issuer(above.prepare(profile(kind), request, now=now, serial=new_serial(), **options).sign(), key)


@pytest.fixture(scope="session")
def hierarchy() -> Factory:
    """`hierarchy(intermediates=1, key_type="ec-p256") -> Hierarchy`; parts by `hierarchy.key(…)`, `hierarchy.ca(…)`."""
    return Factory()


@pytest.fixture(scope="session")
def gateway(hierarchy: Factory) -> Hierarchy:
    """root -> Test Intermediate CA 0 -> gateway.ca -> iotedge workload ca, for tests that change nothing."""
    return hierarchy()
