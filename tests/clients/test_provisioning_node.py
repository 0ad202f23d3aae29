"""Azure's clients for Node, unmodified: a device registers at the gateway's own ports, then sends through the hub."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import client_environment
from tests.clients.test_provisioning_sdk import SCOPE, leaf_of_device_ca, prove
from tests.clients.test_python_sdk import messages_of
from tests.edge import Edge

NODE = Path(__file__).parent / "node"
PACKAGES = Path(os.environ.get("LEAFWARD_NODE_MODULES", NODE / "node_modules"))

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (PACKAGES / "azure-iot-provisioning-device-mqtt").exists(),
    reason="node, or azure-iot-provisioning-device-mqtt below tests/clients/node, is not installed: make dev",
)


def provision(edge: Edge, registration_id: str, **task: Any) -> dict[str, Any]:
    task = {
        "host": edge.hostname,
        "id_scope": SCOPE,
        "registration_id": registration_id,
        "root": str(edge.root),
        **task,
    }
    environment = {"NODE_EXTRA_CA_CERTS": str(edge.root), "NODE_PATH": str(PACKAGES)}
    done = subprocess.run(
        ["node", "--require", "./hosts.js", "provision.js"],
        cwd=NODE,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=60,
        env={**client_environment(edge), **environment},
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("websockets", [False, True])
def test_x509(edge: Edge, tmp_path: Path, websockets: bool) -> None:
    """leaf -> device CA -> intermediate, in a group by the device CA."""
    if websockets and edge.ready["https"]["port"] != 443:
        pytest.skip("the SDK's WebSocket goes to port 443, which may not be bound here")
    prove(edge, edge.root, "root", "leafward-development-root-ca", tmp_path)
    if edge.run("enrolment", "show", "line", "--group").returncode:
        device_ca = str(edge.home / "manager" / "device-ca" / "certificate.pem")
        edge.json("enrolment", "add", "line", "--group", "--certificate", device_ca)
    name = f"node-x509-{'ws' if websockets else 'mqtt'}"
    x509 = leaf_of_device_ca(edge, name, tmp_path)
    answer = provision(edge, name, x509=x509, websockets=websockets, messages=["hello"])
    assert answer == {"ok": True, "hub": edge.hostname, "device_id": name, "status": "assigned"}
    assert [m["body"] for m in messages_of(edge, name)] == ["hello"]


def test_symmetric_key(edge: Edge) -> None:
    """A key of its own."""
    added = edge.json("enrolment", "add", "node-key", "--symmetric-key")
    key = added["attestation"]["symmetricKey"]["primaryKey"]
    answer = provision(edge, "node-key", symmetric_key=key, messages=["hello"])
    assert answer == {"ok": True, "hub": edge.hostname, "device_id": "node-key", "status": "assigned"}
    assert [m["body"] for m in messages_of(edge, "node-key")] == ["hello"]
