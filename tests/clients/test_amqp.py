"""Azure's clients over AMQP 1.0, unmodified: services for Python and Node, leaf devices for Node.

service -> 5671 -> hub -> MQTT or AMQP -> leaf device          service -> HTTPS -> twins, direct methods
"""

import contextlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import SCRIPTS, client_environment
from tests.edge import Edge, StartEdge, free_address

NODE = Path(__file__).parent / "node"
SERVICE_PYTHON = Path(sys.prefix) / "service" / "bin" / "python"

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("proton") is None, reason="Qpid Proton is not installed (the extra amqp)"
    ),
]
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "azure-iothub").exists(),
    reason="node, or its packages below tests/clients/node, are not installed: make dev",
)


class Talk:
    """A client that is told what to do line by line, and says what happens."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def tell(self, **what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def heard(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, **what: Any) -> Any:
        self.tell(**what)
        return self.heard()


@contextlib.contextmanager
def talking(edge: Edge, program: str, **task: Any) -> Iterator[Talk]:
    process = subprocess.Popen(
        ["node", "--no-deprecation", "--require", "./hosts.js", program],
        cwd=NODE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**client_environment(edge), "NODE_EXTRA_CA_CERTS": str(edge.root)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        talk = Talk(process)
        talk.tell(**task)
        yield talk
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


@contextlib.contextmanager
def leaf(edge: Edge, name: str) -> Iterator[Talk]:
    """A leaf device that has connected by AMQP."""
    text = edge.json("device", "add", name)["connection_string"]
    with talking(edge, "amqp.js", connection_string=text, root=str(edge.root)) as talk:
        assert talk.ask(open=True) == {"opened": True}
        yield talk


@pytest.fixture(scope="module")
def service_string(edge: Edge) -> str:
    text: str = edge.json("hub", "policy", "create", "service")["primary_connection_string"]
    return text


@needs_node
def test_a_service_and_a_leaf_device(edge: Edge, service_string: str) -> None:
    """Messages and their feedback by AMQP on both sides; twin and methods by HTTPS on one, by AMQP on the other."""
    with (
        leaf(edge, "both") as device,
        talking(edge, "service.js", connection_string=service_string) as service,
    ):
        assert service.ask(open=True) == {"opened": True}
        assert service.ask(listen=True) == {"listening": True}
        device.tell(receive="complete")
        sent = {"body": "hello", "properties": {"a": "b c"}, "ack": "full", "messageId": "m1"}
        assert service.ask(send=["both", sent]) == {"sent": "both"}
        assert device.heard() == {"message": "hello", "message_id": "m1", "properties": {"a": "b c"}, "ack": "full"}
        (record,) = service.ask(feedback=True)["feedback"]
        assert (record["originalMessageId"], record["statusCode"], record["deviceId"]) == ("m1", "Success", "both")
        refused = service.ask(send=["nobody", {"body": "x"}])
        assert (refused["error"], refused["condition"]) == ("DeviceNotFoundError", "amqp:not-found")
        if edge.ready["https"]["port"] != 443:
            return  # the SDKs find HTTPS there and nowhere else
        assert "twin" in device.ask(twin=True)
        assert device.heard()["desired"] == {"$version": 1}
        assert device.ask(report={"x": 1}) == {"reported": True}
        assert service.ask(twin="both")["reported"]["x"] == 1
        assert service.ask(desired=["both", {"interval": 5}])["desired"]["interval"] == 5
        assert device.heard() == {"desired": {"interval": 5, "$version": 2}}
        device.tell(method="echo")
        device.ask(report={"y": 1})
        answer = service.ask(method=["both", "echo", {"q": 1}])
        assert answer == {"answer": {"status": 207, "payload": {"name": "echo", "given": {"q": 1}}}}


@needs_node
def test_telemetry_of_a_leaf_device(edge: Edge) -> None:
    """Each message is told to be sent when it is durable."""
    with leaf(edge, "teller") as device:
        message = {
            "body": '{"t": 21}',
            "properties": {"a": "x/y"},
            "message_id": "m1",
            "content_type": "application/json",
            "content_encoding": "utf-8",
        }
        assert device.ask(send=message) == {"sent": message["body"]}
        assert device.ask(burst=300)["burst"] == 300
        assert device.ask(close=True) == {"closed": True}
    lines = edge.run("messages", "--json").stdout.splitlines()
    found = [one for one in map(json.loads, lines) if one["device_id"] == "teller"]
    assert len(found) == 301
    assert found[0]["body"] == {"t": 21}
    assert found[0]["properties"] == {"a": "x/y"}
    assert found[0]["system"]["messageId"] == "m1"


@needs_node
@pytest.mark.parametrize("how", ["reject", "abandon"])
def test_a_message_that_the_device_does_not_take(edge: Edge, how: str) -> None:
    """Rejected at once; given back ten times, then given up."""
    with leaf(edge, how) as device:
        device.tell(receive=how)
        device.tell(report={})
        done = edge.run("device", "send", how, "x", "--wait", "20")
        assert ("rejected" if how == "reject" else "delivery-count-exceeded") in done.stdout


@needs_node
@pytest.mark.parametrize("auth", ["x509-ca", "x509-thumbprint"])
def test_a_client_certificate(edge: Edge, auth: str) -> None:
    added = edge.json("device", "add", f"amqp-{auth}", "--auth", auth)
    text = f"HostName={edge.hostname};DeviceId=amqp-{auth};x509=true"
    files = {"certificate": added["certificate"], "private_key": added["private_key"]}
    with talking(edge, "amqp.js", connection_string=text, root=str(edge.root), **files) as device:
        assert device.ask(send={"body": "1"}) == {"sent": "1"}


@needs_node
def test_a_token_that_is_renewed(edge: Edge) -> None:
    """The client puts a new one every two seconds; the connection outlives the first by far."""
    text = edge.json("device", "add", "renewing")["connection_string"]
    renewal = {"tokenValidTimeInSeconds": 4, "tokenRenewalMarginInSeconds": 2}
    with talking(edge, "amqp.js", connection_string=text, root=str(edge.root), renewal=renewal) as device:
        assert device.ask(open=True) == {"opened": True}
        since = _since(edge, "renewing", device)
        assert device.ask(pause=6) == {"paused": 6}
        assert device.ask(send={"body": "2"}) == {"sent": "2"}
        assert _since(edge, "renewing", device) == since


def _since(edge: Edge, name: str, device: Talk) -> str:
    assert "sent" in device.ask(send={"body": "1"})
    clients = edge.json("hub", "status")["clients"]
    (since,) = [one["since"] for one in clients if one["id"] == name]
    return str(since)


@needs_node
def test_refused(edge: Edge) -> None:
    """A wrong key, and a policy that was taken away."""
    text = edge.json("device", "add", "wrong-key")["connection_string"]
    head, tail = text.split("SharedAccessKey=")
    wrong = f"{head}SharedAccessKey={'A' * 43}={tail[44:]}"
    with talking(edge, "amqp.js", connection_string=wrong, root=str(edge.root)) as device:
        assert "Unauthorized" in device.ask(open=True)["error"]
    gone = edge.json("hub", "policy", "create", "gone")["primary_connection_string"]
    assert edge.run("hub", "policy", "delete", "gone", "--yes").returncode == 0
    with talking(edge, "service.js", connection_string=gone) as service:
        assert "error" in service.ask(open=True)
    assert "policy-unknown" in {one["code"] for one in edge.json("hub", "failures")["failures"]}


@pytest.mark.skipif(not SERVICE_PYTHON.exists(), reason="Azure's service client for Python is not installed")
def test_the_service_client_for_python(tmp_path: Path, start_edge: StartEdge) -> None:
    """Its AMQP library resolves names by itself, so that the gateway's name is its address here."""
    address = free_address()
    edge = start_edge(tmp_path / "home", "--hostname", address, address=address)
    edge.json("device", "add", "pump-7")
    text = edge.json("hub", "policy", "create", "service")["primary_connection_string"]
    https = edge.ready["https"]["port"] == 443
    tasks: list[Any] = [["send", "pump-7", "from python", {"a": "b", "messageId": "m1"}], ["send", "nobody", "x"]]
    tasks += [["desired", "pump-7", {"n": 1}], ["twin", "pump-7"], ["method", "pump-7", "echo", {}]] if https else []
    done = subprocess.run(
        [str(SERVICE_PYTHON), "-W", "ignore", str(SCRIPTS / "service.py")],
        input=json.dumps({"connection_string": text, "root": str(edge.root), "do": tasks}),
        capture_output=True,
        text=True,
        timeout=60,
        env={**client_environment(edge), "REQUESTS_CA_BUNDLE": str(edge.root)},
        check=False,
    )
    assert done.stdout, done.stderr
    sent, refused, *others = json.loads(done.stdout.splitlines()[-1])
    assert sent == "sent"
    assert "C2D message send failure" in refused["error"]
    waiting = edge.run("device", "send", "pump-7", "--list").stdout
    assert "m1" in waiting
    assert "from python" in waiting
    if https:
        assert [one["n"] for one in others[:2]] == [1, 1]
        assert "Not Found" in others[2]["error"]
