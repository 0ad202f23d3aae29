"""Kills a manager's start before its first, second, third … step on the disk, and looks at the start after each.

    killed_starts.py HOME NOW        writes the number of steps; exit code 0 when every start after a kill was right

A program of its own, because it forks: a test process has threads.
"""

import os
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.pki.verify import verify
from leafward.store.home import Home

STEPS = ("rename", "link", "unlink", "mkdir", "rmdir", "fsync", "open", "write")
KILLED = 9


def start(home: Home, now: datetime) -> Standing:
    standing = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, lambda: now))
    standing.modules.close()
    return standing


def killed_start(home: Home, now: datetime, step: int) -> bool:
    """A start that ends before `step`; False where it needed fewer steps and came to its end."""
    child = os.fork()
    if child == 0:
        left = step

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def instead(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(KILLED)
                return function(*arguments, **options)

            return instead

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        start(home, now)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, KILLED), (step, ended)
    return ended == KILLED


def look(home: Home, now: datetime) -> None:
    """The next start stands on a chain that verifies, without a key too many, and the one after issues nothing."""
    standing = start(home, now)
    chain = standing.hub.pair.chain
    assert verify(chain, standing.anchors, now=now, name=standing.settings.hostname).valid
    assert len(list(home.manager.rglob("key.pem"))) == 3
    assert not list(home.root.rglob("*.new"))
    assert start(home, now).issued == ()


def main(root: Path, now: datetime) -> None:
    # What is looked at is the order of the steps; the disk itself is trusted here, and waiting for it takes long.
    os.fsync = lambda _descriptor: None  # type: ignore[assignment]
    step, killed = 0, True
    while killed:
        home = Home(root.with_name(f"{root.name}-killed-{step}"))
        shutil.copytree(root, home.root)
        killed = killed_start(home, now, step)
        try:
            look(home, now)
        except Exception:
            sys.stderr.write(f"after a kill before step {step}:\n")
            raise
        shutil.rmtree(home.root)
        step += 1
    sys.stdout.write(f"{step}\n")


main(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
