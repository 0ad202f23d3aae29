"""Starts on a real disk that has no room, or is read-only. In a mount namespace of its own: it mounts a tmpfs.

small_disk.py full STEP        writes how many starts were refused, and how many were not, as JSON
small_disk.py read-only 1      exit code 77 where mounting is not allowed
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from leafward.errors import LeafwardError
from leafward.store.home import Home
from tests.faults.homes import makers_half, start, with_device_ca

PAGE = 4096
PAGES = 80


def mount(folder: Path, *options: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        sys.stderr.write(f"cannot mount here: {done.stderr.decode()}")
        sys.exit(77)


def attempt(home: Home) -> bool:
    """Whether the start came to its end. A refusal names a file of the home and says what to do."""
    refusal: LeafwardError | None = None
    try:
        start(home)
    except LeafwardError as error:
        refusal = error
    assert refusal is None or (str(home.root) in str(refusal) and refusal.hint), refusal
    return refusal is None


def filled(folder: Path, pages: int) -> Path:
    """A file that leaves so many pages of the disk."""
    ballast = folder / "ballast"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with ballast.open("wb") as file:
        file.write(bytes(max(0, free - pages * PAGE)))
    return ballast


def full(folder: Path, step: int) -> dict[str, int]:
    """A first start with so many pages left, then one with room; then restarts of a home that has all, without any."""
    counted = {"refused": 0, "started": 0}
    mount(folder, "size=4m")
    for pages in range(0, PAGES, step):
        home = Home(folder / "home")
        with_device_ca(home)
        before = makers_half(home)
        ballast = filled(folder, pages)
        counted["started" if attempt(home) else "refused"] += 1
        ballast.unlink()
        assert attempt(home)
        assert start(home).issued == ()
        assert makers_half(home) == before
        # All is there: a full disk is no reason not to serve, where the database needs no room either.
        ballast = filled(folder, pages)
        started = attempt(home)
        assert started or pages < 16, pages
        counted["started" if started else "refused"] += 1
        ballast.unlink()
        assert start(home).issued == ()
        shutil.rmtree(home.root)
    return counted


def read_only(folder: Path) -> dict[str, int]:
    """A home that has all, and one that has nothing, on a disk that turned read-only."""
    mount(folder, "size=4m")
    for name in ("with all", "with nothing"):
        with_device_ca(Home(folder / name))
    start(Home(folder / "with all"))
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    assert not attempt(Home(folder / "with nothing"))
    started = attempt(Home(folder / "with all"))
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
    assert attempt(Home(folder / "with nothing"))
    assert start(Home(folder / "with all")).issued == ()
    return {"refused": 1 + (not started), "started": int(started)}


def main(kind: str, step: int) -> None:
    logging.disable(logging.CRITICAL)
    # Children of this process see the mount; nobody else does, and it goes with the last of them.
    with tempfile.TemporaryDirectory(prefix="leafward") as folder:
        disk = Path(folder) / "disk"
        disk.mkdir()
        counted = full(disk, step) if kind == "full" else read_only(disk)
        subprocess.run(["umount", str(disk)], check=True)
    sys.stdout.write(json.dumps(counted) + "\n")


main(sys.argv[1], int(sys.argv[2]))
