"""Registering again: what stays, what begins anew, and what a power cut leaves behind."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leafward.provisioning.allocation import choose, measures_of
from leafward.provisioning.decision import Hubs, Wanted, decide
from leafward.provisioning.key_attestation import derived_key
from leafward.store.enrolments import Registration, SymmetricKeys
from leafward.store.identity import Identity
from tests.provisioning.world import HUB, World, world

KEYS = SymmetricKeys(b"1" * 32, b"2" * 32)


async def register(here: World, name: str = "pump-7", **options: Any) -> Any:
    return await here.register(name, here.token(name, derived_key(KEYS.primary, name)), **options)


def identity(here: World, name: str = "pump-7") -> Identity:
    found = here.registry.get(name)
    assert found is not None
    return found


async def test_again_changes_nothing(here: World) -> None:
    """Same hub, same identity to the last bit: nobody who is connected is cut. The payload is the newest."""
    here.enrol("batch", KEYS, group=True)
    first = await register(here, payload={"run": 1})
    before = identity(here)
    second = await register(here, payload={"run": 2})
    assert identity(here) == before
    assert (first.payload, second.payload) == ({"run": 1}, {"run": 2})
    assert (second.substatus, second.created) == ("initialAssignment", first.created)


async def test_reset_begins_anew(here: World) -> None:
    """Policy reset: another generation, so that the hub shows it nothing of before; and the initial twin again."""
    here.enrol("batch", KEYS, group=True, reprovision="reset", initial_twin='{"tags":{"line":3}}')
    assert (await register(here)).substatus == "initialAssignment"
    before = identity(here)
    assert (await register(here)).substatus == "deviceDataReset"
    after = identity(here)
    assert after.generation_id != before.generation_id
    assert after.primary_key == before.primary_key


async def test_never_and_migrate(here: World) -> None:
    """The group's hubs are others now. Policy never: it stays. Policy migrate: it moves, and leaves this registry."""
    group = here.enrol("batch", KEYS, group=True, hubs=(HUB,), reprovision="never")
    await register(here)
    group = here.change(group, hubs=("other.test",))
    assert (await register(here)).assigned_hub == HUB
    here.change(group, reprovision="migrate")
    moved = await register(here)
    assert (moved.assigned_hub, moved.substatus) == ("other.test", "deviceDataMigrated")
    assert here.registry.get("pump-7") is None
    assert (await register(here)).substatus == "deviceDataMigrated"


async def test_a_disabled_device_stays_disabled(here: World) -> None:
    """The operator cut it off: registering again does not let it in, not even with the policy reset."""
    here.enrol("batch", KEYS, group=True, reprovision="reset")
    await register(here)
    here.registry.set_enabled("pump-7", None, False)
    await register(here)
    assert not identity(here).enabled


async def test_a_removed_device_may_come_back(here: World) -> None:
    """Removed from the registry and still enrolled: it is registered anew."""
    here.enrol("batch", KEYS, group=True)
    await register(here)
    here.registry.remove("pump-7")
    await register(here)
    assert identity(here).enabled


@pytest.mark.parametrize("step", ["before the registry", "after the registry"])
async def test_a_power_cut_in_the_middle(tmp_path: Path, step: str) -> None:
    """The row stands as assigning, with or without the device: the next start ends it, once."""
    async with world(tmp_path) as here:
        here.enrol("batch", KEYS, group=True)
        await register(here)
        books = here.service.books
        row = books.registrations.find("pump-7")
        assert row is not None
        books.registrations.write(["pump-7"], lambda _rows: [replace(row, status="assigning")])
        if step == "before the registry":
            here.registry.remove("pump-7")
    async with world(tmp_path) as here:
        again = here.service.books.registrations.find("pump-7")
        assert again is not None
        assert again.status == "assigned"
        assert identity(here).generation_id == row.generation_id


async def test_the_twin_waits_for_its_hub(here: World) -> None:
    """No hub runs here: the initial twin stays due."""
    here.enrol("batch", KEYS, group=True, initial_twin='{"tags":{"line":3}}')
    await register(here)
    (due,) = here.service.books.registrations.twins_due(HUB)
    assert due.twin == '{"tags":{"line":3}}'


# ---- hubs


def test_hashed_is_even_and_stable() -> None:
    """A thousand devices over four hubs, some 250 each; a hub that goes moves its own devices and no others."""
    hubs = ["a", "b", "c", "d"]
    names = [f"pump-{number}" for number in range(1000)]
    before = {name: choose("hashed", hubs, name, {}) for name in names}
    assert all(200 < list(before.values()).count(hub) < 300 for hub in hubs)
    after = {name: choose("hashed", hubs[:3], name, {}) for name in names}
    assert all(after[name] == hub for name, hub in before.items() if hub != "d")


def test_static_and_latency() -> None:
    """The first; the lowest measure, the device's own before the operator's; without any a hash."""
    hubs = ["a", "b", "c"]
    assert choose("static", hubs, "pump-7", {"b": 1.0}) == "a"
    assert choose("geoLatency", hubs, "pump-7", {"b": 9.0, "c": 4.0, "elsewhere": 0.1}) == "c"
    assert choose("geoLatency", hubs, "pump-7", {}) == choose("hashed", hubs, "pump-7", {})
    measured = measures_of({"latency": {"a": 3, "b": "fast", "c": True, "d": -1}}, {"a": 50.0, "b": 5.0})
    assert measured == {"a": 3.0, "b": 5.0}


async def test_the_device_measures(tmp_path: Path) -> None:
    """Allocation by latency, with what the payload says."""
    async with world(tmp_path, hubs=("a.test", HUB), latency={"a.test": 1.0}) as here:
        here.enrol("batch", KEYS, group=True, allocation="geoLatency")
        assert (await register(here, "pump-1")).assigned_hub == "a.test"
        near = await register(here, "pump-2", payload={"latency": {HUB: 0.5, "a.test": 20}})
        assert near.assigned_hub == HUB


def test_what_was_before_a_failure() -> None:
    """A registration that failed is no earlier one: the next is a first one, of another generation."""
    from datetime import UTC, datetime

    from leafward.provisioning.admission import Admission

    now = datetime(2026, 7, 1, tzinfo=UTC)
    wanted = Wanted(Admission("pump-7", "pump-7", "sas", None, b"k" * 32, b"k" * 32), None, "f" * 32)
    failed = Registration(
        "pump-7", "pump-7", HUB, "5.0", "e", "sas", "old", now, now, status="failed", substatus="deviceDataReset"
    )
    row = decide(wanted, failed, Hubs((HUB,), HUB, {}), now)
    assert (row.substatus, row.previous_generation) == ("initialAssignment", "old")
    assert row.generation_id != "old"
