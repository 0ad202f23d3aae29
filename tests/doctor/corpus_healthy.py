"""Healthy chains, of every kind that this field has: none of them may be called broken.

What is allowed to be found is said with each: the convenience scripts write no SAN, IoT Edge gives every certificate
the serial number 0.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.pki.profiles import PROFILES
from tests.doctor.corpus import Broken
from tests.pki.chain_forge import (
    CLIENT,
    HOST,
    NOW,
    SERVER,
    Party,
    ca,
    client,
    issue,
    key,
    root,
    san,
    server,
    usage,
    with_serial,
)
from tests.pki.conftest import Factory

DAY = timedelta(days=1)
_EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
_SCRIPTS_CA = usage("digital_signature", "crl_sign", "key_cert_sign")
_DAEMON_CA = usage("digital_signature", "key_cert_sign")
_DAEMON_SERVER = usage(
    "content_commitment", "digital_signature", "key_encipherment", "data_encipherment", "key_agreement"
)
_PURPOSES = {
    "leaf_device": "client",
    "device_identity": "client",
    "module_identity": "client",
    "verification": "client",
}


def cases() -> Iterator[Broken]:
    """All of them; `found` is what may be found beside, and nothing else may."""
    yield from _profiles()
    yield from _scripts()
    yield from _edge_1_0()
    yield from _edge_1_2()
    yield from _layouts()


def _good(name: str, hub: Party, *may_be_found: str, **more: Any) -> Broken:
    sent = tuple(hub.line[:-1]) if len(hub.line) > 1 else tuple(hub.line)
    return Broken(f"healthy: {name}", sent, (hub.root,), None, may_be_found, **more)


def _profiles() -> Iterator[Broken]:
    """Every end-entity profile of ours, below hierarchies of several depths and keys."""
    factory = Factory()
    for intermediates, key_type in ((0, "ec-p256"), (1, "ec-p384"), (3, "ec-p256"), (1, "rsa-2048"), (1, "ed25519")):
        hierarchy = factory(intermediates, key_type)
        for kind, profile in PROFILES.items():
            if profile.ca or kind == "ocsp_responder":
                continue
            purpose = _PURPOSES.get(kind, "server")
            chain = hierarchy.issue(kind, key(kind))
            yield Broken(
                f"healthy: {kind}, {intermediates} intermediates, {key_type}",
                chain.certificates,
                (chain.top,),
                None,
                ("key-past-its-date",) if key_type == "rsa-2048" else (),
                host=None,
                purpose=purpose,
                now=hierarchy.now,
            )


def _scripts() -> Iterator[Broken]:
    """What certGen.sh makes, with RSA-2048 in place of 4096: no pathlen, no SAN on servers, thirty days."""
    ours: dict[str, Any] = {"key_usage": _SCRIPTS_CA, "not_after": NOW + 29 * DAY}
    top = root("Azure_IoT_Hub_CA_Cert_Test_Only", own_key=key("scripts 1", "rsa-2048"), **ours)
    between = ca("Azure_IoT_Hub_Intermediate_Cert_Test_Only", top, own_key=key("scripts 2", "rsa-2048"), **ours)
    device = ca("gateway.ca", between, own_key=key("scripts 3", "rsa-2048"), **ours)
    uses = usage("content_commitment", "digital_signature", "key_encipherment")
    leaf = client(between, "pump-7", key_usage=uses, eku=[CLIENT, _EMAIL], not_after=NOW + 29 * DAY)
    marked = ("development-certificate",)
    yield _good("a device of the scripts", leaf, *marked, purpose="client", host=None)
    plain = issue(HOST, between, key_usage=usage("digital_signature", "key_encipherment"), eku=[SERVER])
    yield _good("a server of the scripts", plain, "san-missing", "outlives-issuer", *marked)
    hub = _daemon_hub(ca("iotedged workload ca", device, 0, key_usage=_DAEMON_CA, not_after=NOW + 20 * DAY))
    yield _good("a hub below the scripts' device CA", hub, *marked)


def _daemon_hub(workload: Party, **more: Any) -> Party:
    """The hub's certificate as IoT Edge 1.0 and 1.1 write it."""
    special = {"key_usage": _DAEMON_SERVER, "bc_critical": False, "not_after": NOW + 10 * DAY, **more}
    return server(workload, HOST, "edgehub", **special)


