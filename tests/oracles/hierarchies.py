"""Our own chains, made by the real `Issuer` at the real time: every kind, every key type, at several depths.

root -> n intermediates -> device CA -> workload CA -> hub, modules
                        |           -> leaf device, verification
                        -> device identity, leaf device, the authority's server, its OCSP responder
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from cryptography import x509

from leafward.pki.admission import RSA_2048_ENDS
from leafward.pki.chain import Chain
from leafward.pki.issuer import Issuer, prepare_root
from leafward.pki.key_types import KEY_TYPES
from leafward.pki.names import parse_host
from leafward.pki.pointers import NO_POINTERS, Pointers
from leafward.pki.profile import CRL_DISTRIBUTION_POINTS, OCSP_SIGNING, SERVER_AUTH, Profile
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.validity import FOREVER
from tests.oracles.case import Case
from tests.oracles.keyring import Keyring

HOST = "iotedgegw.local"
ADDRESS, ADDRESS_6 = "127.0.0.1", "fd00::7"
LONG_HOST = f"{'a' * 40}.{'b' * 40}.local"  # too long for a common name
ROOT_NAME = "Azure IoT Hub CA Cert Test Only"
DEPTHS = (0, 1, 3)
EVERY_DEPTH = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072", "ed25519")
ONE_DEPTH = ("rsa-4096", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87")
KINDS = [*((levels, key_type) for key_type in EVERY_DEPTH for levels in DEPTHS), *((1, key) for key in ONE_DEPTH)]

_HOSTS = tuple(map(parse_host, (HOST, ADDRESS, ADDRESS_6)))
# (kind, whose children they are, what is asked for)
_WANTED: list[tuple[str, str, dict[str, Any]]] = [
    ("hub_server", "workload_ca", {"hosts": _HOSTS, "extra_dns": ("edgehub",)}),
    ("module_server", "workload_ca", {"hosts": (parse_host("filter"),)}),
    (
        "module_identity",
        "workload_ca",
        {"common_name": "filter", "uris": ("azureiot://hub.local/devices/gw/modules/filter",)},
    ),
    ("verification", "workload_ca", {"common_name": "0123456789ABCDEF"}),
    ("verification", "device_ca", {"common_name": "FEDCBA9876543210"}),
    ("leaf_device", "device_ca", {"common_name": "pump-7"}),
    ("leaf_device", "maker", {"common_name": "pump-8"}),
    ("device_identity", "maker", {"common_name": "gateway-7", "serial_number": "SN-0007"}),
    ("authority_server", "maker", {"hosts": (parse_host("est.maker.local"),)}),
    ("ocsp_responder", "maker", {"common_name": "Revocation answers"}),
]
_FENCE = {
    "permit_dns": ("local", "edgehub", "filter"),
    "permit_ip": (ip_network("127.0.0.0/8"), ip_network("fd00::/8")),
}


@dataclass
class Tree:
    """One hierarchy. `traits` mark all its cases; `more` is asked for with each CA of a kind."""

    keys: Keyring
    key_type: str
    levels: int
    now: datetime
    traits: frozenset[str] = frozenset()
    more: dict[str, dict[str, Any]] = field(default_factory=dict)
    lifetimes: dict[str, timedelta] = field(default_factory=dict)
    pointers: Pointers = NO_POINTERS

    def cases(self) -> Iterator[Case]:
        """Every certificate of it, from the root down."""
        maker = self.root()
        yield self._ca_case(maker, "root_ca")
        for number in range(self.levels):
            room = 1 + self.levels - number  # the intermediates below this one, the device CA and the workload CA
            name = f"Azure IoT Hub Intermediate Cert Test Only {number}"
            maker = self.ca(maker, "intermediate_ca", name, role=f"intermediate-{number}", path_length=room)
            yield self._ca_case(maker, "intermediate_ca")
        device, workload = self.gateway(maker)
        yield self._ca_case(device, "device_ca")
        yield self._ca_case(workload, "workload_ca")
        parents = {"workload_ca": workload, "device_ca": device, "maker": maker}
        for kind, parent, wanted in _WANTED:
            yield self.end_entity(parents[parent], kind, f"{kind} below the {parent}", **wanted)

    def gateway(self, maker: Issuer) -> tuple[Issuer, Issuer]:
        """The device CA and the workload CA below a maker's CA."""
        device = self.ca(maker, "device_ca", "iotgateway.ca")
        return device, self.ca(device, "workload_ca", None)

    def root(self, name: str = ROOT_NAME) -> Issuer:
        """A root CA."""
        key = self.keys.key(self.key_type, "root")
        lifetime = self.lifetimes.get("root_ca")
        if self.key_type == "rsa-2048":
            lifetime = RSA_2048_ENDS - self.now - timedelta(days=1)
        root = prepare_root(key, common_name=name, now=self.now, serial=_serial(), lifetime=lifetime)
        return Issuer(root.sign(), key, kind="root_ca")

    def ca(self, above: Issuer, kind: str, name: str | None, *, role: str | None = None, **options: Any) -> Issuer:
        """A CA below another, ready to issue."""
        key = self.keys.key(self.key_type, role or kind)
        request = CertificateRequest(
            public_key=key.public_key(), common_name=name, pointers=self._pointers(kind), **self.more.get(kind, {})
        )
        return Issuer(self._issue(above, kind, request, **options), key, kind=kind)

    def end_entity(self, above: Issuer, kind: str, label: str, **wanted: Any) -> Case:
        """A certificate that is no CA's, and how it is judged."""
        key = self.keys.key(self.key_type, "end-entity")
        request = CertificateRequest(public_key=key.public_key(), pointers=self._pointers(kind), **wanted)
        chain = self._issue(above, kind, request, allow_post_quantum_server=True)
        host = str(wanted["hosts"][0]) if "hosts" in wanted else None
        return self._case(label, kind, chain, key, host)

    def _issue(self, above: Issuer, kind: str, request: CertificateRequest, **options: Any) -> Chain:
        lifetime = self.lifetimes.get(kind)
        return above.prepare(
            profile(kind), request, now=self.now, serial=_serial(), lifetime=lifetime, **options
        ).sign()

    def _ca_case(self, issuer: Issuer, kind: str) -> Case:
        name = issuer.chain.leaf.subject.rfc4514_string()
        return self._case(name, kind, issuer.chain, issuer.key, None)

    def _case(self, label: str, kind: str, chain: Chain, key: Any, host: str | None) -> Case:
        purpose = _purpose(profile(kind))
        where = ", ".join([self.key_type, f"{self.levels} intermediates", *sorted(self.traits)])
        key_traits = {self.key_type, KEY_TYPES[self.key_type].algorithm}
        traits = frozenset({kind, purpose, *key_traits, *self.traits})
        return Case(f"{label}, {where}", chain, key, purpose, chain.top, self.now, host, traits=traits)

    def _pointers(self, kind: str) -> Pointers:
        return self.pointers if profile(kind).row(CRL_DISTRIBUTION_POINTS) else NO_POINTERS


