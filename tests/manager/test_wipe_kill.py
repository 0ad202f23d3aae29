"""A wipe that is killed at any step: the next start, or the command again, finishes it before anything else."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leafward.store.home import Home
from tests.manager.wipe_world import use

PROGRAM = Path(__file__).parent / "scripts" / "killed_wipes.py"


def test_a_kill_at_any_step(home: Home, install: Callable[..., Any], clock: Any) -> None:
    install()
    owner = use(home, clock)
    secrets = ",".join(secret.hex() for secret in owner.secrets)
    arguments = [sys.executable, str(PROGRAM), str(home.root), secrets, clock().isoformat()]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=100, env=environment)
    assert ended.returncode == 0, ended.stderr
    steps, unfinished = map(int, ended.stdout.split())
    assert steps > 80
    assert unfinished > 60
