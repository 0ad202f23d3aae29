"""A child gateway as people set one up: the maker, the parent's command, a stick, and an SDK's leaf device behind it.

maker: root -> intermediate -> parent's device CA       leafward ca
parent:                        -> child's device CA     leafward manager child
child:                         -> workload CA -> hub    leafward up
leaf:  knows the root, and nothing of the gateways between
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leafward.pki.chain import Chain
from leafward.store.home import Home
from tests.clients.conftest import SCRIPTS, client_environment
from tests.edge import LEAF_PYTHON, Edge, StartEdge, leafward, leafward_json
from tests.manager.conftest import set_device

PARENT, CHILD = "plant.test", "line-3.test"


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A parent gateway whose device CA leaves room: its maker signed its request with a path length of 2."""
    folder = tmp_path_factory.mktemp("nested")
    maker, home = folder / "maker", Home(folder / "parent")
    set_device(home, hostname=PARENT)
    done(leafward("ca", "init", "--cn", "Nested Root", home=maker))
    intermediate = (
        "ca",
        "intermediate",
        "Nested Intermediate",
        "--issuer",
        "nested-root",
        "--intermediates-below",
        "1",
    )
    done(leafward(*intermediate, "--permit-dns", "test", home=maker))
    place = home.manager / "device-ca"
    place.mkdir(mode=0o700, parents=True)
    home.manager.chmod(0o700)
    request(place / "key.pem", folder / "parent.csr")
    sign = ("ca", "sign", str(folder / "parent.csr"), "--profile", "intermediate_ca", "--issuer", "nested-intermediate")
    certificate = ("--name", "plant-gateway.ca", "--out", str(place / "certificate.pem"), "--permit-dns", "test")
    done(leafward(*sign, *certificate, home=maker))
    return home


def request(key: Path, csr: Path) -> None:
    """As somebody does it without us."""
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=whatever"]
    command = ["openssl", "req", "-new", *options, "-keyout", str(key), "-out", str(csr)]
    subprocess.run(command, check=True, capture_output=True, umask=0o077)


def done(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_a_leaf_device_behind_the_child_trusts_the_root_alone(
    parent: Home, tmp_path: Path, start_edge: StartEdge
) -> None:
    """root -> intermediate -> parent -> child -> workload CA -> hub; Azure's unmodified client holds the root."""
    if not LEAF_PYTHON.exists():
        pytest.skip("the leaf device's environment is not there: make install")
    request(tmp_path / "child.key", tmp_path / "child.csr")
    stick = tmp_path / "stick"
    asked = ("line-3.ca", "--csr", str(tmp_path / "child.csr"), "--out", str(stick), "--register", "line-3")
    facts = leafward_json("manager", "child", *asked, home=parent.root)
    assert (facts["private_key"], facts["parent_hostname"], facts["new"]) == (None, PARENT, True)
    edge = start_child(tmp_path / "child", stick, tmp_path / "child.key", start_edge)
    target = f"{edge.ready['mqtts']['host']}:{edge.ready['mqtts']['port']}"
    chain = leafward_json("chain", target, "--name", CHILD, home=edge.home)
    assert [one["common_name"] for one in chain["certificates"]] == [
        CHILD, "iotedge workload ca", "line-3.ca", "plant-gateway.ca", "Nested Intermediate", "Nested Root",
    ]  # fmt: skip
    added = edge.json("device", "add", "sensor")
    assert sent(edge, added) == {"ok": True}
    (message,) = (json.loads(line) for line in edge.run("messages", "--json").stdout.splitlines())
    assert message["device_id"] == "sensor"
    module = edge.json("module", "add", "reader")
    assert module["environment"]["IOTEDGE_PARENTHOSTNAME"] == PARENT
    assert edge.run("module", "add", "plant").returncode == 0
    assert "parent gateway" in edge.run("module", "add", PARENT).stderr


def start_child(home: Path, stick: Path, key: Path, start_edge: StartEdge) -> Edge:
    """What `leafward manager child` says to do next."""
    place = home / "manager" / "device-ca"
    place.mkdir(mode=0o700, parents=True)
    for folder in (home, home / "manager"):
        folder.chmod(0o700)
    shutil.copy(stick / "certificate.pem", place)
    shutil.copy(key, place / "key.pem")
    shutil.copy(stick / "trust-bundle.pem", home)
    set_device(Home(home), hostname=CHILD, parent_hostname=PARENT, trust_bundle="trust-bundle.pem", device_id="line-3")
    return start_edge(home)


def sent(edge: Edge, added: dict[str, Any]) -> Any:
    task = {"connection_string": added["connection_string"], "root": added["root"], "messages": [{"body": "hello"}]}
    ran = subprocess.run(
        [str(LEAF_PYTHON), "-W", "ignore", str(SCRIPTS / "device.py")],
        input=json.dumps(task), capture_output=True, text=True, timeout=60, env=client_environment(edge), check=False,
    )  # fmt: skip
    assert ran.stdout, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture
def child(parent: Home, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return leafward("manager", "child", *arguments, home=parent.root, cwd=tmp_path)

    return run


def test_the_command_by_hand(child: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """A key made here, refused twice, listed, replaced."""
    said = child("line-5.ca")
    assert said.returncode == 0, said.stderr
    assert "parent_hostname" in said.stderr
    assert Chain.from_pem((tmp_path / "line-5.ca" / "certificate.pem").read_bytes()).is_complete
    refused = child("line-5.ca", "--out", str(tmp_path / "other"))
    assert (refused.returncode, "there is a child gateway" in refused.stderr) == (3, True)
    assert child("line-5.ca").stdout.startswith("it was signed already")
    assert child("line-5.ca", "--out", str(tmp_path / "new"), "--replace").returncode == 0
    listed = json.loads(child("--list", "--json").stdout)
    assert [one["living"] for one in listed if one["name"] == "line-5.ca"] == [False, True]
    assert "certificate" not in listed[0]
    assert "replaced" in child("--list").stdout


def test_wrong_use(child: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert child().returncode == 2
    assert "beyond this gateway's own" in child("line-6.ca", "--permit-dns", "example.org").stderr
    too_deep = child("line-6.ca", "--gateways-below", "1")
    assert (too_deep.returncode, "path length" in too_deep.stderr) == (3, True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a home of another user needs root to make")
def test_root_does_not_write_into_the_managers_folder(
    parent: Home, child: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    os.chown(parent.manager, 61001, 61000)
    try:
        refused = child("line-7.ca")
    finally:
        os.chown(parent.manager, 0, 0)
    assert (refused.returncode, "for the manager's own user" in refused.stderr) == (3, True)
