"""SIGKILL, and a power cut, at every step of what a manager writes; then the starts after it.

    step 1  step 2  …  step k  ✗      next start: a verifying chain, its key, no orphan; the one after issues nothing

Settings and device CA are as they were, byte for byte.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scenarios import SCENARIOS
from tests.faults.summary import Count

PROGRAM = Path(__file__).parent / "scripts" / "kills.py"
ROOT = Path(__file__).parents[2]
# Each step of what differs; of what goes through the same steps as another scenario, a sample, unless asked for all.
SAMPLED = dict.fromkeys(("start with both due", "start with the hub due", "hostname changed", "device CA replaced"), 4)
# A power cut finds faults at the same steps as a kill, and costs as much.
EVERY_CUT, EVERY_STORM = 8, 36


def kills(*arguments: str) -> dict[str, Any]:
    """Runs the program; what it counted."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=None if os.environ.get("LEAFWARD_FAULTS") == "all" else 110,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_start_after_a_kill_is_whole(scenario: str, count: Count, thorough: bool) -> None:
    """By SIGKILL before each step, by power cuts, and over and over on one home."""
    every = 1 if thorough else SAMPLED.get(scenario, 1)
    cut, storm = (1, 5) if thorough else (EVERY_CUT, EVERY_STORM)
    found = kills(scenario, *("--every", str(every)), *("--cut-every", str(cut)), *("--storm", str(storm)))
    steps = sum(found["steps"].values())
    assert found["kills"] == -(-steps // every)
    assert found["cuts"] == -(-steps // cut)
    count("kills by SIGKILL, each before another step", found["kills"])
    count("kills by SIGKILL, over and over on one home", found["storm"])
    count("power cuts: killed, and what was not flushed lost", found["cuts"])
    count("chains judged by openssl verify -x509_strict", found["openssl"])
