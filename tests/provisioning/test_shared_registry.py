"""The registry that gateways share: its devices register with any of them, and become one hub's own.

                    PostgreSQL: enrolments, registrations, the registry of all devices
gw-a ── service A ──'                           '── service B ── gw-b
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from leafward.provisioning.devices import add_device
from leafward.provisioning.key_attestation import derived_key
from leafward.provisioning.refused import Refused
from leafward.store.enrolments import SymmetricKeys
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.store.registry_bulk import put_many
from tests.hub.hub_certificates import make
from tests.postgresql import PostgreSql
from tests.provisioning.test_fleet import two, until
from tests.provisioning.world import World, by_certificate

KEYS = SymmetricKeys(b"1" * 32, b"2" * 32)
NAMES = [f"pump-{number}" for number in range(12)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafward.provisioning.follower.INTERVAL_SECONDS", 0.02)


@pytest.fixture
async def gateways(tmp_path: Path, postgresql: PostgreSql) -> AsyncIterator[tuple[World, World]]:
    async with two(tmp_path, postgresql.database()) as both:
        yield both


def shared(here: World) -> Registry:
    found = here.service.books.shared
    assert found is not None
    return found


async def refused(here: World, name: str, *credential: object) -> str:
    with pytest.raises(Refused) as told:
        await here.begin(name, *credential)  # type: ignore[arg-type]
    return told.value.code


async def test_by_key_at_any_of_them(gateways: tuple[World, World]) -> None:
    """Imported once, registered at A: spread over both hubs, each of which comes to know its own with its keys."""
    a, b = gateways
    added = {name: add_device(shared(a), name, "sas", now=a.now) for name in NAMES}
    hubs = {}
    for name, identity in added.items():
        assert identity.secondary_key is not None
        state = await a.register(name, a.token(name, identity.secondary_key))
        hubs[name] = state.assigned_hub
        assert (state.device_id, state.status, state.result) == (name, "assigned", {"symmetricKey": {}})
    assert set(hubs.values()) == {"gw-a", "gw-b"}
    for name, hub in hubs.items():
        own, other = (a, b) if hub == "gw-a" else (b, a)
        await until(own, name, there=True)
        known = own.registry.get(name)
        assert known == replace(added[name], created=known.created if known else added[name].created)
        assert other.registry.get(name) is None


async def test_by_thumbprint(gateways: tuple[World, World]) -> None:
    """Either of its two certificates, SHA-256 or SHA-1; another of that name is refused, also one of a group."""
    a, _b = gateways
    first, second = (make("pump-7", client=True) for _ in range(2))
    add_device(shared(a), "pump-7", "x509-thumbprint", thumbprint=_thumbprint(first), now=a.now)
    assert (await a.register("pump-7", by_certificate(first))).status == "assigned"
    assert await refused(a, "pump-7", by_certificate(second)) == "thumbprint-mismatch"
    assert await refused(a, "pump-7", by_certificate(make("pump-7", client=True, days=(-9, -1)))) == (
        "certificate-expired"
    )


async def test_it_decides_alone(gateways: tuple[World, World]) -> None:
    """Its own keys, not a group's; disabled refuses; removed, not even the hub's copy of it admits."""
    a, _b = gateways
    added = add_device(shared(a), "pump-7", "sas", now=a.now)
    assert added.primary_key is not None
    own = a.token("pump-7", added.primary_key)
    a.enrol("batch", KEYS, group=True)
    assert await refused(a, "pump-7", a.token("pump-7", derived_key(KEYS.primary, "pump-7"))) == "sas-signature-wrong"
    assert (await a.register("pump-7", own)).status == "assigned"
    shared(a).set_enabled("pump-7", None, False)
    assert await refused(a, "pump-7", own) == "not-enrolled"
    shared(a).remove("pump-7")
    assert await refused(a, "pump-7", own) == "sas-signature-wrong"


async def test_keys_that_are_rotated_there(gateways: tuple[World, World]) -> None:
    """Replaced in the shared registry: the device registers with its new key, and its hub has that then."""
    a, b = gateways
    added = add_device(shared(a), "pump-7", "sas", now=a.now)
    assert added.primary_key is not None
    hub = (await b.register("pump-7", b.token("pump-7", added.primary_key))).assigned_hub
    own = a if hub == "gw-a" else b
    put_many(shared(a), [replace(added, primary_key=b"9" * 32)], lambda _present, new: new)
    assert await refused(a, "pump-7", a.token("pump-7", added.primary_key)) == "sas-signature-wrong"
    assert (await b.register("pump-7", b.token("pump-7", b"9" * 32))).assigned_hub == hub
    async with asyncio.timeout(10):
        while (_known(own, "pump-7")).primary_key != b"9" * 32:
            await asyncio.sleep(0.01)


def _known(here: World, name: str) -> Identity:
    found = here.registry.get(name)
    assert found is not None
    return found


def _thumbprint(held: object) -> str:
    from leafward.pki.chain import fingerprint

    return fingerprint(held.leaf)  # type: ignore[attr-defined]
