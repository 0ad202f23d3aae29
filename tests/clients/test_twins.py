"""Twins with Azure's unmodified clients, for Python and for Node: leaf devices and modules of one edge."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import SCRIPTS, client_environment
from tests.edge import LEAF_PYTHON, LEAFWARD, Edge

NODE = Path(__file__).parent / "node"
PYTHON_CLIENT = [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "twin.py")]
NODE_CLIENT = ["node", "--require", str(NODE / "hosts.js"), str(NODE / "twin.js")]

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").exists(),
    reason="node, or its packages below tests/clients/node, are not installed: make dev",
)


class TwinClient:
    """A client that runs: what it says comes line by line, and what was not yet asked for is kept."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said: list[dict[str, Any]] = []

    def tell(self, **asked: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()

    def next(self, wanted: str) -> Any:
        """The next fact of this name; the test's own time limit ends the waiting."""
        while True:
            for number, facts in enumerate(self._said):
                assert "background" not in facts, facts
                if wanted in facts:
                    return self._said.pop(number)[wanted]
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            assert line, f"the client has ended; it said {self._said}"
            self._said.append(json.loads(line))

    def told(self, version: int) -> Any:
        """The change of the desired properties to this version; the clients tell the first state as one, too."""
        while (desired := self.next("desired"))["$version"] != version:
            pass
        return desired

    def get(self) -> Any:
        self.tell(do="get")
        return self.next("twin")

    def report(self, patch: Any) -> None:
        self.tell(do="report", patch=patch)
        assert self.next("reported") is True

    def refused(self, patch: Any) -> str:
        self.tell(do="report", patch=patch)
        return str(self.next("error"))


@contextmanager
def running(edge: Edge, command: list[str], task: dict[str, Any]) -> Iterator[TwinClient]:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=client_environment(edge), cwd=NODE
    ) as process:
        client = TwinClient(process)
        client.tell(**task)
        try:
            assert client.next("connected") is True
            yield client
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.kill()


def leaf(edge: Edge, device_id: str, command: list[str]) -> Any:
    text = edge.json("device", "add", device_id)["connection_string"]
    return running(edge, command, {"connection_string": text, "root": str(edge.root)})


def module(edge: Edge, name: str, command: list[str]) -> Any:
    edge.json("module", "add", name)
    return running(edge, [str(LEAFWARD), "module", "run", name, "--home", str(edge.home), "--", *command], {})


def twin_of(edge: Edge, *whose: str) -> Any:
    return edge.json(whose[0], "twin", "show", *whose[1:])["properties"]


def desire(edge: Edge, desired: Any, *whose: str) -> None:
    edge.json(whose[0], "twin", "set", *whose[1:], "--desired", json.dumps(desired))


def story(edge: Edge, client: TwinClient, *whose: str) -> None:
    """Read, report with null, be told, be refused: the same for every client."""
    first = client.get()
    assert (first["desired"]["$version"], first["reported"]["$version"]) == (1, 1)
    client.report({"on": True, "limits": {"low": 1, "high": 9}, "name": "grüße"})
    client.report({"on": None, "limits": {"low": None}})
    reported = twin_of(edge, *whose)["reported"]
    assert (reported["limits"], reported["name"], reported["$version"]) == ({"high": 9}, "grüße", 3)
    assert "on" not in reported
    desire(edge, {"interval": 5, "mode": {"fast": True}}, *whose)
    assert client.told(2) == {"interval": 5, "mode": {"fast": True}, "$version": 2}
    desire(edge, {"mode": None}, *whose)
    assert client.told(3)
    now = client.get()
    assert now["desired"] == {"interval": 5, "$version": 3}
    assert now["reported"]["limits"] == {"high": 9}
    client.refused({"text": "x" * 5000})
    client.report({"still": "here"})
    assert twin_of(edge, *whose)["reported"]["$version"] == 4


def test_python_leaf(edge: Edge) -> None:
    """The story; then the connection is cut and the twin changes before the client comes back: it is told all the same.

    On its return the client reads its twin by itself and compares the versions.
    """
    with leaf(edge, "twin-python", PYTHON_CLIENT) as client:
        story(edge, client, "device", "twin-python")
        client.process.send_signal(signal.SIGSTOP)
        edge.run("hub", "disconnect", "twin-python")
        desire(edge, {"interval": 7}, "device", "twin-python")
        client.process.send_signal(signal.SIGCONT)
        assert client.next("connected") is False
        assert client.next("connected") is True
        assert client.told(4) == {"interval": 7, "$version": 4}
        client.report({"back": True})


def test_python_module(edge: Edge) -> None:
    with module(edge, "twinPython", PYTHON_CLIENT) as client:
        story(edge, client, "module", "twinPython")


@needs_node
def test_node_leaf(edge: Edge) -> None:
    with leaf(edge, "twin-node", NODE_CLIENT) as client:
        story(edge, client, "device", "twin-node")


@needs_node
def test_node_module(edge: Edge) -> None:
    with module(edge, "twinNode", NODE_CLIENT) as client:
        story(edge, client, "module", "twinNode")
