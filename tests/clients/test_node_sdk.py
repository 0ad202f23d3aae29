"""Azure's client for Node, unmodified: TLS 1.3, and its own ways with connection strings."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import client_environment
from tests.clients.test_python_sdk import messages_of
from tests.edge import Edge

NODE = Path(__file__).parent / "node"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").exists(),
    reason="node, or its packages below tests/clients/node, are not installed: make dev",
)


def run_node(edge: Edge, **task: Any) -> dict[str, Any]:
    task.setdefault("root", str(edge.root))
    done = subprocess.run(
        ["node", "--require", "./hosts.js", "device.js"],
        cwd=NODE,
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=60,
        env=client_environment(edge),
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_sas_leaf(edge: Edge) -> None:
    text = edge.json("device", "add", "node-sas")["connection_string"]
    assert run_node(edge, connection_string=text, messages=['{"n": 1}', '{"n": 2}']) == {"ok": True}
    found = messages_of(edge, "node-sas")
    assert [m["body"] for m in found] == [{"n": 1}, {"n": 2}]
    assert found[0]["properties"] == {"client": "node js"}


@pytest.mark.parametrize("auth", ["x509-ca", "x509-thumbprint"])
def test_x509_leaf(edge: Edge, auth: str) -> None:
    """This client drops GatewayHostName for certificates: HostName has to be the gateway."""
    name = f"node-{auth}"
    added = edge.json("device", "add", name, "--auth", auth)
    text = f"HostName={edge.hostname};DeviceId={name};x509=true"
    files = {"certificate": added["certificate"], "private_key": added["private_key"]}
    assert run_node(edge, connection_string=text, messages=['{"n": 1}'], **files) == {"ok": True}
    assert [m["body"] for m in messages_of(edge, name)] == [{"n": 1}]


def test_only_the_device_ca_as_root(edge: Edge, tmp_path: Path) -> None:
    text = edge.json("device", "add", "node-partial")["connection_string"]
    chain = (edge.home / "manager" / "device-ca" / "certificate.pem").read_text()
    partial = tmp_path / "device-ca.pem"
    partial.write_text(chain[: chain.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n")
    answer = run_node(edge, connection_string=text, root=str(partial), messages=[])
    assert not answer["ok"]
    assert "issuer certificate" in answer["error"]


def test_wrong_key(edge: Edge) -> None:
    text = edge.json("device", "add", "node-wrong")["connection_string"]
    head, tail = text.split("SharedAccessKey=")
    answer = run_node(edge, connection_string=f"{head}SharedAccessKey={'A' * 43}={tail[44:]}", messages=[])
    assert not answer["ok"]
    assert "UnauthorizedError" in answer["error"] or "Not authorized" in answer["error"]
