"""The parts as two users on one home: a leaf device connects, and the hub's user reaches no key of the manager's.

    uid 61001  manager                manager/, device CA, trust/
    uid 61002  hub, provisioning      hub/
    gid 61000  both                   registry.db, run/

As systemd runs them: no new privileges, no memory that becomes code (where the kernel can forbid it).
"""

import json
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leafward.authority.development import Names, make_development_chain
from leafward.cli import units
from leafward.store.home import Home
from tests.cli.service_manager import Interpreter, NotifySocket, Service
from tests.clients.mqtt_client import MqttClient, password, username
from tests.edge import free_address

MANAGER, HUB, GROUP = 61001, 61002, 61000
HOST = "gateway.test"

if os.geteuid() != 0:
    pytest.skip("starting processes as other users needs root", allow_module_level=True)


@dataclass
class Gateway:
    """A home laid out for two users, and its running parts. Enough of an `Edge` for the MQTT client."""

    home: Home
    address: str
    notify: list[NotifySocket] = field(default_factory=list)
    services: dict[str, Service] = field(default_factory=dict)
    hostname: str = HOST
    interpreter: Interpreter = field(default_factory=Interpreter)

    @property
    def root(self) -> Path:
        return self.home.root_certificate

    def start(self, part: str) -> Service:
        options = ["--bind", self.address, "--https-port", "0"] if part == "hub" else []
        notify = NotifySocket(f"@leafward-test-{os.getpid()}-{len(self.notify)}")
        self.notify.append(notify)
        arguments = [part, "run", "--home", str(self.home.root), "--log-format", "json", *options]
        uid = MANAGER if part == "manager" else HUB
        self.services[part] = Service(self.interpreter, arguments, notify, uid=uid, gid=GROUP)
        return self.services[part]

    def run(self, uid: int, *arguments: str, gid: int = GROUP) -> subprocess.CompletedProcess[str]:
        return self.interpreter.run(uid, gid, *arguments)

    def close(self) -> None:
        for service in reversed(self.services.values()):
            service.stop()
        for notify in self.notify:
            notify.__exit__()


def lay_out(home: Home) -> None:
    """What systemd-tmpfiles would do with our snippet."""
    plan = units.Plan(Path("/x"), home.root, "manager", "hub", "0.0.0.0", 8883, 443)
    ids = {"manager": MANAGER, "hub": HUB}
    for line in units.folders(plan).splitlines():
        kind, where, mode, user, _group, _age = line.split()
        path = Path(where)
        if kind == "d":
            path.mkdir(exist_ok=True)
        elif kind == "f":
            path.touch()
        os.chown(path, ids[user], GROUP)
        path.chmod(int(mode, 8))


