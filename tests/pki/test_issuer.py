"""Issuing: chains of every depth and key type before other people's verifiers, and every refusal by its code."""

from datetime import timedelta
from ipaddress import ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from leafward.errors import NameFormatError, RequestError, RuleViolation
from leafward.pki.admission import RSA_2048_ENDS
from leafward.pki.chain import Chain
from leafward.pki.names import HostName, parse_host
from leafward.pki.prepared import Prepared
from leafward.pki.profile import NO_REV_AVAIL
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.validity import FOREVER, NO_EXPIRY
from tests.pki.issuing import openssl_verify, pyca_verify, refused_code, server

END_ENTITIES = ("device_identity", "hub_server", "module_server", "module_identity", "leaf_device", "verification")
SERVERS = ("hub_server", "module_server")


# ---- other people's verifiers


@pytest.mark.parametrize("kind", END_ENTITIES)
@pytest.mark.parametrize("key_type", ["ec-p256", "ec-p384"])
@pytest.mark.parametrize("intermediates", [0, 1, 3])
def test_oracles(hierarchy, tmp_path: Path, intermediates: int, key_type: str, kind: str) -> None:
    """leaf <- [workload CA <-] device CA <- 0, 1 or 3 intermediates <- root: accepted, strictly."""
    made = hierarchy(intermediates, key_type)
    chain = made.issue(kind)
    expected = {"device_identity": 2, "leaf_device": 3, "verification": 3}.get(kind, 4) + intermediates
    assert len(chain) == expected
    purpose = "sslserver" if kind in SERVERS else "sslclient"
    assert openssl_verify(chain, tmp_path, "-purpose", purpose, at=made.now) == "OK"
    name = None if kind not in SERVERS else str(made.request(kind).hosts[0])
    assert pyca_verify(chain, made.now, name) == list(chain)


def test_oracles_with_rsa(hierarchy, tmp_path: Path) -> None:
    """RSA-2048 from the root down, and an RSA hub key, which gets keyEncipherment."""
    made = hierarchy(1, "rsa-2048")
    chain = made.issue("hub_server")
    assert openssl_verify(chain, tmp_path, "-verify_hostname", "gateway.example", at=made.now) == "OK"
    assert pyca_verify(chain, made.now, "192.0.2.7") == list(chain)
    usage = chain.leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    for kind, encrypts in (("module_server", True), ("leaf_device", False)):
        usage = made.issue(kind).leaf.extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.key_encipherment is encrypts


@pytest.mark.parametrize("host", ["gateway.example", "192.0.2.7", "edgehub"])
def test_each_name_of_the_hub(gateway, tmp_path: Path, host: str) -> None:
    chain = gateway.issue("hub_server")
    flag = "-verify_ip" if host[0].isdigit() else "-verify_hostname"
    assert openssl_verify(chain, tmp_path, flag, host, at=gateway.now) == "OK"
    assert "mismatch" in openssl_verify(chain, tmp_path, "-verify_hostname", "other.example", at=gateway.now)


@pytest.mark.parametrize("key_type", ["ed25519", "ml-dsa-44"])
def test_other_key_types_issue(hierarchy, key_type: str) -> None:
    made = hierarchy(0, key_type)
    options = {"now": made.now, "serial": hierarchy.serial(), "allow_post_quantum_server": True}
    chain = made.workload_ca.prepare(profile("hub_server"), made.request("hub_server"), **options).sign()
    assert Chain.ordered(chain.certificates) == chain
    assert chain.leaf.signature_hash_algorithm is None


def test_a_server_below_ml_dsa_is_refused_unless_asked_for(hierarchy) -> None:
    """root (ML-DSA) -> device CA -> workload CA -> hub: TLS 1.2 cannot verify it; a leaf device below is issued."""
    made = hierarchy(0, "ml-dsa-44")
    assert refused_code(lambda: made.issue("hub_server", hierarchy.key("ec-p256"))) == "post-quantum-chain"
    chain = made.issue("leaf_device")
    assert all(child.verify_directly_issued_by(above) is None for child, above in pairwise(chain))


