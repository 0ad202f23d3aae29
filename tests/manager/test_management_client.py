"""The commands' side of the Management API: what is said where nobody answers, and a module by the manager's settings.

command --- management.sock ---> manager
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from leafward.cli.management_client import attach, get_status
from leafward.errors import PeerUnavailable
from leafward.manager.daemon import Manager
from leafward.manager.settings import read_settings
from leafward.store.home import Home
from leafward.store.lock import HomeLock


def silence(home: Home) -> PeerUnavailable:
    with pytest.raises(PeerUnavailable) as raised:
        get_status(home)
    assert "ssl:" not in str(raised.value)
    return raised.value


def test_no_home_no_manager_and_one_that_serves_nothing_yet(tmp_path: Path) -> None:
    """A first enrolment may take months: who asks meanwhile is not told to start another manager."""
    home = Home(tmp_path / "home")
    assert "there is no" in str(silence(home))
    home.manager.mkdir(parents=True)
    absent = silence(home)
    assert "No such file" in str(absent)
    assert "leafward manager run" in str(absent.hint)
    with HomeLock(home.manager / "lock").hold("manager"):
        waiting = silence(home)
    assert "serves nothing yet" in str(waiting)
    assert "its log" in str(waiting.hint)


async def test_a_module_has_the_environment_of_the_managers_own_settings(
    home: Home, install: Any, clock: Any, tmp_path: Path
) -> None:
    """The manager runs with another file than the home's: modules are its, whatever the home's file says."""
    install()
    other = tmp_path / "other.toml"
    other.write_text('[device]\nhostname = "gw.local"\ndevice_id = "gw-1"\n')
    async with Manager(home, clock=clock, settings=read_settings(other)) as manager:
        manager.standing.modules.add("modA")
        environment = await asyncio.to_thread(attach, home, "modA")
    assert environment["IOTEDGE_DEVICEID"] == "gw-1"
    assert environment["IOTEDGE_GATEWAYHOSTNAME"] == "gw.local"
