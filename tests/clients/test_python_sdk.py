"""Azure's Python client, unmodified: leaf devices by key and by certificate, modules by the Workload API."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.clients.conftest import SCRIPTS, RunDevice, client_environment
from tests.edge import LEAF_PYTHON, LEAFWARD, Edge, StartEdge


def messages_of(edge: Edge, device_id: str, module_id: str | None = None) -> list[dict[str, Any]]:
    lines = edge.run("messages", "--json").stdout.splitlines()
    found = [json.loads(line) for line in lines]
    return [m for m in found if m["device_id"] == device_id and m["module_id"] == module_id]


def test_sas_leaf_sends_telemetry_with_properties(edge: Edge, run_device: RunDevice) -> None:
    """root -> intermediate -> device CA -> workload CA -> hub; the leaf holds the root and a key."""
    added = edge.json("device", "add", "sas-leaf")
    assert set(added) == {
        "device_id", "auth", "connection_string", "certificate", "private_key", "root", "gateway_hostname",
    }  # fmt: skip
    sent = [
        {
            "body": '{"temperature": 21.5}',
            "content_type": "application/json",
            "message_id": "m1",
            "properties": {"a b": "x/y", "unicode": "grüße"},
        },
        {"body": "plain text"},
    ]
    assert run_device(connection_string=added["connection_string"], messages=sent) == {"ok": True}
    first, second = messages_of(edge, "sas-leaf")
    assert first["body"] == {"temperature": 21.5}
    assert first["encoding"] == "json"
    assert first["properties"] == {"a b": "x/y", "unicode": "grüße"}
    assert first["system"]["messageId"] == "m1"
    assert first["system"]["contentType"] == "application/json"
    assert first["output"] is None
    assert (second["body"], second["encoding"]) == ("plain text", "text")


def test_x509_ca_leaf(edge: Edge, run_device: RunDevice) -> None:
    """root -> intermediate -> device CA -> leaf "ca-leaf": the chain is sent, its name is the device id."""
    added = edge.json("device", "add", "ca-leaf", "--auth", "x509-ca")
    assert added["connection_string"] is None
    answer = run_device(x509=credentials(added), messages=[{"body": "by certificate"}])
    assert answer == {"ok": True}
    assert [m["body"] for m in messages_of(edge, "ca-leaf")] == ["by certificate"]


def test_x509_thumbprint_leaf(edge: Edge, run_device: RunDevice) -> None:
    """A self-signed leaf, known by its thumbprint."""
    added = edge.json("device", "add", "print-leaf", "--auth", "x509-thumbprint")
    answer = run_device(x509=credentials(added), messages=[{"body": "by thumbprint"}])
    assert answer == {"ok": True}
    assert [m["body"] for m in messages_of(edge, "print-leaf")] == ["by thumbprint"]


def credentials(added: dict[str, Any]) -> dict[str, str]:
    return {
        "certificate": added["certificate"],
        "private_key": added["private_key"],
        "device_id": added["device_id"],
        "gateway": added["gateway_hostname"],
    }


def module_command(edge: Edge, name: str, *arguments: str) -> list[str]:
    program = [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "module.py"), *arguments]
    return [str(LEAFWARD), "module", "run", name, "--home", str(edge.home), "--", *program]


def run_module(edge: Edge, name: str, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        module_command(edge, name, *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        env=client_environment(edge),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_module_signs_through_the_workload_api(edge: Edge) -> None:
    """The module has no key: the manager signs for the process it knows as this module."""
    added = edge.json("module", "add", "sensor")
    assert added["module_id"] == "sensor"
    assert added["environment"]["IOTEDGE_MODULEID"] == "sensor"
    assert run_module(edge, "sensor", "send", "out", '{"n": 1}') == [{"connected": True}, {"sent": True}]
    (message,) = messages_of(edge, added["environment"]["IOTEDGE_DEVICEID"], "sensor")
    assert (message["output"], message["body"], message["properties"]) == ("out", {"n": 1}, {"from": "sender"})


ROUTE = 'FROM /messages/modules/sender/outputs/out INTO BrokeredEndpoint("/modules/receiver/inputs/in")'


def test_module_output_by_route_to_another_modules_input(tmp_path: Path, start_edge: StartEdge) -> None:
    """sender -> output "out" -> route -> input "in" of receiver; it waits on disk until the receiver is there."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "leafward.toml").write_text(
        f"""
        [device]
        hostname = "gateway.test"
        [hub.routes]
        filtered = '{ROUTE}'
        """
    )
    edge = start_edge(home)
    for name in ("sender", "receiver"):
        edge.json("module", "add", name)
    run_module(edge, "sender", "send", "out", '{"n": 1}')
    connected, received = run_module(edge, "receiver", "receive", "1")
    assert connected == {"connected": True}
    assert (received["input"], received["body"]) == ("in", '{"n": 1}')
    # A forwarded message says whose it is (IoT Hub's $.cdid and $.cmid).
    assert received["properties"] == {"from": "sender", "$.cdid": "edge-device", "$.cmid": "sender"}
    run_module(edge, "sender", "send", "other", '{"n": 2}')
    assert edge.run("messages", "--json").stdout == ""