def test_the_hash_goes_with_the_issuers_key(hierarchy) -> None:
    """P-256 leaf <- P-384 workload CA: SHA-384."""
    made = hierarchy(0, "ec-p384")
    leaf = made.issue("hub_server", hierarchy.key("ec-p256")).leaf
    assert leaf.signature_hash_algorithm.name == "sha384"


# ---- names


def test_a_long_hostname_stands_in_a_critical_san_alone(gateway, tmp_path: Path) -> None:
    host = ".".join(["a" * 40, "b" * 40, "example"])
    chain = gateway.issue("hub_server", hosts=(parse_host(host),), extra_dns=())
    san = chain.leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert san.critical
    assert list(san.value) == [x509.DNSName(host)]
    assert chain.leaf.subject == x509.Name([])
    assert openssl_verify(chain, tmp_path, "-verify_hostname", host, at=gateway.now) == "OK"
    assert pyca_verify(chain, gateway.now, host) == list(chain)


def test_a_hostname_of_64_characters_is_the_common_name(gateway) -> None:
    host = "a" * 60 + ".com"
    leaf = gateway.issue("hub_server", hosts=(parse_host(host),)).leaf
    assert leaf.subject.rfc4514_string() == f"CN={host}"
    assert not leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_an_address_as_hostname(gateway) -> None:
    leaf = gateway.issue("hub_server", hosts=(parse_host("192.0.2.9"),), extra_dns=()).leaf
    san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(san) == [x509.IPAddress(ip_address("192.0.2.9"))]


