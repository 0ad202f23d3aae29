"""Who is admitted and who is not: by certificate, by symmetric key, individually and by group.

root A ── intermediate ── device CA ── leaves          root B: the same names, other keys
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.provisioning.admission import Credential
from leafward.provisioning.enrolling import register_ca
from leafward.store.enrolments import CaReferences, Certificates
from tests.hub.hub_certificates import Held, make
from tests.provisioning.world import HUB, Maker, World, by_certificate, group_by_device_ca, refused, world

# ---- by certificate, in a group


async def test_a_group_by_the_device_ca(here: World, ours: Maker) -> None:
    """Verified root, group by device CA: leaf -> device CA -> intermediate is admitted, and the hub knows it."""
    group_by_device_ca(here, ours)
    state = await here.register("Pump-7", by_certificate(ours.leaf("Pump-7")))
    assert (state.status, state.assigned_hub, state.device_id) == ("assigned", HUB, "Pump-7")
    assert state.substatus == "initialAssignment"
    assert state.result == {"x509": {"enrollmentGroupId": "line"}}
    identity = here.registry.get("Pump-7")
    assert identity is not None
    assert (identity.auth, identity.enabled, identity.primary_thumbprint) == ("x509-ca", True, None)


async def test_a_chain_that_does_not_open_the_hub(here: World, ours: Maker) -> None:
    """The hub knows nothing of that CA: the device is known to it by its thumbprint."""
    group_by_device_ca(here, ours)
    leaf = ours.leaf("pump-7")
    await here.register("pump-7", by_certificate(leaf, opens_hub=False))
    identity = here.registry.get("pump-7")
    assert identity is not None
    assert identity.auth == "x509-thumbprint"
    assert identity.primary_thumbprint == leaf.leaf.fingerprint(leaf.leaf.signature_hash_algorithm).hex()


async def test_it_admits_no_others_of_the_hierarchy(here: World, ours: Maker) -> None:
    """A leaf of the intermediate, and one of another device CA of the same name below it: not of this group."""
    group_by_device_ca(here, ours)
    beside = make("device.ca", ours.intermediate, ca=True)
    for leaf in (ours.leaf("pump-7", issuer=ours.intermediate), ours.leaf("pump-7", issuer=beside)):
        assert await refused(here, "pump-7", by_certificate(leaf)) == "not-enrolled"


async def test_the_nearest_group_decides(here: World, ours: Maker) -> None:
    """Groups by root and by device CA: that of the device CA; when it is disabled, nobody asks the root's."""
    nearest = group_by_device_ca(here, ours)
    here.enrol("everything", CaReferences("root"), group=True, hubs=("other.test",))
    leaf = by_certificate(ours.leaf("pump-7"))
    assert (await here.register("pump-7", leaf)).assigned_hub == HUB
    above = by_certificate(ours.leaf("pump-8", issuer=ours.intermediate))
    assert (await here.register("pump-8", above)).assigned_hub == "other.test"
    here.change(nearest, enabled=False)
    assert await refused(here, "pump-7", leaf) == "enrolment-disabled"
    assert await refused(here, "pump-9", by_certificate(ours.leaf("pump-9"))) == "enrolment-disabled"


async def test_a_verified_device_ca_is_enough(here: World, ours: Maker) -> None:
    """No root is registered: leaf -> device CA, which is verified; nothing above need be sent."""
    here.vouch(ours.device_ca, "device-ca")
    here.enrol("line", CaReferences("device-ca"), group=True)
    state = await here.register("pump-7", by_certificate(ours.leaf("pump-7"), up_to=1))
    assert state.status == "assigned"


async def test_a_secondary_ca(here: World, ours: Maker, theirs: Maker) -> None:
    """A line that goes over to another CA: devices of both."""
    here.vouch(ours.root, "old")
    here.vouch(theirs.root, "new")
    here.enrol("line", Certificates(ours.device_ca.leaf, theirs.device_ca.leaf), group=True)
    for source, name in ((ours, "pump-1"), (theirs, "pump-2")):
        assert (await here.register(name, by_certificate(source.leaf(name)))).status == "assigned"


@pytest.mark.parametrize(
    ("defect", "code"),
    [
        ("same names", "root-not-trusted"),
        ("chain cut", "client-chain-incomplete"),
        ("expired", "certificate-expired"),
        ("early", "certificate-not-yet-valid"),
        ("a CA", "end-entity-is-a-ca"),
        ("another name", "common-name-not-device-id"),
        ("a server", "eku-missing-client-auth"),
        ("self-signed", "client-chain-incomplete"),
        ("nothing", "credential-missing"),
        ("another scope", "id-scope-wrong"),
    ],
)
async def test_refused_in_a_group(here: World, ours: Maker, theirs: Maker, defect: str, code: str) -> None:
    """Each defect by itself; the device hears the same of all of them."""
    group_by_device_ca(here, ours)
    leaf: Held = ours.leaf("pump-7")
    credential = by_certificate(leaf)
    match defect:
        case "same names":
            credential = by_certificate(theirs.leaf("pump-7"))
        case "chain cut":
            credential = by_certificate(leaf, up_to=1)
        case "expired":
            credential = by_certificate(ours.leaf("pump-7", days=(-9, -1)))
        case "early":
            credential = by_certificate(ours.leaf("pump-7", days=(1, 9)))
        case "a CA":
            credential = by_certificate(make("pump-7", ours.device_ca, ca=True))
        case "another name":
            credential = by_certificate(ours.leaf("pump-8"))
        case "a server":
            credential = by_certificate(make("pump-7", ours.device_ca))
        case "self-signed":
            credential = by_certificate(make("pump-7", client=True))
        case "nothing":
            credential = Credential()
    options = {"scope": "elsewhere"} if defect == "another scope" else {}
    assert await refused(here, "pump-7", credential, **options) == code
    assert here.registry.count() == (0, 0)


