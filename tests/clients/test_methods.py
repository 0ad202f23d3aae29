"""Azure's clients for Python and Node, unmodified: direct methods answered and asked, messages received.

leafward device method|send -> run/hub.sock -> hub -> MQTT, MQTT over WebSocket -> leaf device, module
module's invoke_method -> HTTPS -> hub -> leaf device, module
"""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import SCRIPTS, client_environment
from tests.edge import LEAF_PYTHON, LEAFWARD, Edge

NODE = Path(__file__).parent / "node"
PYTHON_LEAF = [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "answering.py")]
NODE_PROGRAM = ["node", "--require", "./hosts.js", "answering.js"]
CLIENTS = ["python", "node"]
# The SDKs find the HTTPS port at 443 and nowhere else.
HTTPS = 443


def program(client: str) -> list[str]:
    """The command of a client that answers."""
    if client == "node" and (shutil.which("node") is None or not (NODE / "node_modules").exists()):
        pytest.skip("node, or its packages below tests/clients/node, are not installed: make dev")
    return PYTHON_LEAF if client == "python" else NODE_PROGRAM


def as_module(edge: Edge, name: str, command: list[str]) -> list[str]:
    """The command of a client that runs as a module."""
    return [str(LEAFWARD), "module", "run", name, "--home", str(edge.home), "--", *command]


@contextlib.contextmanager
def running(edge: Edge, command: list[str], **task: Any) -> Iterator[Any]:
    """A client that has connected; gives the JSON lines that it says."""
    trust = {"NODE_EXTRA_CA_CERTS": str(edge.root)} if task.get("websockets") else {}
    process = subprocess.Popen(
        command,
        cwd=NODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**client_environment(edge), **trust},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps({"root": str(edge.root), **task}) + "\n")
        process.stdin.flush()
        lines = map(json.loads, process.stdout)
        assert next(lines) == {"ready": True}
        yield lines
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def needs_https(edge: Edge) -> None:
    """Skips where this user may not bind the port that the SDKs ask for."""
    if edge.ready["https"]["port"] != HTTPS:
        pytest.skip("port 443 may not be bound here")


@pytest.mark.parametrize("websockets", [False, True], ids=["mqtt", "websocket"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_leaf_device_answers_and_receives(edge: Edge, client: str, *, websockets: bool) -> None:
    """A method with its payload and status; a message with its properties, which is done with once it is completed."""
    if websockets:
        needs_https(edge)
    name = f"{client}-{'ws' if websockets else 'mqtt'}"
    text = edge.json("device", "add", name)["connection_string"]
    with running(edge, program(client), connection_string=text, websockets=websockets) as lines:
        options = ("--payload", '{"rpm": 9}', "--connect-timeout", "20")
        answered = edge.json("device", "method", name, "echo", *options)
        assert answered == {"status": 207, "payload": {"name": "echo", "given": {"rpm": 9}}}
        assert next(lines) == {"method": "echo"}
        options = ("--message-id", "m1", "--property", "a b=x/y", "--wait", "20")
        assert edge.json("device", "send", name, "grüße", *options)["state"] == "completed"
        message = next(lines)
        assert (message["message"], message["message_id"]) == ("grüße", "m1")
        assert message["properties"]["a b"] == "x/y"
        (shown,) = [one for one in edge.json("hub", "status")["clients"] if one["id"] == name]
        assert shown["transport"] == ("websocket" if websockets else "tls")


@pytest.mark.parametrize("client", CLIENTS)
def test_modules_ask_and_answer(edge: Edge, client: str) -> None:
    """A module asks another one by HTTPS, and a leaf device that is not there."""
    needs_https(edge)
    asking, answering = f"{client}-asking", f"{client}-answering"
    for name in (asking, answering):
        edge.json("module", "add", name)
    device = edge.json("module", "add", f"{client}-any")["environment"]["IOTEDGE_DEVICEID"]
    with running(edge, as_module(edge, answering, program(client))) as lines:
        if client == "python":
            asked = [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "asking.py"), "echo", device, answering]
            task = {}
        else:
            asked, task = NODE_PROGRAM, {"ask": [device, answering]}
        done = subprocess.run(
            as_module(edge, asking, asked),
            cwd=NODE,
            input=json.dumps(task) + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            env={**client_environment(edge), "NODE_EXTRA_CA_CERTS": str(edge.root)},
            check=False,
        )
        assert done.stdout, done.stderr
        given = {"from": "module" if client == "python" else "node"}
        assert json.loads(done.stdout.splitlines()[0]) == {"status": 207, "payload": {"name": "echo", "given": given}}
        assert next(lines) == {"method": "echo"}


def test_a_module_asks_a_device_that_is_not_there(edge: Edge) -> None:
    """The SDK sees IoT Hub's status."""
    needs_https(edge)
    edge.json("module", "add", "curious")
    edge.json("device", "add", "absent")
    command = as_module(
        edge, "curious", [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "asking.py"), "echo", "nobody"]
    )
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env=client_environment(edge), check=False
    )
    assert "404" in json.loads(done.stdout)["error"]
