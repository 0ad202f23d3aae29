"""Who is admitted by symmetric key, whose an operation is, and many at once."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from leafward.errors import EncodingError, LeafwardError, NotFound
from leafward.provisioning.admission import Credential
from leafward.provisioning.devices import add_device
from leafward.provisioning.key_attestation import derived_key
from leafward.provisioning.refused import Refused, Throttled
from leafward.store.enrolments import SymmetricKeys
from leafward.wire import dps
from tests.hub.hub_certificates import make
from tests.provisioning.world import HUB, Maker, World, by_certificate, group_by_device_ca, refused, world

KEYS = SymmetricKeys(b"1" * 32, b"2" * 32)


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
