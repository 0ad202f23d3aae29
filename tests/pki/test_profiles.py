"""Every profile, field by field: the table of `certificates` written a second time, against real certificates."""

import dataclasses
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from leafward.errors import UsageError
from leafward.pki.chain import Chain
from leafward.pki.profile import NO_REV_AVAIL, Presence
from leafward.pki.profiles import PROFILES, profile
from leafward.pki.validity import BACKDATE

DAY = timedelta(days=1)
YEAR = timedelta(days=365)
DNS, ADDRESS, URI = x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier
CA_USAGE = {"key_cert_sign", "crl_sign"}
END_USAGE = {"digital_signature"}

# kind: (signed by, CN, lifetime, CA, path length, key usage, EKU, SAN, noRevAvail)
TABLE = {
    "root_ca": ("root_ca", "Test Root CA", 20 * YEAR + 5 * DAY, True, None, CA_USAGE, None, None, False),
    "intermediate_ca": (
        "root_ca",
        "Test Intermediate CA 0",
        10 * YEAR + 2 * DAY,
        True,
        2,
        CA_USAGE,
        None,
        None,
        False,
    ),
    "device_ca": ("intermediate_ca", "gateway.ca", 10 * YEAR + 2 * DAY, True, 1, CA_USAGE, None, None, False),
    "workload_ca": ("device_ca", "iotedge workload ca", YEAR, True, 0, CA_USAGE, None, None, False),
    "device_identity": (
        "intermediate_ca",
        "gateway-7",
        10 * YEAR + 2 * DAY,
        False,
        None,
        END_USAGE,
        Eku.CLIENT_AUTH,
        None,
        False,
    ),
    "hub_server": (
        "workload_ca",
        "gateway.example",
        30 * DAY,
        False,
        None,
        END_USAGE,
        Eku.SERVER_AUTH,
        [(DNS, "gateway.example"), (ADDRESS, "192.0.2.7"), (DNS, "edgehub")],
        False,
    ),
    "module_server": (
        "workload_ca",
        "filter",
        30 * DAY,
        False,
        None,
        END_USAGE,
        Eku.SERVER_AUTH,
        [(DNS, "filter")],
        False,
    ),
    "module_identity": (
        "workload_ca",
        "filter",
        DAY / 12,
        False,
        None,
        END_USAGE,
        Eku.CLIENT_AUTH,
        [(URI, "azureiot://hub.example/devices/gateway-7/modules/filter")],
        True,
    ),
    "leaf_device": ("device_ca", "pump-7", YEAR, False, None, END_USAGE, Eku.CLIENT_AUTH, None, False),
    "verification": (
        "device_ca",
        "0123456789ABCDEF",
        DAY,
        False,
        None,
        END_USAGE,
        Eku.CLIENT_AUTH,
        None,
        True,
    ),
    "authority_server": (
        "intermediate_ca",
        "est.example",
        30 * DAY,
        False,
        None,
        END_USAGE,
        (Eku.SERVER_AUTH, x509.ObjectIdentifier("1.3.6.1.5.5.7.3.28")),
        [(DNS, "est.example")],
        False,
    ),
    "ocsp_responder": (
        "intermediate_ca",
        "OCSP responder",
        14 * DAY,
        False,
        None,
        END_USAGE,
        Eku.OCSP_SIGNING,
        None,
        False,
    ),
}


@pytest.fixture(scope="module")
def chains(gateway) -> dict[str, Chain]:
    """One certificate of each kind, by its usual issuer."""
    cas = {
        "root_ca": gateway.root.chain,
        "intermediate_ca": gateway.intermediates[0].chain,
        "device_ca": gateway.device_ca.chain,
        "workload_ca": gateway.workload_ca.chain,
    }
    return {kind: cas.get(kind) or gateway.issue(kind) for kind in TABLE}


def value(certificate: x509.Certificate, kind: type):
    """(value, critical) of an extension; None where it is absent."""
    try:
        found = certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
    return found.value, found.critical


def test_the_table_has_every_kind() -> None:
    assert set(TABLE) == set(PROFILES)
    assert all(PROFILES[kind].kind == kind for kind in PROFILES)


