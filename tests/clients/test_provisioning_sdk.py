"""Azure's Python clients, unmodified: a device registers at the gateway's own ports, then sends through the hub.

root ── intermediate ── device CA ── workload CA ── hub            group "line": what the device CA has signed
    `── Line CA ── leaves                                          group "elsewhere": what the Line CA has signed
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import SCRIPTS, client_environment
from tests.clients.test_python_sdk import messages_of
from tests.edge import LEAF_PYTHON, Edge

SCOPE = "leafward"


def provision(edge: Edge, registration_id: str, **task: Any) -> dict[str, Any]:
    task = {
        "host": edge.hostname,
        "id_scope": SCOPE,
        "registration_id": registration_id,
        "root": str(edge.root),
        **task,
    }
    done = subprocess.run(
        [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "provision.py")],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=60,
        env=client_environment(edge),
        check=False,
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def leaf_of_device_ca(edge: Edge, name: str, folder: Path) -> dict[str, str]:
    """A certificate that the gateway's device CA has signed, of a device that the registry does not know."""
    added = edge.json("device", "add", name, "--auth", "x509-ca")
    files = {}
    for kind in ("certificate", "private_key"):
        files[kind] = str(folder / Path(added[kind]).name)
        shutil.copy(added[kind], files[kind])
    assert edge.run("device", "remove", name, "--yes").returncode == 0
    return files


def prove(edge: Edge, certificate: Path, name: str, issuer: str, folder: Path) -> None:
    """Registers a CA, and proves it with the commands that a person has."""
    if any(ca["name"] == name and ca["verified"] for ca in edge.json("provisioning", "ca", "list")):
        return
    assert not edge.json("provisioning", "ca", "add", str(certificate), "--name", name)["verified"]
    code = edge.json("provisioning", "ca", "code", name)["verification_code"]
    proof = folder / "proof"
    edge.json("ca", "leaf", code, "--profile", "verification", "--issuer", issuer, "--out", str(proof))
    assert edge.json("provisioning", "ca", "verify", name, str(proof / "certificate.pem"))["verified"]


@pytest.mark.parametrize("websockets", [False, True])
def test_x509_in_a_group_by_the_device_ca(edge: Edge, tmp_path: Path, websockets: bool) -> None:
    """leaf -> device CA -> intermediate, over MQTT and over WebSocket; the same certificate then opens the hub."""
    if websockets and edge.ready["https"]["port"] != 443:
        pytest.skip("the SDK's WebSocket goes to port 443, which may not be bound here")
    prove(edge, edge.root, "root", "leafward-development-root-ca", tmp_path)
    if edge.run("enrolment", "show", "line", "--group").returncode:
        device_ca = str(edge.home / "manager" / "device-ca" / "certificate.pem")
        edge.json("enrolment", "add", "line", "--group", "--certificate", device_ca)
    name = f"dps-x509-{'ws' if websockets else 'mqtt'}"
    x509 = leaf_of_device_ca(edge, name, tmp_path)
    answer = provision(edge, name, x509=x509, websockets=websockets, payload={"line": 3}, messages=["hello"])
    assert answer["ok"], answer
    assert (answer["status"], answer["hub"], answer["device_id"]) == ("assigned", edge.hostname, name)
    assert (answer["substatus"], answer["payload"]) == ("initialAssignment", {"line": 3})
    assert edge.json("device", "show", name)["auth"] == "x509-ca"
    assert [m["body"] for m in messages_of(edge, name)] == ["hello"]


def test_x509_of_a_ca_that_the_hub_does_not_know(edge: Edge, tmp_path: Path) -> None:
    """leaf -> Line CA, which is proved itself: not issued for this gateway, so the hub knows it by thumbprint."""
    root = next(one for one in edge.json("ca", "list") if one["role"] == "root_ca")["name"]
    ca = edge.json("ca", "intermediate", "Line CA", "--issuer", root)
    certificate = edge.home / "maker" / "authorities" / ca["name"] / "certificate.pem"
    prove(edge, certificate, "line-ca", ca["name"], tmp_path)
    edge.json("enrolment", "add", "elsewhere", "--group", "--ca", "line-ca")
    made = edge.json("ca", "leaf", "dps-line", "--issuer", ca["name"], "--out", str(tmp_path / "leaf"))
    x509 = {"certificate": made["certificate"], "private_key": made["private_key"]}
    answer = provision(edge, "dps-line", x509=x509, messages=["hello"])
    assert answer["ok"], answer
    assert edge.json("device", "show", "dps-line")["auth"] == "x509-thumbprint"
    assert [m["body"] for m in messages_of(edge, "dps-line")] == ["hello"]


def test_symmetric_keys(edge: Edge) -> None:
    """A key of its own, and one derived from a group's: each registers and sends."""
    own = edge.json("enrolment", "add", "dps-key", "--symmetric-key", "--device-id", "north")
    twin = '{"tags": {"line": 3}, "properties": {"desired": {"interval": 5}}}'
    edge.json("enrolment", "add", "batch", "--group", "--symmetric-key", "--twin", twin)
    derived = edge.json("enrolment", "device-key", "batch", "dps-derived")["symmetric_key"]
    for name, device_id, key in (
        ("dps-key", "north", own["attestation"]["symmetricKey"]["primaryKey"]),
        ("dps-derived", "dps-derived", derived),
    ):
        answer = provision(edge, name, symmetric_key=key, messages=["hello"])
        assert answer["ok"], answer
        assert answer["device_id"] == device_id
        assert [m["body"] for m in messages_of(edge, device_id)] == ["hello"]
    shown = edge.json("device", "twin", "show", "dps-derived")
    assert (shown["tags"], shown["properties"]["desired"]["interval"]) == ({"line": 3}, 5)


def test_refused(edge: Edge) -> None:
    """A wrong key: the SDK says 401, and the operator is told why."""
    edge.json("enrolment", "add", "dps-wrong", "--symmetric-key")
    answer = provision(edge, "dps-wrong", symmetric_key="A" * 43 + "=")
    assert not answer["ok"]
    assert any("401" in cause for cause in answer["error"])
