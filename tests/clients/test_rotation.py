"""Rotation of a whole edge by the command, with Azure's unmodified client connected: nobody is dropped."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.conftest import SCRIPTS, client_environment
from tests.edge import LEAF_PYTHON, Edge, StartEdge


@contextmanager
def lasting_leaf(edge: Edge, connection_string: str) -> Iterator[Any]:
    """A leaf device that is connected; `send` returns when the hub has acknowledged."""
    with subprocess.Popen(
        [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "lasting.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=client_environment(edge),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said = process.stdout

        def tell(line: str) -> str:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            return said.readline().strip()

        task = json.dumps({"connection_string": connection_string, "root": str(edge.root)})
        assert tell(task) == "connected"
        try:
            yield tell
        finally:
            process.stdin.close()
            connections = said.read().split()
        assert connections == ["1"], "the client had to connect again"


def test_a_session_over_three_rotations_and_no_message_lost(tmp_path: Path, start_edge: StartEdge) -> None:
    """root -> intermediate -> device CA -> workload CA -> hub; hub, workload CA and device CA anew one by one."""
    edge = start_edge(tmp_path / "home", "--hostname", "gateway.test")
    added = edge.json("device", "add", "steady")
    bodies = [f"message {number}" for number in range(8)]
    seen = {presented(edge)}
    with lasting_leaf(edge, added["connection_string"]) as send:
        for number, level in enumerate(("hub", "workload", "device")):
            assert send(bodies[2 * number]) == "sent"
            if level == "device":
                install_another_device_ca(edge, tmp_path / "next")
            outcome = edge.json("manager", "rotate", level)
            assert outcome["state"] == "done", outcome
            assert outcome["hub"]["connections"] == 1
            assert send(bodies[2 * number + 1]) == "sent"
            seen.add(presented(edge))
        assert len(seen) == 4
        for body in bodies[6:]:
            assert send(body) == "sent"
    kept = [json.loads(line) for line in edge.run("messages", "--json").stdout.splitlines()]
    assert [one["body"] for one in kept] == bodies
    told = [json.loads(line) for line in edge.run("manager", "events", "--json").stdout.splitlines()]
    done = [event["facts"]["level"] for event in told if event["facts"].get("state") == "done"]
    assert done == ["hub", "workload", "device"]
    status = edge.json("manager", "status")
    assert status["on_probation"] == []
    assert status["certificates"]["device_ca"]["common_name"] == "next.ca"
    refused = edge.run("manager", "rotate", "device")
    assert (refused.returncode, "no other device CA" in refused.stderr) == (3, True)
    shown = edge.run("manager", "rotate", "workload", "--dry-run").stdout
    assert shown.count("would be made anew") == 2


def install_another_device_ca(edge: Edge, folder: Path) -> None:
    """The maker issues one, and the operator puts its two files in the place of the old ones."""
    issued = edge.run("ca", "device", "next.ca", "--out", str(folder))
    assert issued.returncode == 0, issued.stderr
    for name in ("key.pem", "certificate.pem"):
        (folder / name).rename(edge.home / "manager" / "device-ca" / name)


def presented(edge: Edge) -> str:
    """The fingerprint of the certificate that a new connection is shown."""
    mqtts = edge.ready["mqtts"]
    chain = edge.json("chain", f"{mqtts['host']}:{mqtts['port']}")
    return str(chain["certificates"][0]["sha256"])