def good_cases(keys: Keyring) -> Iterator[Case]:
    """Every chain that every judge should accept."""
    now = datetime.now(UTC).replace(microsecond=0)
    for levels, key_type in KINDS:
        yield from _called_otherwise(Tree(keys, key_type, levels, now).cases())
    plain = Tree(keys, "ec-p256", 1, now)
    yield from _dressed(plain).cases()
    yield from _called_otherwise(replace(plain, traits=frozenset({"fenced"}), more={"device_ca": _FENCE}).cases())
    yield _long_name(plain)
    yield _rolled_over(plain, "Azure IoT Hub CA Cert Test Only 2")
    yield _rolled_over(plain, ROOT_NAME)  # a name of its own is not needed: the new root may take the old one's


def _called_otherwise(cases: Iterator[Case]) -> Iterator[Case]:
    """Each case, and a hub's with the usual key once more by the other names that it goes by."""
    for case in cases:
        yield case
        if {"hub_server", "ec-p256"} <= case.traits:
            for how, host in (("capitals", HOST.upper()), ("address", ADDRESS), ("address-6", ADDRESS_6)):
                label = f"{case.label}, by {how}"
                yield replace(case, label=label, host=host, traits=case.traits | {f"by {how}"})


def _dressed(plain: Tree) -> Tree:
    """With policies, with places to ask for revocation, and without an end where that is allowed."""
    policy = x509.ObjectIdentifier("1.3.6.1.4.1.99999.7")
    return replace(
        plain,
        traits=frozenset({"dressed"}),
        more={"intermediate_ca": {"policies": (policy,)}, "device_ca": {"policies": (policy,)}},
        lifetimes=dict.fromkeys(("root_ca", "intermediate_ca", "device_identity"), FOREVER),
        pointers=Pointers(crl="http://crl.maker.local/1/7.crl", ocsp="http://ocsp.maker.local/"),
    )


def _long_name(plain: Tree) -> Case:
    """A hub with a name that stands in the SAN alone, critical, below an empty subject."""
    tree = replace(plain, levels=0, traits=frozenset({"empty subject"}))
    _, workload = tree.gateway(tree.root())
    return tree.end_entity(workload, "hub_server", "hub_server of a long name", hosts=(parse_host(LONG_HOST),))


def _rolled_over(plain: Tree, name: str) -> Case:
    """old root -> new root, cross-signed -> device CA -> workload CA -> hub, for those who trust the old root only"""
    tree = replace(plain, levels=0, traits=frozenset({"rolled over"}))
    old, new = tree.root(), tree.root(name)
    _, workload = tree.gateway(new)
    case = tree.end_entity(workload, "hub_server", f"hub_server below {name}", hosts=_HOSTS)
    request = CertificateRequest(public_key=new.key.public_key(), repeats=new.chain.leaf)
    link = old.prepare(profile("intermediate_ca"), request, now=plain.now, serial=_serial()).sign()
    return replace(case, chain=Chain((*case.chain.certificates[:-1], *link)), anchor=old.chain.leaf)


def _purpose(kind: Profile) -> str:
    if kind.ca:
        return "ca"
    if OCSP_SIGNING in kind.extended_key_usage:
        return "responder"
    return "server" if SERVER_AUTH in kind.extended_key_usage else "client"


def _serial() -> int:
    return secrets.randbits(158) | 1 << 157