def test_names_given_twice_stand_once(gateway) -> None:
    leaf = gateway.issue("hub_server", hosts=(HostName("edgehub"), HostName("edgehub")), extra_dns=("EdgeHub",)).leaf
    assert len(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == 1


@pytest.mark.parametrize(
    ("kind", "changes", "error"),
    [
        ("hub_server", {"hosts": ()}, RuleViolation),
        ("hub_server", {"serial_number": "1"}, RequestError),
        ("hub_server", {"uris": ("azureiot://x",)}, RequestError),
        ("hub_server", {"common_name": "other.example"}, RequestError),
        ("hub_server", {"extra_dns": ("192.0.2.1",)}, RuleViolation),
        ("hub_server", {"extra_dns": ("*.example",)}, NameFormatError),
        ("hub_server", {"asks_for_ca": True}, RequestError),
        ("module_identity", {"uris": ()}, RequestError),
        ("module_identity", {"uris": ("no uri",)}, RequestError),
        ("module_identity", {"uris": ("azureiot://ü",)}, RequestError),
        ("leaf_device", {"hosts": (HostName("pump"),)}, RequestError),
        ("leaf_device", {"common_name": None}, RequestError),
        ("leaf_device", {"common_name": "p" * 65}, RuleViolation),
        ("leaf_device", {"common_name": " pump"}, NameFormatError),
        ("device_identity", {"serial_number": None}, RequestError),
        ("device_identity", {"serial_number": "a_b"}, NameFormatError),
    ],
)
def test_fields_that_a_profile_does_not_have_or_needs(gateway, kind: str, changes: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        gateway.issue(kind, **changes)


def test_a_request_for_a_ca_gets_one_where_the_profile_is_one(gateway, hierarchy) -> None:
    key = hierarchy.key("ec-p256")
    asked = CertificateRequest(public_key=key.public_key(), common_name="plant.ca", asks_for_ca=True)
    gateway.intermediates[0].prepare(profile("device_ca"), asked, now=gateway.now, serial=hierarchy.serial()).sign()


# ---- time


def test_nothing_outlives_its_issuer(hierarchy) -> None:
    """root (40 d) -> intermediate -> device CA -> workload CA -> hub: all end with the root."""
    root = hierarchy.root(lifetime=timedelta(days=40))
    key = hierarchy.key("ec-p256")
    device = hierarchy.ca(root, "device_ca", key, "gateway.ca")
    workload = hierarchy.ca(device, "workload_ca", lifetime=timedelta(days=5000))
    later = hierarchy.now + timedelta(days=30)
    hub = workload.prepare(profile("hub_server"), server(), now=later, serial=hierarchy.serial()).sign()
    assert {one.not_valid_after_utc for one in hub} == {hierarchy.now + timedelta(days=40)}
    assert hub.leaf.not_valid_before_utc == later - timedelta(hours=1)


def test_not_before_is_never_before_the_issuers(hierarchy) -> None:
    root = hierarchy.root()
    soon = hierarchy.now - timedelta(minutes=50)  # ten minutes into the root's life
    device = hierarchy.ca(root, "device_ca", None, "gateway.ca", soon)
    assert device.chain.leaf.not_valid_before_utc == root.chain.leaf.not_valid_before_utc


def test_a_certificate_ends_with_the_first_of_its_chain(hierarchy, gateway) -> None:
    """A device CA from elsewhere that outlives its root is refused; ours cannot be made."""
    key = hierarchy.key("ec-p256")
    after = gateway.root.chain.leaf.not_valid_after_utc + timedelta(seconds=1)
    request = CertificateRequest(public_key=key.public_key(), common_name="late.ca")
    code = refused_code(
        lambda: gateway.root.prepare(profile("device_ca"), request, now=after, serial=hierarchy.serial())
    )
    assert code == "certificate-expired"
    before = gateway.root.chain.leaf.not_valid_before_utc - timedelta(seconds=1)
    code = refused_code(
        lambda: gateway.root.prepare(profile("device_ca"), request, now=before, serial=hierarchy.serial())
    )
    assert code == "certificate-not-yet-valid"


@pytest.mark.parametrize(("left", "refused"), [(300, True), (299, True), (301, False)])
def test_a_device_ca_with_five_minutes_left(hierarchy, gateway, left: int, refused: bool) -> None:
    now = gateway.device_ca.chain.leaf.not_valid_after_utc - timedelta(seconds=left)
    request = CertificateRequest(public_key=hierarchy.key("ec-p256").public_key())

    def prepare() -> Prepared:
        return gateway.device_ca.prepare(profile("workload_ca"), request, now=now, serial=hierarchy.serial())

    if refused:
        assert refused_code(prepare) == "device-ca-expiring"
    else:
        assert prepare().sign().leaf.not_valid_after_utc == gateway.device_ca.chain.leaf.not_valid_after_utc


def test_a_root_and_a_device_identity_may_live_for_ever(hierarchy) -> None:
    root = hierarchy.root(lifetime=FOREVER)
    assert root.chain.leaf.not_valid_after_utc == NO_EXPIRY
    key = hierarchy.key("ec-p256")
    asked = CertificateRequest(public_key=key.public_key(), common_name="gateway-7", serial_number="7")
    options = {"now": hierarchy.now, "serial": hierarchy.serial(), "lifetime": FOREVER}
    assert root.prepare(profile("device_identity"), asked, **options).sign().leaf.not_valid_after_utc == NO_EXPIRY
    leaf = CertificateRequest(public_key=key.public_key(), common_name="pump-7")
    assert refused_code(lambda: root.prepare(profile("leaf_device"), leaf, **options)) == "lifetime-invalid"


@pytest.mark.parametrize(("days", "expected"), [(7, True), (8, False)])
def test_no_rev_avail_up_to_seven_days(gateway, days: int, expected: bool) -> None:
    leaf = gateway.issue("hub_server", lifetime=timedelta(days=days)).leaf
    assert any(extension.oid == NO_REV_AVAIL for extension in leaf.extensions) is expected


def test_rsa_2048_does_not_live_past_2030(hierarchy, gateway) -> None:
    key = hierarchy.key("rsa-2048", "hub")
    now = RSA_2048_ENDS - timedelta(days=30)
    request = server(key)

    def prepare(lifetime: timedelta, **more: Any) -> Prepared:
        return gateway.device_ca.prepare(
            profile("leaf_device"),
            CertificateRequest(public_key=request.public_key, common_name="pump-7"),
            now=now,
            serial=hierarchy.serial(),
            lifetime=lifetime,
            **more,
        )

    assert prepare(timedelta(days=30)).sign().leaf.not_valid_after_utc == RSA_2048_ENDS
    assert refused_code(lambda: prepare(timedelta(days=31))) == "key-past-its-date"
    assert prepare(timedelta(days=31), allow_rsa_2048_after_2030=True).sign()
    with pytest.raises(RuleViolation):
        hierarchy.root(key)