def _edge_1_0() -> Iterator[Broken]:
    """Quickstart: owner CA (pathlen 3) -> device CA (2) -> workload CA (0) -> hub."""
    long = {"key_usage": _DAEMON_CA, "not_after": NOW + 80 * DAY}
    owner = root("Test Edge Owner CA", path_length=3, own_key=key("owner", "rsa-2048"), **long)
    device = ca("Test Edge Device CA", owner, 2, own_key=key("device", "rsa-2048"), **long)
    workload = ca("iotedged workload ca", device, 0, own_key=key("workload", "rsa-2048"), **long)
    yield _good("IoT Edge 1.0 quickstart", _daemon_hub(workload), "development-certificate")
    of_a_maker = ca("iotgateway.ca", root("Maker Root"), 1)
    workload = ca("iotedged workload ca", of_a_maker, 0, key_usage=_DAEMON_CA, not_after=NOW + 25 * DAY)
    yield _good("IoT Edge 1.1 below a maker's device CA", _daemon_hub(workload))


def _edge_1_2() -> Iterator[Broken]:
    """No workload CA: the Edge CA (pathlen 0) signs the hub; serial numbers are never set."""
    numbers = ("serial-invalid", "duplicate-serial")
    long = {"key_usage": _DAEMON_CA, "not_after": NOW + 80 * DAY}
    quick = with_serial(root("aziot-edge CA gateway-7", path_length=0, **long), 0)
    hub = with_serial(server(quick, HOST, "edgeHub", not_after=NOW + 20 * DAY), 0)
    yield _good("IoT Edge 1.4 quickstart", hub, "development-certificate", *numbers)
    edge_ca = with_serial(ca("iotedged workload ca gateway-7", root("Maker Root 2"), 0, key_usage=_DAEMON_CA), 0)
    hub = with_serial(server(edge_ca, HOST, "edgeHub", not_after=NOW + 20 * DAY), 0)
    yield _good("IoT Edge 1.2 below a maker's root", hub, *numbers)
    names = x509.SubjectAlternativeName([*san("192.0.2.7"), x509.DNSName("edgeHub")])
    hub = server(edge_ca, names=names, subject="192.0.2.7", not_after=NOW + 20 * DAY)
    yield _good("IoT Edge 1.2 with an address", hub, *numbers, host="192.0.2.7")


def _layouts() -> Iterator[Broken]:
    """What is sent in other ways than the usual one."""
    hub = server(ca("gw.ca", root(), 1))
    yield _good("a server below a device CA", hub)
    yield Broken("healthy: with its root", tuple(hub.line), (hub.root,), None)
    yield _good("a server below a root", server(root()))
    others = tuple(root(f"Root {number}").certificate for number in range(20))
    yield Broken("healthy: a system's bundle", tuple(hub.line[:-1]), (*others, hub.root), None)
    wild = server(root(), "*.plant.example", subject="any")
    yield Broken("healthy: a wildcard", tuple(wild.line), (wild.root,), None, host="gw.plant.example")
    several = server(root(), "other.local", HOST, "192.0.2.7")
    yield Broken("healthy: several names", tuple(several.line), (several.root,), None, host="192.0.2.7")
    nameless = server(root(), HOST, subject=x509.Name([]))
    yield Broken("healthy: no subject", tuple(nameless.line), (nameless.root,), None)
    old = root(not_after=NOW + 20 * DAY)
    new = root(own_key=old.key, not_after=NOW + 30 * DAY)
    yield Broken("healthy: a root that was issued again", tuple(server(old).line), (new.certificate,), None)