async def test_unverified_cas_admit_nobody(here: World, ours: Maker) -> None:
    """Registered and not proved; and a group that names its CA itself, while only its root is proved."""
    register_ca(here.cas, "root", ours.root.leaf, here.now)
    here.enrol("everything", CaReferences("root"), group=True)
    leaf = by_certificate(ours.leaf("pump-7"))
    assert await refused(here, "pump-7", leaf) == "root-not-trusted"
    here.service.books.enrolments.remove("everything", group=True)
    here.cas.remove("root")
    here.vouch(ours.root, "root")
    register_ca(here.cas, "device-ca", ours.device_ca.leaf, here.now)
    here.enrol("line", CaReferences("device-ca"), group=True)
    here.enrol("line-too", Certificates(ours.device_ca.leaf), group=True)
    assert await refused(here, "pump-7", leaf) == "not-enrolled"


async def test_a_ca_that_is_removed(here: World, ours: Maker) -> None:
    """From the next registration on."""
    group_by_device_ca(here, ours)
    leaf = by_certificate(ours.leaf("pump-7"))
    await here.register("pump-7", leaf)
    here.cas.remove("root")
    assert await refused(here, "pump-7", leaf) == "root-not-trusted"


@pytest.mark.parametrize("what", ["revoked", "another's serial", "out of date"])
async def test_revocation_lists(tmp_path: Path, ours: Maker, what: str) -> None:
    """A list of the device CA: who is on it is refused, and everybody once it is out of date."""
    leaf = ours.leaf("pump-7")
    now = datetime.now(UTC)
    serial = leaf.leaf.serial_number + (what != "revoked")
    entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - timedelta(hours=2)).build()
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ours.device_ca.leaf.subject)
        .last_update(now - timedelta(hours=2))
        .next_update(now + timedelta(hours=-1 if what == "out of date" else 1))
        .add_revoked_certificate(entry)
        .add_extension(x509.CRLNumber(1), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ours.device_ca.key.public_key()), critical=False
        )
        .sign(ours.device_ca.key, hashes.SHA256())
    )
    file = tmp_path / "line.crl"
    file.write_bytes(crl.public_bytes(Encoding.PEM))
    async with world(tmp_path, crls=(str(file),)) as here:
        group_by_device_ca(here, ours)
        if what == "another's serial":
            assert (await here.register("pump-7", by_certificate(leaf))).status == "assigned"
        else:
            code = "certificate-revoked" if what == "revoked" else "crl-expired"
            assert await refused(here, "pump-7", by_certificate(leaf)) == code


# ---- by certificate, individually


async def test_an_individual_enrolment(here: World) -> None:
    """A self-signed leaf: enough, as the enrolment names it; its second one too. The device id is the entry's."""
    first, second = make("pump-7", client=True), make("pump-7", client=True)
    here.enrol("pump-7", Certificates(first.leaf, second.leaf), device_id="north")
    for held in (first, second):
        state = await here.register("PUMP-7", by_certificate(held))
        assert (state.device_id, state.substatus, state.result) == ("north", "initialAssignment", {"x509": {}})
    identity = here.registry.get("north")
    assert identity is not None
    assert identity.auth == "x509-thumbprint"
    assert identity.secondary_thumbprint is not None
    assert here.registry.count() == (1, 0)


async def test_an_individual_enrolment_decides_alone(here: World, ours: Maker) -> None:
    """Its certificate was replaced by one of an enrolled group: refused all the same; and while it is disabled."""
    group_by_device_ca(here, ours)
    own = make("pump-7", client=True)
    entry = here.enrol("pump-7", Certificates(own.leaf))
    assert await refused(here, "pump-7", by_certificate(ours.leaf("pump-7"))) == "thumbprint-mismatch"
    here.change(entry, enabled=False)
    assert await refused(here, "pump-7", by_certificate(own)) == "enrolment-disabled"


async def test_expired_in_an_individual_enrolment(here: World) -> None:
    """Named is not enough."""
    old = make("pump-7", client=True, days=(-9, -1))
    here.enrol("pump-7", Certificates(old.leaf))
    assert await refused(here, "pump-7", by_certificate(old)) == "certificate-expired"
