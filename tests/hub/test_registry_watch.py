"""Another process changes the registry: connections that it no longer supports are cut within a second."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from leafward.errors import Busy, Damaged
from leafward.hub.registry_watch import RegistryWatch
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import EDGE, login

CHANGES: dict[str, Callable[[Any], None]] = {
    "disabled": lambda registry: registry.set_enabled("leaf1", None, False),
    "removed": lambda registry: registry.remove("leaf1"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_device_is_cut(hub: RunningHub, change: str) -> None:
    """leaf1 is connected and ends; leaf2 is connected and stays; leaf1 does not come back."""
    hub.add("leaf1")
    hub.add("leaf2")
    leaf, bystander = await hub.connected("leaf1", clean=False), await hub.connected("leaf2")
    with hub.registry() as registry:
        CHANGES[change](registry)
    async with asyncio.timeout(2):
        assert await leaf.closed()
    assert await bystander.alive()
    assert (await (await hub.client()).connect(login("leaf1"))).return_code == 5
    assert await hub.counted("ended_total", "no-longer-admitted") == 1


async def test_another_key_cuts_who_came_with_the_old_one(hub: RunningHub) -> None:
    """Removed and registered again with a new key."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    with hub.registry() as registry:
        registry.remove("leaf1")
    hub.add("leaf1", primary_key=b"n" * 32)
    async with asyncio.timeout(2):
        assert await leaf.closed()
    await hub.connected("leaf1", key=b"n" * 32)


async def test_a_disabled_device_takes_its_modules_along(hub: RunningHub) -> None:
    """The module's admission rests on its device too."""
    hub.add("leaf1")
    hub.add("leaf1", "part")
    module = await hub.connected("leaf1", "part")
    with hub.registry() as registry:
        registry.set_enabled("leaf1", None, False)
    async with asyncio.timeout(2):
        assert await module.closed()


async def test_a_registration_of_another_disturbs_nobody(hub: RunningHub) -> None:
    """Every change is looked at; who is not meant stays."""
    hub.add(EDGE, "filter")
    module = await hub.connected(EDGE, "filter")
    for number in range(3):
        hub.add(f"new{number}")
        await hub.connected(f"new{number}")
    assert await module.alive()


class Watch:
    """A watch of the database that sees one change, at its first look."""

    def __init__(self) -> None:
        self.looks = 0

    def changed(self) -> bool:
        self.looks += 1
        return self.looks == 1


class Entries:
    """A registry whose entries are given, or raise what is given."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self.entries = entries

    def get(self, device_id: str, _module_id: str | None = None) -> Any:
        entry = self.entries.get(device_id)
        if isinstance(entry, Exception):
            raise entry
        return entry


class Connected:
    """A broker with these peers; notes who is cut."""

    def __init__(self, *device_ids: str) -> None:
        self.connected = {one: SimpleNamespace(rests_on=(identity(one),)) for one in device_ids}
        self.cuts: list[str] = []

    def peers(self) -> dict[str, Any]:
        return self.connected

    def cut(self, client_id: str, _peer: Any, _why: str, *, forget: bool) -> None:
        self.cuts.append(f"{client_id} forgotten" if forget else client_id)


def identity(device_id: str) -> Any:
    return SimpleNamespace(device_id=device_id, module_id=None, generation_id="g1")


def watching(entries: dict[str, Any], *device_ids: str) -> tuple[RegistryWatch, Entries, Connected]:
    registry, broker = Entries(entries), Connected(*device_ids)
    return RegistryWatch(Watch(), registry, broker), registry, broker  # type: ignore[arg-type]


async def test_a_change_is_not_lost_while_the_registry_is_busy() -> None:
    """leaf1 was removed; the entry cannot be read at the first look, and is at the second."""
    watch, registry, broker = watching({"leaf1": Busy("busy")}, "leaf1")
    with pytest.raises(Busy):
        await watch.look()
    assert broker.cuts == []
    registry.entries.clear()
    await watch.look()
    assert broker.cuts == ["leaf1 forgotten"]
    await watch.look()
    assert broker.cuts == ["leaf1 forgotten"]


async def test_each_entry_is_judged_by_itself() -> None:
    """leaf1's cannot be read just now: leaf2, removed, is cut all the same, and leaf3 stays."""
    entries = {"leaf1": Busy("busy"), "leaf3": identity("leaf3")}
    watch, _, broker = watching(entries, "leaf1", "leaf2", "leaf3")
    with pytest.raises(Busy):
        await watch.look()
    assert broker.cuts == ["leaf2 forgotten"]


async def test_an_entry_that_nobody_can_read_lets_nobody_in() -> None:
    """A damaged entry will not get better by asking again; a session is not forgotten for it."""
    watch, _, broker = watching({"leaf1": Damaged("damaged")}, "leaf1")
    await watch.look()
    assert broker.cuts == ["leaf1"]


async def test_a_device_that_is_enabled_again_finds_its_session(hub: RunningHub) -> None:
    """Disabled is not forgotten; removed is."""
    hub.add("leaf1")
    for change, present in ((CHANGES["disabled"], True), (CHANGES["removed"], False)):
        leaf = await hub.connected("leaf1", clean=False)
        with hub.registry() as registry:
            change(registry)
        assert await leaf.closed()
        if present:
            with hub.registry() as registry:
                registry.set_enabled("leaf1", None, True)
        else:
            hub.add("leaf1")
        await hub.connected("leaf1", clean=False, present=present)
