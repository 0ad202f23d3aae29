"""A hub that is rotated, killed and started again, under Azure's unmodified clients: nothing acknowledged is lost.

manager ── hub: rotated, SIGKILL, started again, rotated
             ├── MQTT, MQTT over WebSocket ── leaf devices by key and by certificate (Python, Node)
             └── MQTT, MQTT over WebSocket ── modules (Python, Node)

All of them send from the beginning to the end. The manager lives, as it does where each part is a service of its own.
"""

import contextlib
import json
import queue
import shutil
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leafward.authority.development import Names, make_development_chain
from leafward.store.home import Home
from tests.clients.conftest import SCRIPTS, client_environment
from tests.edge import LEAF_PYTHON, LEAFWARD, Edge, free_address, leafward_json

HOST = "gateway.test"
NODE = Path(__file__).parent / "node"
PROGRAMS = {
    "python": [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "steady.py")],
    "node": ["node", "--require", "./hosts.js", "steady.js"],
}
PATIENCE_SECONDS = 60.0
# The SDKs find the HTTPS port at 443 and nowhere else.
HTTPS = 443


class Gateway(Edge):
    """Manager and hub, each a process of its own."""

    def __init__(self, home: Home) -> None:
        self.address = free_address()
        self.home = home.root
        home.root.mkdir()
        home.settings.write_text(f'[device]\nhostname = "{HOST}"\n')
        make_development_chain(home.maker, home.manager / "device-ca", Names(), HOST, now=datetime.now(UTC))
        self.manager = self._start("manager")
        self.hub, self.has_websocket = self._start_hub()

    @property
    def hostname(self) -> str:
        return HOST

    @property
    def root(self) -> Path:
        return Home(self.home).root_certificate

    def kill_the_hub(self) -> None:
        self.hub.kill()
        self.hub.communicate()

    def start_the_hub(self) -> None:
        self.hub, _ = self._start_hub()

    def close(self) -> None:
        for process in (self.hub, self.manager):
            process.terminate()
            process.communicate(timeout=30)

    def _start_hub(self) -> tuple["subprocess.Popen[str]", bool]:
        hub = self._start("hub", "--bind", self.address)
        return hub, f"port {HTTPS}\n" in self.said[-1]

    def _start(self, part: str, *options: str) -> "subprocess.Popen[str]":
        command = [str(LEAFWARD), part, "run", "--home", str(self.home), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        self.said = [process.stdout.readline()]
        assert self.said[0], "it has ended"
        return process


class Fleet:
    """What the clients say, by name."""

    def __init__(self) -> None:
        self.sent: dict[str, int] = defaultdict(int)
        self.messages: dict[str, list[str]] = defaultdict(list)
        self.connections: dict[str, list[bool]] = defaultdict(list)
        self.desired: dict[str, Any] = {}
        self.errors: list[Any] = []
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()

    @contextlib.contextmanager
    def running(self, command: list[str], edge: Edge, clients: list[dict[str, Any]]) -> Iterator[None]:
        """A process with some clients; at the end they stop by themselves."""
        environment = {**client_environment(edge), "NODE_EXTRA_CA_CERTS": str(edge.root)}
        with subprocess.Popen(
            command,
            cwd=NODE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        ) as process:
            assert process.stdin is not None
            reader = threading.Thread(target=self._read, args=[process])
            reader.start()
            try:
                process.stdin.write(json.dumps({"root": str(edge.root), "clients": clients}) + "\n")
                process.stdin.flush()
                yield
            finally:
                process.stdin.close()
                try:
                    process.wait(20)
                finally:
                    process.kill()
                    reader.join()
        self._take_all()

    def wait_for_more(self, names: list[str], count: int = 5) -> None:
        """Until each has so many more messages acknowledged than now."""
        self._take_all()
        goals = {name: self.sent[name] + count for name in names}
        self._wait(lambda: all(self.sent[name] >= goal for name, goal in goals.items()))

    def wait_for_message(self, names: list[str], text: str) -> None:
        """Until each has received it."""
        self._wait(lambda: all(text in self.messages[name] for name in names))

    def wait_for_round(self, names: list[str], number: int) -> None:
        """Until each has been told its desired property of that round."""
        self._wait(lambda: all(self.desired.get(name) == number for name in names))

    def _wait(self, done: Any) -> None:
        last = time.monotonic() + PATIENCE_SECONDS
        while not done():
            try:
                self._take(self._lines.get(timeout=max(0.0, last - time.monotonic())))
            except queue.Empty:
                raise AssertionError((dict(self.sent), dict(self.messages), self.errors[-5:])) from None

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with contextlib.suppress(ValueError):
                self._lines.put(json.loads(line))

    def _take_all(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._lines.get_nowait())

    def _take(self, said: dict[str, Any]) -> None:
        name = said.get("name", "")
        if "sent" in said:
            assert said["sent"] == self.sent[name]
            self.sent[name] += 1
        elif "message" in said:
            self.messages[name].append(said["message"])
        elif "desired" in said:
            self.desired[name] = said["desired"].get("round")
        elif "connected" in said:
            self.connections[name].append(said["connected"])
        else:
            self.errors.append(said)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = Gateway(Home(tmp_path / "home"))
    yield gateway
    gateway.close()


def leaf_devices(gateway: Gateway, language: str) -> list[dict[str, Any]]:
    """By key and by certificate, over MQTT and over WebSocket. Node's client knows no certificates over WebSocket."""
    found: list[dict[str, Any]] = []
    ways = [(False, "sas"), (False, "x509-ca"), (True, "sas"), (True, "x509-ca")]
    for websockets, auth in ways:
        if (websockets and not gateway.has_websocket) or (websockets and auth != "sas" and language == "node"):
            continue
        name = f"{language}-{auth}{'-ws' if websockets else ''}"
        added = gateway.json("device", "add", name, "--auth", auth)
        client: dict[str, Any] = {"name": name, "websockets": websockets}
        files = {key: added[key] for key in ("certificate", "private_key")}
        if auth == "sas":
            client["connection_string"] = added["connection_string"]
        elif language == "node":
            client |= {"connection_string": f"HostName={HOST};DeviceId={name};x509=true", **files}
        else:
            client["x509"] = {**files, "device_id": name, "gateway": HOST}
        found.append(client)
    return found


def module(gateway: Gateway, language: str, *, websockets: bool) -> tuple[list[str], list[dict[str, Any]]]:
    """The command and the one client of a module."""
    name = f"{language}-module{'-ws' if websockets else ''}"
    gateway.json("module", "add", name)
    command = [str(LEAFWARD), "module", "run", name, "--home", str(gateway.home), "--", *PROGRAMS[language]]
    return command, [{"name": name, "websockets": websockets}]


def stored(gateway: Gateway) -> dict[str, list[str]]:
    """The bodies that the hub has, by device or module."""
    bodies: dict[str, list[str]] = defaultdict(list)
    for line in gateway.run("messages", "--json").stdout.splitlines():
        message = json.loads(line)
        bodies[message["module_id"] or message["device_id"]].append(message["body"])
    return bodies


@pytest.mark.parametrize("language", ["python", "node"])
def test_nothing_acknowledged_is_lost(gateway: Gateway, language: str) -> None:
    """Rotation: nobody is dropped. SIGKILL: everybody comes back, answers methods and hears of its twin as before.

    Messages to devices wait through both.
    """
    if language == "node" and (shutil.which("node") is None or not (NODE / "node_modules").exists()):
        pytest.skip("node, or its packages below tests/clients/node, are not installed: make dev")
    leaves = leaf_devices(gateway, language)
    processes = [(PROGRAMS[language], leaves), module(gateway, language, websockets=False)]
    if gateway.has_websocket:
        processes.append(module(gateway, language, websockets=True))
    names = [client["name"] for _command, clients in processes for client in clients]
    devices = [client["name"] for client in leaves]
    send_to(gateway, devices, "before the first connection")
    gateway.kill_the_hub()
    gateway.start_the_hub()
    fleet = Fleet()
    with contextlib.ExitStack() as stack:
        for command, clients in processes:
            stack.enter_context(fleet.running(command, gateway, clients))
        fleet.wait_for_more(names)
        fleet.wait_for_message(devices, "before the first connection")
        spoken_to(gateway, fleet, names, 1)
        rotated(gateway, fleet, names)
        send_to(gateway, devices, "right before the kill")
        gateway.kill_the_hub()
        gateway.start_the_hub()
        fleet.wait_for_more(names)
        fleet.wait_for_message(devices, "right before the kill")
        spoken_to(gateway, fleet, names, 2)
        rotated(gateway, fleet, names)
    assert all(fleet.sent[name] >= 20 for name in names)
    found = stored(gateway)
    for name in names:
        # Twice where an acknowledgement was lost on its way; in order the first time.
        assert list(dict.fromkeys(found[name]))[: fleet.sent[name]] == [
            f"{name} {number}" for number in range(fleet.sent[name])
        ]


def send_to(gateway: Gateway, devices: list[str], text: str) -> None:
    for name in devices:
        gateway.json("device", "send", name, text)


def spoken_to(gateway: Gateway, fleet: Fleet, names: list[str], number: int) -> None:
    """Each answers a method, and is told a desired property."""
    for name in names:
        whose = ["edge-device", "--module", name] if "module" in name else [name]
        payload = ["--payload", json.dumps({"round": number}), "--connect-timeout", "20"]
        answered = gateway.json("device", "method", whose[0], "echo", *whose[1:], *payload)
        assert answered == {"status": 207, "payload": {"given": {"round": number}}}
        gateway.json("device", "twin", "set", *whose, "--desired", json.dumps({"round": number}))
    fleet.wait_for_round(names, number)


def rotated(gateway: Gateway, fleet: Fleet, names: list[str]) -> None:
    """Every level below the device CA anew; all clients keep the connection that they have."""
    fleet.wait_for_more(names, 1)
    before = {name: len(fleet.connections[name]) for name in names}
    for level in ("hub", "workload"):
        outcome = leafward_json("manager", "rotate", level, home=gateway.home)
        assert outcome["state"] == "done", outcome
        fleet.wait_for_more(names)
    assert {name: len(fleet.connections[name]) for name in names} == before
