"""A manager that is killed at any step of a start, and the start after that."""

import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.store.home import Home

PROGRAM = Path(__file__).parent / "scripts" / "killed_starts.py"


def steps_killed(home: Home, now: datetime) -> int:
    arguments = [sys.executable, str(PROGRAM), str(home.root), now.isoformat()]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=100)
    assert ended.returncode == 0, ended.stderr
    return int(ended.stdout)


def test_a_kill_at_any_step_of_the_first_start(home: Home, install: Any, clock: Any) -> None:
    install()
    assert steps_killed(home, clock()) > 60


def test_a_kill_at_any_step_of_a_start_that_renews(home: Home, install: Any, clock: Any) -> None:
    """Both certificates are there and due: what stands before is the old pair or the new."""
    install()
    standing = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, clock))
    standing.modules.close()
    assert steps_killed(home, clock() + timedelta(days=300)) > 60
