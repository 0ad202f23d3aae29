"""Homes to damage: what stands in them after a start, and what of it may change.

Test Root <- Test Intermediate <- iotgateway.ca (device CA) <- iotedge workload ca <- iotedgegw.local
"""

import re
import shutil
import stat
from datetime import datetime
from pathlib import Path

from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.store.home import Home
from tests.manager.conftest import NOW, Maker, set_device

MAKER = Maker()


def time_of(home: Home, now: datetime = NOW) -> TimeFloor:
    return TimeFloor(home.manager / LAST_SEEN, lambda: now)


def start(home: Home, now: datetime = NOW) -> Standing:
    """One start of the manager, without its sockets."""
    standing = bring_up(home, read_settings(home.settings), time_of(home, now))
    standing.modules.close()
    return standing


def with_device_ca(home: Home) -> None:
    set_device(home)
    MAKER.install(home)


def started(home: Home) -> None:
    with_device_ca(home)
    start(home)


def listing(home: Home) -> list[str]:
    """Every file and folder with its mode, whatever the numbers of slots and keys are: what must not grow."""
    found = []
    for path in home.root.rglob("*"):
        name = re.sub(r"\d{6}(?=[/.]|$)", "N", str(path.relative_to(home.root)))
        if not name.startswith("registry.db-"):  # SQLite's own; gone with the last connection
            found.append(f"{stat.S_IMODE(path.stat().st_mode):o} {name}")
    return sorted(found)


def makers_half(home: Home) -> dict[str, bytes]:
    """What no start may change: settings and device CA, byte for byte."""
    files = [home.settings, *(path for path in (home.manager / "device-ca").rglob("*") if path.is_file())]
    return {str(path.relative_to(home.root)): path.read_bytes() for path in files}


def operators_half(home: Home) -> dict[str, bytes]:
    """What a start that has nothing to do leaves as it is."""
    files = (path for folder in (home.manager, home.trust) for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if path.name not in {LAST_SEEN, "lock"}}


def copied(home: Home, to: Path) -> Home:
    shutil.copytree(home.root, to, symlinks=True)
    return Home(to)
