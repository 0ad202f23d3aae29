"""A wipe by root of a home that is another user's: what it writes has to be that user's, who starts next.

Where manager and hub are two users (`hub_user`), only root may remove what is theirs both.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from leafward import disk
from leafward.store.home import Home


def hand_over(home: Home) -> None:
    """Gives the manager's user what the wipe wrote in its folder, and the settings. Raises `StoreError`."""
    if not _is_for_another(home):
        return
    with disk.told(f"cannot give {home.manager} to its user"):
        owner = home.manager.stat()
        written = [home.wipe_marker, home.owner_epoch, home.settings, *_with_folder(home.retired.parent)]
        for path in (*written, *_with_folder(home.receipts), *home.manager.glob("*.pem")):
            if path.exists():
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def remove_new_locks(home: Home, paths: Iterable[Path]) -> None:
    """Removes lock files that root made and nobody else could open. The caller holds the locks of the home."""
    if _is_for_another(home):
        for path in paths:
            path.unlink(missing_ok=True)


def _is_for_another(home: Home) -> bool:
    return os.geteuid() == 0 and home.manager.stat().st_uid != 0


def _with_folder(folder: Path) -> list[Path]:
    return [folder, *folder.iterdir()] if folder.is_dir() else []
