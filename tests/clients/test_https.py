"""Telemetry over HTTPS by curl: IoT Hub's REST form, with a token or a client certificate."""

import json
import shutil
import subprocess
from typing import Any

import pytest

from tests.clients.mqtt_client import password
from tests.clients.test_python_sdk import messages_of
from tests.edge import Edge

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def curl(edge: Edge, path: str, *options: str) -> tuple[int, str]:
    """(HTTP status, body)."""
    port = edge.ready["https"]["port"]
    done = subprocess.run(
        [
            "curl", "--silent", "--show-error", "--cacert", str(edge.root), "--max-time", "20",
            "--resolve", f"{edge.hostname}:{port}:{edge.address}", "--write-out", "\n%{http_code}",
            *options, f"https://{edge.hostname}:{port}{path}",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def events(device_id: str) -> str:
    return f"/devices/{device_id}/messages/events?api-version=2020-03-13"


def test_with_a_token(edge: Edge) -> None:
    text = edge.json("device", "add", "http-sas")["connection_string"]
    headers = ("-H", f"Authorization: {password(text)}", "-H", "Content-Type: application/json")
    status, _ = curl(edge, events("http-sas"), *headers, "-H", "iothub-app-kind: http", "-d", '{"n": 1}')
    assert status == 204
    (message,) = messages_of(edge, "http-sas")
    assert (message["body"], message["properties"]) == ({"n": 1}, {"kind": "http"})


def test_with_a_certificate(edge: Edge) -> None:
    added: dict[str, Any] = edge.json("device", "add", "http-cert", "--auth", "x509-ca")
    files = ("--cert", added["certificate"], "--key", added["private_key"])
    status, _ = curl(edge, events("http-cert"), *files, "-d", "hello")
    assert status == 204
    assert [m["body"] for m in messages_of(edge, "http-cert")] == ["hello"]


def test_without_a_credential(edge: Edge) -> None:
    edge.json("device", "add", "http-none")
    assert curl(edge, events("http-none"), "-d", "x")[0] == 401
    assert messages_of(edge, "http-none") == []


def test_as_another_device(edge: Edge) -> None:
    """The certificate of one device, the path of another."""
    edge.json("device", "add", "http-victim", "--auth", "x509-ca")
    added = edge.json("device", "add", "http-thief", "--auth", "x509-ca")
    files = ("--cert", added["certificate"], "--key", added["private_key"])
    assert curl(edge, events("http-victim"), *files, "-d", "x")[0] == 401


def test_health(edge: Edge) -> None:
    status, body = curl(edge, "/health")
    assert (status, json.loads(body)) == (200, {"status": "ok"})
