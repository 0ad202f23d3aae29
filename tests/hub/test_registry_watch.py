"""Another process changes the registry: connections that it no longer supports are cut within a second."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

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
