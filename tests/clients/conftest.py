"""Real clients as their makers ship them, against a real edge."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.edge import LEAF_PYTHON, Edge

SCRIPTS = Path(__file__).parent / "scripts"


def client_environment(edge: Edge) -> dict[str, str]:
    """What a client's process gets: nothing of ours but the line that makes the gateway's name resolve."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SCRIPTS),
        "PYTHONUNBUFFERED": "1",
        "LEAF_HOSTS": f"{edge.hostname}={edge.address}",
    }


@pytest.fixture(scope="session", autouse=True)
def _leaf_is_installed() -> None:
    if not LEAF_PYTHON.exists():
        pytest.skip("the leaf device's environment is not there: make install")


RunDevice = Callable[..., dict[str, Any]]


@pytest.fixture
def run_device(edge: Edge) -> RunDevice:
    """Runs the leaf device program to its end against the module's edge, and returns what it says."""

    def run(edge: Edge = edge, **task: Any) -> dict[str, Any]:
        task.setdefault("root", str(edge.root))
        done = subprocess.run(
            [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "device.py")],
            input=json.dumps(task),
            capture_output=True,
            text=True,
            timeout=60,
            env=client_environment(edge),
            check=False,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
