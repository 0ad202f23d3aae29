"""Which owner this device has: 1 from the maker, one more with each wipe. It never goes back.

The number stands in a file of its own. Where that is lost or damaged, the receipts of the earlier wipes say it as well;
the higher of the two counts.
"""

import logging
import re
from pathlib import Path

from leafward import disk
from leafward.errors import NotFound
from leafward.store.home import Home

FIRST = 1
_NAME = re.compile(r"[0-9]{6,}\.pem")

_log = logging.getLogger(__name__)


def owner_epoch(home: Home) -> int:
    """The number of the owner that this device has now. Raises `StoreError` where the disk refuses."""
    return max(_written(home.owner_epoch), max(receipts(home), default=FIRST - 1) + 1)


def write_owner_epoch(home: Home, number: int) -> None:
    """Keeps the number, durably."""
    disk.write_file(home.owner_epoch, b"%d\n" % number, mode=disk.PUBLIC)


def receipts(home: Home) -> dict[int, Path]:
    """The receipts kept here, by the number of the owner whose time each one ended."""
    if not home.receipts.is_dir():
        return {}
    return {int(path.stem): path for path in sorted(home.receipts.iterdir()) if _NAME.fullmatch(path.name)}


def receipt_path(home: Home, number: int) -> Path:
    """Where the receipt for the owner of that number is kept."""
    return home.receipts / f"{number:06d}.pem"


def _written(path: Path) -> int:
    try:
        said = disk.read_file(path, limit=32).strip()
    except NotFound:
        return FIRST
    if not re.fullmatch(rb"[0-9]{1,9}", said):
        _log.warning("%s holds no number and is not used", path)
        return FIRST
    return max(FIRST, int(said))
