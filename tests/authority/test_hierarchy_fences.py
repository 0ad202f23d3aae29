"""A device CA fenced to its site: a stolen gateway cannot speak for another. openssl, pyca and our own issuer agree."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leafward.authority.delivery import deliver
from leafward.authority.device_pair import Identity, deliver_device
from leafward.authority.elsewhere import Limits
from leafward.authority.issuance import Issuance
from leafward.errors import NameFormatError, RequestError, RuleViolation
from leafward.keys.key_store import KeyReference, open_key
from leafward.keys.serial import new_serial
from leafward.pki.chain import Chain
from leafward.pki.constraints import fence, parse_permitted_dns, parse_permitted_ip, parse_policy, policies_of
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import parse_key_type
from leafward.pki.names import HostName, parse_host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.validity import FOREVER, NO_EXPIRY
from leafward.pki.verify import verify
from tests.authority.hierarchy_tools import P256, intermediate, new_key, now, openssl_verify, root
from tests.pki.chain_forge import Party, server
from tests.pki.issuing import pyca_verify

SITE = Limits(permit_dns=("site7.example",), permit_ip=(parse_permitted_ip("10.7.0.0/16"),))
DNS_ONLY = Limits(permit_dns=("site7.example",))
IP_ONLY = Limits(permit_ip=(parse_permitted_ip("10.7.0.0/16"), parse_permitted_ip("2001:db8:7::/48")))


@pytest.fixture
def issuance(tmp_path: Path) -> Iterator[Issuance]:
    with Issuance(tmp_path / "maker") as made:
        yield made


@pytest.fixture
def gateway(issuance: Issuance, tmp_path: Path):
    """`gateway(limits) -> Issuer` of a workload CA: root -> Factory -> gw.ca (fenced) -> workload CA."""

    def make(limits: Limits) -> Issuer:
        factory = intermediate(issuance, "Factory", root(issuance))
        chain = deliver(
            issuance, "device_ca", "gw.ca", P256, tmp_path / "gw", now=now(), issuer=factory, limits=limits
        ).chain
        key = new_key()
        above = Issuer(chain, open_key(KeyReference("file", str(tmp_path / "gw" / "key.pem"))))
        request = CertificateRequest(public_key=key.public_key())
        return Issuer(above.prepare(profile("workload_ca"), request, now=now(), serial=new_serial()).sign(), key)

    return make


def hub(workload: Issuer, *hosts: str) -> Chain:
    request = CertificateRequest(public_key=new_key().public_key(), hosts=tuple(map(parse_host, hosts)))
    return workload.prepare(profile("hub_server"), request, now=now(), serial=new_serial()).sign()


def forged_hub(workload: Issuer, *hosts: str) -> Chain:
    """What a thief signs with the stolen keys, without our issuer to refuse it."""
    line: Party | None = None
    for certificate in reversed(workload.chain.certificates):
        line = Party(certificate, workload.key, line)
    assert line is not None
    leaf = line.certificate
    return server(line, *hosts, not_before=leaf.not_valid_before_utc, not_after=leaf.not_valid_after_utc).chain


@pytest.mark.parametrize(
    ("limits", "hosts"),
    [
        (SITE, ["gw.site7.example"]),
        (SITE, ["site7.example", "10.7.1.2"]),
        (SITE, ["10.7.1.2"]),
        (DNS_ONLY, ["deep.below.site7.example"]),
        (IP_ONLY, ["10.7.1.2"]),
        (IP_ONLY, ["2001:db8:7::1"]),
    ],
)
def test_inside_the_fence(gateway, tmp_path: Path, limits: Limits, hosts: list[str]) -> None:
    """root -> Factory -> device CA (fenced) -> workload CA -> hub inside: **valid** everywhere"""
    chain = hub(gateway(limits), *hosts)
    assert openssl_verify(tmp_path, chain.top, chain) == "OK"
    assert verify(chain, [chain.top], now=now(), name=parse_host(hosts[0])).valid
    if all(isinstance(parse_host(host), HostName) for host in hosts):
        pyca_verify(chain, now(), hosts[0])


@pytest.mark.parametrize(
    ("limits", "hosts"),
    [
        (SITE, ["gw.site8.example"]),
        (SITE, ["gw.site7.example", "gw.site8.example"]),
        (SITE, ["evilsite7.example"]),
        (SITE, ["10.8.1.2"]),
        (SITE, ["2001:db8::1"]),
        (DNS_ONLY, ["10.7.1.2"]),
        (IP_ONLY, ["gw.site7.example"]),
        (IP_ONLY, ["10.8.0.1"]),
    ],
)
def test_outside_of_the_fence(gateway, tmp_path: Path, limits: Limits, hosts: list[str]) -> None:
    """root -> Factory -> device CA (fenced) -> workload CA -> hub outside: **refused** by issue, openssl and pyca"""
    workload = gateway(limits)
    with pytest.raises(RuleViolation) as refused:
        hub(workload, *hosts)
    assert refused.value.code == "name-constraint-violated"
    stolen = forged_hub(workload, *hosts)
    assert "subtree violation" in openssl_verify(tmp_path, stolen.top, stolen)
    with pytest.raises(x509.verification.VerificationError):
        pyca_verify(stolen, now(), hosts[-1])
    assert verify(stolen, [stolen.top], now=now(), name=parse_host(hosts[0])).rule == "name-constraint-violated"


def test_a_leaf_whose_name_looks_like_another_sites_host(gateway, issuance: Issuance, tmp_path: Path) -> None:
    """OpenSSL takes a common name with dots for a DNS name: refused outside, issued inside or without dots."""
    gateway(DNS_ONLY)
    chain = Chain.from_pem((tmp_path / "gw" / "certificate.pem").read_bytes())
    issuer = Issuer(chain, open_key(KeyReference("file", str(tmp_path / "gw" / "key.pem"))))
    for name, inside in (("pump-7", True), ("pump.site7.example", True), ("pump.site8.example", False)):
        request = CertificateRequest(public_key=new_key().public_key(), common_name=name)
        if inside:
            leaf = issuer.prepare(profile("leaf_device"), request, now=now(), serial=new_serial()).sign()
            assert openssl_verify(tmp_path, leaf.top, leaf) == "OK"
        else:
            with pytest.raises(RuleViolation, match="site7"):
                issuer.prepare(profile("leaf_device"), request, now=now(), serial=new_serial())


def test_the_fence_is_critical(gateway) -> None:
    found = gateway(SITE).chain.certificates[1].extensions.get_extension_for_class(x509.NameConstraints)
    assert found.critical


def test_a_root_and_a_leaf_have_no_fence(issuance: Issuance) -> None:
    top = root(issuance)
    request = SITE.on(CertificateRequest(public_key=new_key().public_key(), common_name="pump-7"))
    with pytest.raises(RequestError, match="name constraints"):
        issuance.issue(profile("leaf_device"), request, now=now(), issuer=top)


@pytest.mark.parametrize("text", ["*.site7.example", ".site7.example", "10.7.0.1", "a b", "", "site_7.example"])
def test_what_is_no_permitted_name(text: str) -> None:
    with pytest.raises(NameFormatError):
        parse_permitted_dns(text)


@pytest.mark.parametrize("text", ["10.7.0.1/16", "10.7.0.0/33", "site7.example", ""])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(NameFormatError) as refused:
        parse_permitted_ip(text)
    assert "10.7.0.0/16" in (refused.value.hint or "")


def test_no_limits_are_no_fence() -> None:
    assert fence((), ()) is None


# ---- policies


def test_policies_reach_from_the_intermediate_to_the_hub(gateway, issuance: Issuance, tmp_path: Path) -> None:
    """A policy counts only where every certificate has it: what names none has its issuer's. openssl checks it."""
    oid = "1.3.6.1.4.1.99999.7"
    limits = Limits(policies=(parse_policy(oid),))
    top = root(issuance)
    factory = issuance.intermediate("Factory", P256, now=now(), issuer=top, limits=limits)
    chain = deliver(issuance, "device_ca", "gw.ca", P256, tmp_path / "gw", now=now(), issuer=factory).chain
    key = new_key()
    above = Issuer(chain, open_key(KeyReference("file", str(tmp_path / "gw" / "key.pem"))))
    request = CertificateRequest(public_key=key.public_key())
    workload = Issuer(above.prepare(profile("workload_ca"), request, now=now(), serial=new_serial()).sign(), key)
    found = hub(workload, "gw.example")
    assert [len(policies_of(one)) for one in found] == [1, 1, 1, 1, 0]
    options = ("-policy", oid, "-explicit_policy", "-policy_check")
    assert openssl_verify(tmp_path, found.top, found, *options) == "OK"
    assert "error 43" in openssl_verify(
        tmp_path, found.top, found, "-policy", "1.2.3", *options[2:], "-explicit_policy"
    )


