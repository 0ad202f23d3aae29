"""What the last start stood on, and what must not be gone now although it was there then.

An empty settings file is a gateway with the machine's name; an empty database is one without devices; no device CA is,
for `leafward up`, an order to make one for development. Each is right on a first start. On a gateway that has been
another one it is a damaged disk, and is refused instead of obeyed.
"""

import json
import logging
from pathlib import Path

from leafward import disk
from leafward.errors import Damaged, NotFound, StoreError
from leafward.store.home import Home

LAST_START = "last-start.json"
# In `last-start.json`: whether there was a settings file with something in it.
HAD_SETTINGS = "had_settings"
_DEVICE_CA = "device_ca"

_log = logging.getLogger(__name__)


def read_last_start(home: Home) -> dict[str, object]:
    """The facts of the last start; none before the first, and, with a warning, where they do not read back."""
    path = home.manager / LAST_START
    try:
        facts = json.loads(disk.read_file(path))
    except NotFound:
        return {}
    except (StoreError, ValueError, RecursionError) as error:
        _log.warning("%s is written anew: %s", path, error)
        return {}
    if isinstance(facts, dict):
        return facts
    _log.warning("%s is written anew: got %s, expected an object", path, type(facts).__name__)
    return {}


def has_settings(home: Home) -> bool:
    """Whether there is a settings file with something in it."""
    return _size(home.settings) > 0


def refuse_lost_settings(home: Home) -> None:
    """Raises `Damaged` where the settings are gone or empty, and were not at the last start."""
    if read_last_start(home).get(HAD_SETTINGS) is True and not has_settings(home):
        raise Damaged(
            f"the settings {home.settings} are {_gone_or_empty(home.settings)}",
            why="they were there at the last start; without them this would be another gateway",
            hint=f"restore them from a copy, or remove {home.manager / LAST_START} to begin with the defaults",
        )


def refuse_lost_registry(home: Home) -> None:
    """Raises `Damaged` for a database of no bytes after a start that has filled it; warns where it is gone.

    Gone may be meant: moving it away is how one begins anew. Empty it cannot be by anybody's doing.
    """
    if not read_last_start(home):
        return
    if not home.registry.exists():
        _log.warning("%s is gone and begins anew: devices and modules have to be registered again", home.registry)
    elif home.registry.is_file() and _size(home.registry) == 0:
        raise Damaged(
            f"the database {home.registry} is damaged",
            why="it is empty, and held this gateway's devices and modules at the last start",
            hint="restore it from a copy, or move it away to begin anew",
        )


def refuse_lost_device_ca(home: Home, certificate: Path) -> None:
    """For who would make a device CA where there is none: raises `NotFound` where there was one at the last start."""
    before = read_last_start(home).get(_DEVICE_CA)
    if isinstance(before, str) and not certificate.exists():
        raise NotFound(
            f"the device CA {certificate} is gone",
            why=f"this gateway had one at its last start, with the SHA-256 {before}",
            hint="restore it from a copy, or install another; "
            f"to begin anew for development remove {home.manager / LAST_START}",
        )


def _gone_or_empty(path: Path) -> str:
    return "empty" if path.exists() else "gone"


def _size(path: Path) -> int:
    """In bytes; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError:  # what cannot be looked at is told of by who reads it
        return 1
