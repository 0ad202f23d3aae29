"""Kills a wipe before its first, second, third … step on the disk, and looks at what the next start makes of it.

    killed_wipes.py HOME SECRETS NOW      writes the number of steps, and how many kills left a wipe to be finished

A program of its own, because it forks: a test process has threads. A kill is followed by a start, each third by the
command again, each ninth by a start that is killed as well.
"""

import os
import shutil
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from leafward.manager.start import LAST_SEEN
from leafward.manager.time_floor import TimeFloor
from leafward.manager.wipe import Wanted, wipe
from leafward.pki.verify import verify
from leafward.store.home import Home
from tests.manager.wipe_world import found_in, judged, kept_files, lists, read, start

STEPS = ("rename", "link", "unlink", "mkdir", "rmdir", "fsync", "open", "write")
KILLED = 9
# Of a start that is killed too: how far it comes.
SECOND_KILL = 25


def killed(step: int, work: Callable[[], object]) -> bool:
    """`work` in a process that ends before `step`; False where it needed fewer steps and came to its end."""
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
        work()
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended in (0, KILLED), (step, ended)
    return ended == KILLED


def look(home: Home, secrets: set[bytes], step: int, now: datetime, before: dict[str, bytes], chain: Any) -> bool:
    """What comes after the kill: whether there was a wipe to be finished, which then is whole."""
    pending = home.wipe_marker.exists()
    receipt = home.root.with_name(f"{home.root.name}.pem")
    if not pending and not home.owner_epoch.exists():  # nothing has begun: all is as it was
        assert found_in(home, secrets)
        assert not receipt.exists()
        return False
    if step % 3 == 2:
        wipe(home, TimeFloor(home.manager / LAST_SEEN, lambda: now), Wanted(receipt))
    elif step % 9 == 1:
        killed(SECOND_KILL, lambda: start(home, lambda: now))
    standing = start(home, lambda: now)
    assert standing.owner_epoch == 2
    assert kept_files(home) == before
    assert found_in(home, secrets) == set()
    assert not list(home.root.rglob("*.new"))
    kept = home.receipts / "000001.pem"
    assert judged(kept, standing.device_ca.root, now).valid
    assert read(kept).statement.counts["messages"] == 3
    assert not receipt.exists() or receipt.read_bytes() == kept.read_bytes()
    verdict = verify(chain, standing.anchors, now=now, crls=lists(home))
    assert verdict.rule == "certificate-revoked"
    assert verify(standing.hub.pair.chain, standing.anchors, now=now, crls=lists(home)).valid
    return pending


def main(root: Path, secrets: set[bytes], now: datetime) -> None:
    # What is looked at is the order of the steps; the disk itself is trusted here, and waiting for it takes long.
    os.fsync = lambda _descriptor: None  # type: ignore[assignment]
    before_any = Home(root)
    chain = start(before_any, lambda: now).hub.pair.chain
    step, was_killed, unfinished = 0, True, 0
    while was_killed:
        home = Home(root.with_name(f"{root.name}-killed-{step}"))
        shutil.copytree(root, home.root)
        before = kept_files(home)
        receipt = home.root.with_name(f"{home.root.name}.pem")
        clock = TimeFloor(home.manager / LAST_SEEN, lambda: now)
        was_killed = killed(step, lambda home=home, clock=clock, receipt=receipt: wipe(home, clock, Wanted(receipt)))
        try:
            unfinished += look(home, secrets, step, now, before, chain)
        except Exception:
            sys.stderr.write(f"after a kill before step {step}:\n")
            raise
        shutil.rmtree(home.root)
        step += 1
    sys.stdout.write(f"{step} {unfinished}\n")


main(Path(sys.argv[1]), {bytes.fromhex(text) for text in sys.argv[2].split(",")}, datetime.fromisoformat(sys.argv[3]))
