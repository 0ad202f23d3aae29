"""Real clients as their makers ship them, against a real edge."""

import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.interoperability import SETTINGS, Room
from tests.clients.plant import Plant
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


_ROOMS = itertools.count(1)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """The edge of the tests of interoperability in a file."""
    with Plant.started(tmp_path_factory.mktemp("interoperability") / "home", SETTINGS) as plant:
        yield plant


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5"])
def room(rooms: Plant, request: pytest.FixtureRequest) -> Room:
    """For what holds in both versions of MQTT."""
    return Room(rooms, request.param, f"room/{next(_ROOMS)}")


@pytest.fixture
def room5(rooms: Plant) -> Room:
    """For what MQTT 5 has."""
    return Room(rooms, 5, f"room/{next(_ROOMS)}")