def test_a_policy_that_the_issuer_has_not_is_void_and_refused(issuance: Issuance, tmp_path: Path) -> None:
    mine, other = Limits(policies=(parse_policy("1.2.3.1"),)), Limits(policies=(parse_policy("1.2.3.2"),))
    factory = issuance.intermediate("Factory", P256, now=now(), issuer=root(issuance), limits=mine)
    with pytest.raises(RuleViolation) as refused:
        deliver(issuance, "device_ca", "gw.ca", P256, tmp_path / "gw", now=now(), issuer=factory, limits=other)
    assert refused.value.code == "policy-not-nested"
    assert not (tmp_path / "gw").exists()


@pytest.mark.parametrize("text", ["", "1", "1.2.", "3.1", "1.2.x", "2.5.29.32.0.0.0.00"])
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(NameFormatError):
        parse_policy(text)


# ---- the identity beside the device CA


def test_a_device_ca_with_its_identity(issuance: Issuance, tmp_path: Path) -> None:
    """root (no end) -> gw.ca and beside it gw.ca's IDevID, serial number SN7, without an end (IEEE 802.1AR)"""
    top = issuance.root("Maker Root", P256, now=now(), lifetime=FOREVER)
    identity = Identity(P256, "SN7", FOREVER)
    device, made = deliver_device(issuance, "gw.ca", P256, identity, tmp_path / "gw", now=now(), issuer=top)
    leaf = made.chain.leaf
    assert made.chain.issuers == device.chain.issuers
    assert leaf.not_valid_after_utc == NO_EXPIRY
    assert leaf.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)[0].value == "SN7"
    assert list(leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert made.certificate == tmp_path / "gw" / "identity" / "certificate.pem"
    assert openssl_verify(tmp_path, top.chain.leaf, made.chain, "-purpose", "sslclient") == "OK"


def test_a_refused_identity_leaves_no_device_ca(issuance: Issuance, tmp_path: Path) -> None:
    identity = Identity(P256, "no ümlauts", None)
    with pytest.raises(NameFormatError):
        deliver_device(issuance, "gw.ca", P256, identity, tmp_path / "gw", now=now(), issuer=root(issuance))
    assert not (tmp_path / "gw").exists()
    assert issuance.ledger.inventory.living("device_ca", "gw.ca", now()) is None


# ---- post-quantum


@pytest.mark.parametrize("name", ["ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_a_post_quantum_hierarchy(issuance: Issuance, tmp_path: Path, name: str) -> None:
    """root -> Factory -> gw.ca -> pump-7, all ML-DSA (RFC 9881): every signature verifies; a hub below is refused"""
    kind = parse_key_type(name)
    top = issuance.root("Maker Root", kind, now=now())
    factory = issuance.intermediate("Factory", kind, now=now(), issuer=top)
    device = deliver(issuance, "device_ca", "gw.ca", kind, tmp_path / "gw", now=now(), issuer=factory).chain
    issuer = Issuer(device, open_key(KeyReference("file", str(tmp_path / "gw" / "key.pem"))))
    request = CertificateRequest(public_key=issuer.key.public_key(), common_name="pump-7")
    leaf = issuer.prepare(profile("leaf_device"), request, now=now(), serial=new_serial()).sign()
    for child, above in pairwise(leaf):
        child.verify_directly_issued_by(above)
    assert Issuance(issuance.folder).authorities.get("factory").chain == factory.chain
    key = new_key()
    below = CertificateRequest(public_key=key.public_key())
    workload = Issuer(issuer.prepare(profile("workload_ca"), below, now=now(), serial=new_serial()).sign(), key)
    with pytest.raises(RuleViolation, match=r"TLS 1\.2") as refused:
        hub(workload, "gw.example")
    assert refused.value.code == "post-quantum-chain"