def give(path: Path, uid: int) -> None:
    for one in (path, *path.rglob("*")):
        os.chown(one, uid, GROUP)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """In a folder with a short path that others may pass through: sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="lw"))
    folder.chmod(0o755)
    home = Home(folder / "h")
    home.root.mkdir()
    home.settings.write_text(f'[device]\nhostname = "{HOST}"\n[manager]\nhub_user = "{HUB}"\n')
    lay_out(home)
    make_development_chain(folder / "maker", home.manager / "device-ca", Names(), HOST, now=datetime.now(UTC))
    give(home.manager, MANAGER)
    made = Gateway(home, free_address())
    try:
        if made.run(MANAGER, "-c", "import leafward.cli.main").returncode:
            pytest.skip("another user cannot read this interpreter's files")
        for part in ("manager", "hub", "provisioning"):
            made.start(part)
        for service in made.services.values():
            service.wait_until_ready()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


def test_a_leaf_device_connects(gateway: Gateway) -> None:
    """root -> intermediate -> device CA -> workload CA -> hub: issued by one user, served by another."""
    added = gateway.run(
        MANAGER, "-m", "leafward", "device", "add", "pump-7", "--home", str(gateway.home.root), "--json"
    )
    assert added.returncode == 0, added.stderr
    secret = json.loads(added.stdout)["connection_string"]
    with MqttClient(gateway) as client:  # type: ignore[arg-type]
        answer = client.connect("pump-7", username(HOST, "pump-7"), password(secret))
        assert answer.return_code == 0


def test_each_part_runs_as_its_user(gateway: Gateway) -> None:
    uids = {part: Path(f"/proc/{one.process.pid}").stat().st_uid for part, one in gateway.services.items()}
    assert uids == {"manager": MANAGER, "hub": HUB, "provisioning": HUB}


READ = "import sys\nfor path in sys.argv[1:]:\n try: open(path).close(); print(path)\n except PermissionError: pass"


def test_the_hubs_user_reads_nothing_of_the_managers(gateway: Gateway) -> None:
    """Every file below manager/: device CA key, workload CA, master key, module keys."""
    home = gateway.home
    files = [str(path) for path in home.manager.rglob("*") if path.is_file()]
    assert str(home.manager / "device-ca" / "key.pem") in files
    assert any("workload-ca" in path and path.endswith("key.pem") for path in files)
    tried = gateway.run(HUB, "-c", READ, *files)
    assert (tried.returncode, tried.stdout) == (0, "")
    assert gateway.run(HUB, "-c", "import os,sys; os.listdir(sys.argv[1])", str(home.manager)).returncode == 1


def test_the_managers_user_reads_no_message(gateway: Gateway) -> None:
    tried = gateway.run(MANAGER, "-c", READ, *map(str, gateway.home.hub.iterdir()))
    assert (tried.returncode, tried.stdout) == (0, "")


def test_nobody_else_gets_in(gateway: Gateway) -> None:
    """Not to the registry, which holds the devices' keys, nor to a socket."""
    home = gateway.home
    for path in (home.registry, *home.root.glob("registry.db-*")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert path.stat().st_gid == GROUP
    assert stat.S_IMODE(home.root.stat().st_mode) & 0o007 == 0
    code = "import socket,sys\nsocket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    for path in (home.workload_socket, home.management_socket, home.provisioning_socket):
        tried = gateway.run(61009, "-c", code, str(path), gid=61009)
        assert "PermissionError" in tried.stderr


ASK = """
import http.client, socket, sys
for method, path in (line.split() for line in sys.argv[2:]):
    connection = http.client.HTTPConnection("manager", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(sys.argv[1])
    connection.request(method, path + "?api-version=2019-01-30")
    print(connection.getresponse().status)
"""


def test_the_hubs_user_may_attach_the_hub_and_nothing_else(gateway: Gateway) -> None:
    refused = ["GET /modules", "GET /status", "POST /modules/sensor/attach", "DELETE /modules/sensor"]
    calls = [*refused, "POST /modules/%24edgeHub/attach"]
    done = gateway.run(HUB, "-c", ASK, str(gateway.home.management_socket), *calls)
    assert done.stdout.split() == ["403"] * len(refused) + ["200"], done.stderr


def test_the_hub_serves_on_while_its_manager_is_started_anew(gateway: Gateway) -> None:
    code, _out, err = gateway.services["manager"].stop()
    assert code == 0, err
    before = served(gateway)
    gateway.start("manager").wait_until_ready()
    assert served(gateway) == before


def served(gateway: Gateway) -> Any:
    with MqttClient(gateway) as client:  # type: ignore[arg-type]
        return client.socket.getpeercert()


def test_a_registry_that_was_kept_private_is_shared_again(gateway: Gateway) -> None:
    """As after a wipe, or a copy put back: the next start of the manager gives the group what is the group's."""
    gateway.services["manager"].stop()
    gateway.home.registry.chmod(0o600)
    gateway.start("manager").wait_until_ready()
    assert stat.S_IMODE(gateway.home.registry.stat().st_mode) == 0o660