@pytest.mark.parametrize("kind", TABLE)
def test_names_and_lifetime(chains, gateway, kind: str) -> None:
    by, name, lifetime, *_ = TABLE[kind]
    leaf = chains[kind].leaf
    assert leaf.version is x509.Version.v3
    assert leaf.subject.rfc4514_string().split(",")[-1] == f"CN={name}"
    issuer = chains[kind].certificates[min(1, len(chains[kind]) - 1)]
    assert issuer == chains[by].leaf
    assert leaf.issuer.public_bytes() == issuer.subject.public_bytes()
    assert leaf.not_valid_before_utc == gateway.now - BACKDATE
    assert leaf.not_valid_after_utc == gateway.now + lifetime
    assert 16 <= (leaf.serial_number.bit_length() + 8) // 8 <= 20
    assert leaf.signature_hash_algorithm.name == "sha256"


@pytest.mark.parametrize("kind", TABLE)
def test_basic_constraints_and_key_usage(chains, kind: str) -> None:
    _, _, _, ca, length, usage, *_ = TABLE[kind]
    leaf = chains[kind].leaf
    assert value(leaf, x509.BasicConstraints) == (x509.BasicConstraints(ca, length), True)
    got, critical = value(leaf, x509.KeyUsage)
    names = [name.removeprefix("_") for name in vars(x509.KeyUsage) if not name.startswith("__")]
    on = {name for name in names if isinstance(getattr(x509.KeyUsage, name, None), property)} - {
        "encipher_only",
        "decipher_only",
    }
    assert critical
    assert {name for name in on if getattr(got, name)} == usage


@pytest.mark.parametrize("kind", TABLE)
def test_purpose_and_alternative_names(chains, kind: str) -> None:
    *_, eku, san, _ = TABLE[kind]
    leaf = chains[kind].leaf
    usages = eku if isinstance(eku, tuple) else (eku,)
    assert value(leaf, x509.ExtendedKeyUsage) == (None if eku is None else (x509.ExtendedKeyUsage(usages), False))
    got = value(leaf, x509.SubjectAlternativeName)
    assert (got and ([(type(name), str(name.value)) for name in got[0]], got[1])) == (san and (san, False))


@pytest.mark.parametrize("kind", TABLE)
def test_identifiers(chains, kind: str) -> None:
    """AKI(keyid) of the child is the SKI of its issuer; both are there, everywhere, and not critical."""
    chain = chains[kind]
    issuer = chain.certificates[min(1, len(chain) - 1)]
    ski, ski_critical = value(chain.leaf, x509.SubjectKeyIdentifier)
    aki, aki_critical = value(chain.leaf, x509.AuthorityKeyIdentifier)
    assert ski == x509.SubjectKeyIdentifier.from_public_key(chain.leaf.public_key())
    assert aki.key_identifier == value(issuer, x509.SubjectKeyIdentifier)[0].digest
    assert (aki.authority_cert_issuer, aki.authority_cert_serial_number) == (None, None)
    assert not ski_critical
    assert not aki_critical


@pytest.mark.parametrize("kind", TABLE)
def test_no_rev_avail_only_where_short_lived(chains, kind: str) -> None:
    expected = TABLE[kind][-1]
    found = [extension for extension in chains[kind].leaf.extensions if extension.oid == NO_REV_AVAIL]
    assert bool(found) is expected
    for extension in found:
        assert (extension.critical, extension.value.value) == (False, b"\x05\x00")


@pytest.mark.parametrize("kind", TABLE)
def test_nothing_beside_the_table(chains, kind: str) -> None:
    """Each extension in the certificate has its row, each row that must be there is there, criticality as written."""
    rows = {row.oid: row for row in PROFILES[kind].extensions}
    found = {extension.oid: extension.critical for extension in chains[kind].leaf.extensions}
    assert set(found) <= set(rows)
    assert {oid for oid, row in rows.items() if row.presence is Presence.REQUIRED} <= set(found)
    assert all(rows[oid].critical is critical for oid, critical in found.items())


def test_the_serial_number_of_a_device_identity(chains) -> None:
    assert chains["device_identity"].leaf.subject.rfc4514_string() == "2.5.4.5=SN-0007,CN=gateway-7"


def test_a_profile_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile("root_ca").ca = False  # type: ignore[misc]
    with pytest.raises(TypeError):
        PROFILES["other"] = profile("root_ca")  # type: ignore[index]


def test_an_unknown_kind_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError) as refused:
        profile("server")
    assert "hub_server" in (refused.value.hint or "")


def test_every_signer_is_a_ca_profile() -> None:
    for one in PROFILES.values():
        assert one.signed_by
        assert all(PROFILES[kind].ca for kind in one.signed_by)
