"""Kills an action before its first, second, third … step, and looks at the starts after each kill.

    kills.py SCENARIO [--every N] [--cut-every N] [--storm N]    writes what was counted as JSON; exit code 0: all right
    --every N        SIGKILL before each Nth step
    --cut-every N    a power cut before each Nth step: what was not flushed is lost, in four ways by turns
    --storm N        SIGKILL ten times before each Nth step, on one home, without a whole start in between

A program of its own, because it forks: a test process has threads.
"""

import argparse
import itertools
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from leafward.store.home import Home
from tests.faults.homes import copied, listing
from tests.faults.look import Look, Scenario
from tests.faults.power_cut import CUTS, Unflushed
from tests.faults.scenarios import SCENARIOS
from tests.faults.seam import Seam

OPENSSL_EVERY = 20
OVER_AND_OVER = 10


class Kills:
    """All kills of one scenario, in `folder`."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._scenario = scenario
        self._folder = folder
        self._base = Home(folder / "base")
        scenario.prepare(self._base)
        undone, undisturbed = copied(self._base, folder / "undone"), copied(self._base, folder / "undisturbed")
        self.steps = self._steps(undisturbed)
        self.look = Look(scenario, undone, undisturbed)

    def _steps(self, home: Home) -> list[str]:
        names: list[str] = []
        with Seam(home.root, lambda name, _path: names.append(name)):
            self._scenario.act(home)
        return names

    def each_step(self, every: int, *, cut: bool) -> int:
        """How many kills it took to reach the end."""
        for step in itertools.count(0, every):
            home = copied(self._base, self._folder / "killed")
            killed = self._killed(home, step, cut)
            try:
                self.look(home, openssl=step % OPENSSL_EVERY == 0)
            except BaseException:
                sys.stderr.write(
                    f"{self._scenario.name}: after a kill before step {step}, {_named(self.steps, step)}:\n"
                )
                raise
            self._clear()
            if not killed:
                return step // every
        raise AssertionError

    def storm(self, every: int) -> int:
        """Kills at the same step over and over, as by a watchdog: what each leaves must not pile up."""
        kills = 0
        for step in range(every // 2, len(self.steps), every):
            home = copied(self._base, self._folder / "killed")
            lying: list[int] = []
            while len(lying) < OVER_AND_OVER and self._killed(home, step, cut=False):
                lying.append(len(listing(home)))
            grown = len(lying) == OVER_AND_OVER and lying[-1] > max(lying[: OVER_AND_OVER // 2])
            assert not grown, (self._scenario.name, step, _named(self.steps, step), lying, listing(home))
            kills += len(lying)
            self.look(home, openssl=False)
            self._clear()
        return kills

    def _killed(self, home: Home, step: int, cut: bool) -> bool:
        """The action until `step`; False where it needed fewer steps and came to its end."""
        child = os.fork()
        if child == 0:
            self._act_until(home, step, cut)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert ended in {0, -signal.SIGKILL}, (self._scenario.name, step, ended)
        return ended != 0

    def _act_until(self, home: Home, step: int, cut: bool) -> None:
        """Runs in the child, and never returns."""
        journal = Unflushed(home.root, self._folder / "aside") if cut else None
        left = step

        def before(_name: str, _path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                seam.__exit__()
                if journal is not None:
                    journal.cut(CUTS[step % len(CUTS)], step)
                os.kill(os.getpid(), signal.SIGKILL)

        seam = Seam(home.root, before, journal)
        try:
            with seam:
                self._scenario.act(home)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(3)

    def _clear(self) -> None:
        shutil.rmtree(self._folder / "killed")
        shutil.rmtree(self._folder / "aside", ignore_errors=True)


def _named(steps: list[str], number: int) -> str:
    return steps[number] if number < len(steps) else "the end"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("scenario", choices=SCENARIOS)
    for name in ("--every", "--cut-every", "--storm"):
        options.add_argument(name, type=int, default=0)
    chosen = options.parse_args()
    os.umask(0o077)
    logging.disable(logging.CRITICAL)
    # The order of the steps is what counts, not the disk: in memory where there is such a place.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="leafward", dir=memory if memory.is_dir() else None) as folder:
        kills = Kills(SCENARIOS[chosen.scenario], Path(folder))
        counted: dict[str, object] = {
            "kills": kills.each_step(chosen.every, cut=False) if chosen.every else 0,
            "cuts": kills.each_step(chosen.cut_every, cut=True) if chosen.cut_every else 0,
            "storm": kills.storm(chosen.storm) if chosen.storm else 0,
        }
    counted |= {"openssl": kills.look.by_openssl, "steps": dict(Counter(kills.steps))}
    sys.stdout.write(json.dumps(counted) + "\n")


main()
