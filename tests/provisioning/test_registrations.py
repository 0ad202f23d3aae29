"""Who is admitted and who is not: by certificate, by symmetric key, individually and by group.

root A ── intermediate ── device CA ── leaves          root B: the same names, other keys
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import EncodingError, LeafwardError, NotFound
from leafward.provisioning.admission import Credential
from leafward.provisioning.devices import add_device
from leafward.provisioning.enrolling import register_ca
from leafward.provisioning.key_attestation import derived_key
from leafward.provisioning.refused import Refused, Throttled
from leafward.store.enrolments import CaReferences, Certificates, SymmetricKeys
from leafward.wire import dps
from tests.hub.hub_certificates import Held, make
from tests.provisioning.world import HUB, Maker, World, by_certificate, maker, world

KEYS = SymmetricKeys(b"1" * 32, b"2" * 32)


@pytest.fixture(scope="session")
def ours() -> Maker:
    return maker()


@pytest.fixture(scope="session")
def theirs() -> Maker:
    """Another hierarchy with the same subject names."""
    return maker()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def refused(here: World, registration_id: str, credential: Credential, **options: Any) -> str:
    """The code of the refusal; the device gets 401 whatever it is."""
    with pytest.raises(Refused) as told:
        await here.begin(registration_id, credential, **options)
    assert told.value.number // 1000 == 401
    return told.value.code


def group_by_device_ca(here: World, ours: Maker, **options: Any) -> Any:
    here.vouch(ours.root, "root")
    return here.enrol("line", Certificates(ours.device_ca.leaf), group=True, **options)


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


# ---- by symmetric key


async def test_symmetric_keys_of_its_own(here: World) -> None:
    """Primary or secondary; the hub gets the same two."""
    here.enrol("pump-7", KEYS)
    for key in (KEYS.primary, KEYS.secondary):
        state = await here.register("pump-7", here.token("pump-7", key))
        assert (state.status, state.result) == ("assigned", {"symmetricKey": {}})
    identity = here.registry.get("pump-7")
    assert identity is not None
    assert (identity.auth, identity.primary_key, identity.secondary_key) == ("sas", KEYS.primary, KEYS.secondary)


async def test_derived_keys(here: World) -> None:
    """Each device of a group has its own: pump-8's opens nothing for pump-7, and the group's own key neither."""
    here.enrol("batch", KEYS, group=True)
    key = derived_key(KEYS.primary, "pump-7")
    state = await here.register("pump-7", here.token("pump-7", key))
    assert state.result == {"symmetricKey": {"enrollmentGroupId": "batch"}}
    identity = here.registry.get("pump-7")
    assert identity is not None
    assert identity.primary_key == key
    for wrong in (derived_key(KEYS.primary, "pump-8"), KEYS.primary):
        assert await refused(here, "pump-7", here.token("pump-7", wrong)) == "sas-signature-wrong"


async def test_a_disabled_group_by_key(here: World) -> None:
    """Disabled refuses; also one whose device the registry has from before."""
    group = here.enrol("batch", KEYS, group=True)
    credential = here.token("pump-7", derived_key(KEYS.primary, "pump-7"))
    await here.register("pump-7", credential)
    here.change(group, enabled=False)
    assert await refused(here, "pump-7", credential) == "enrolment-disabled"
    here.service.books.enrolments.remove("batch", group=True)
    assert await refused(here, "pump-7", credential) == "sas-signature-wrong"


@pytest.mark.parametrize(
    ("defect", "code"),
    [
        ("wrong key", "sas-signature-wrong"),
        ("another's token", "sas-audience-wrong"),
        ("expired", "sas-expired"),
        ("garbage", "sas-malformed"),
        ("unknown", "sas-signature-wrong"),
        ("certificate", "credential-of-other-type"),
        ("disabled", "enrolment-disabled"),
    ],
)
async def test_refused_with_a_token(here: World, defect: str, code: str) -> None:
    """Each defect by itself."""
    entry = here.enrol("pump-7", KEYS)
    name, credential = "pump-7", here.token("pump-7", KEYS.primary)
    match defect:
        case "wrong key":
            credential = here.token("pump-7", bytes(32))
        case "another's token":
            credential = here.token("pump-8", KEYS.primary)
        case "expired":
            credential = here.token("pump-7", KEYS.primary, lifetime=-1)
        case "garbage":
            credential = Credential("SharedAccessSignature x")
        case "unknown":
            name, credential = "pump-9", here.token("pump-9", KEYS.primary)
        case "certificate":
            credential = by_certificate(make("pump-7", client=True))
        case "disabled":
            here.change(entry, enabled=False)
    assert await refused(here, name, credential) == code


async def test_a_device_of_the_registry(here: World) -> None:
    """Added by hand with keys of its own: it learns its hub without an enrolment, and nothing is changed of it."""
    added = add_device(here.registry, "pump-7", "sas", now=here.now)
    assert added.primary_key is not None
    state = await here.register("pump-7", here.token("pump-7", added.primary_key))
    assert (state.device_id, state.assigned_hub) == ("pump-7", HUB)
    assert here.registry.get("pump-7") == added
    here.registry.set_enabled("pump-7", None, False)
    assert await refused(here, "pump-7", here.token("pump-7", added.primary_key)) == "not-enrolled"


async def test_an_enrolment_takes_nobody_s_place(here: World) -> None:
    """The hub has a device of that id, added by hand: the registration fails and leaves it alone."""
    added = add_device(here.registry, "pump-7", "sas", now=here.now)
    here.enrol("batch", KEYS, group=True)
    credential = here.token("pump-7", derived_key(KEYS.primary, "pump-7"))
    state = await here.register("pump-7", credential)
    assert (state.status, state.error_code, state.assigned_hub) == ("failed", dps.ID_TAKEN, None)
    assert here.registry.get("pump-7") == added
    here.registry.remove("pump-7")
    assert (await here.register("pump-7", credential)).status == "assigned"


# ---- operations


async def test_operations_are_their_device_s_alone(here: World) -> None:
    """Another device, another key, an older operation of the same device: none of them learns anything."""
    here.enrol("batch", KEYS, group=True)
    mine, other = (here.token(name, derived_key(KEYS.primary, name)) for name in ("pump-7", "pump-8"))
    first = await here.begin("pump-7", mine)
    second = await here.begin("pump-7", mine)
    await here.begin("pump-8", other)
    ask = here.service.registrations.operation
    assert (await ask("leafward", "pump-7", second.operation_id, mine, here.now)).status == "assigned"
    for name, credential, operation in (
        ("pump-7", mine, first.operation_id),
        ("pump-8", other, second.operation_id),
        ("pump-7", mine, "5.0"),
    ):
        with pytest.raises(NotFound, match="no such operation"):
            await ask("leafward", name, operation, credential, here.now)
    for name, credential in (("pump-8", mine), ("pump-7", here.token("pump-7", bytes(32))), ("pump-9", Credential())):
        with pytest.raises(Refused):
            await ask("leafward", name, second.operation_id, credential, here.now)


async def test_an_operation_by_certificate(here: World, ours: Maker) -> None:
    """Asked by the same certificate; another good one of that name was not it."""
    group_by_device_ca(here, ours)
    first, second = (by_certificate(ours.leaf("pump-7")) for _ in range(2))
    begun = await here.begin("pump-7", first)
    ask = here.service.registrations.operation
    with pytest.raises(Refused, match="another certificate"):
        await ask("leafward", "pump-7", begun.operation_id, second, here.now)
    here.ahead = timedelta(days=365)
    with pytest.raises(Refused):
        await ask("leafward", "pump-7", begun.operation_id, first, here.now)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"registrationId":"pump-8"}',
        b'{"registrationId":7}',
        b"\xff",
        b'{"registrationId":"pump 7"}',
    ],
)
async def test_malformed_bodies(here: World, body: bytes) -> None:
    """Once the device is admitted, it is told."""
    here.enrol("pump-7", KEYS)
    with pytest.raises(LeafwardError) as told:
        await here.begin("pump-7", here.token("pump-7", KEYS.primary), body=body or b" ")
    assert isinstance(told.value, EncodingError | LeafwardError)
    assert not isinstance(told.value, Refused)


async def test_many_at_once(tmp_path: Path) -> None:
    """Sixty at once and room for eight: the others are told when to come back, and all are registered in the end."""
    async with world(tmp_path, most_at_once=8) as here:
        here.enrol("batch", KEYS, group=True)
        told: list[int] = []

        async def register(name: str) -> None:
            while True:
                try:
                    await here.register(name, here.token(name, derived_key(KEYS.primary, name)))
                except Throttled as error:
                    told.append(error.retry_after)
                    await asyncio.sleep(0.005)
                else:
                    return

        await asyncio.gather(*(register(f"pump-{number}") for number in range(60)))
        assert here.registry.count() == (60, 0)
        assert told
        assert min(told) >= 1
