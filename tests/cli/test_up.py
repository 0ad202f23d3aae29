"""`leafward up`: from nothing to a working edge and back, killed in between, twice at once."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from leafward.cli import up
from leafward.cli.edge import keeping_hostname
from leafward.errors import SettingsError
from leafward.pki.names import parse_host
from leafward.store.device_settings import read_device
from leafward.store.home import Home
from tests.edge import Edge, StartEdge, free_address, leafward, leafward_json

SEED = ["Azure IoT Hub CA Cert Test Only", "Azure IoT Hub Intermediate Cert Test Only", "iotgateway.ca"]
SEED_OPTIONS = ("--root-name", SEED[0], "--intermediate-name", SEED[1], "--device-ca-name", SEED[2])


def served(edge: Edge) -> list[str]:
    """The fingerprints of the chain that the hub presents, leaf first."""
    target = f"{edge.ready['mqtts']['host']}:{edge.ready['mqtts']['port']}"
    described = leafward_json("chain", target, "--name", edge.hostname, home=edge.home)
    assert described["complete"]
    return [certificate["sha256"] for certificate in described["certificates"]]


def runs(pid: int) -> bool:
    """Whether a process is there and not only its entry, which whoever adopted it has not collected yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# Only where the extra is installed is there such a listener.
AMQP = {"amqps"} if find_spec("proton") else set[str]()


def test_ready_says_where_everything_is(edge: Edge) -> None:
    ready = edge.ready
    assert set(ready) - AMQP == {
        "hostname", "mqtts", "https", "workload_uri", "management_uri", "root", "trust_bundle", "pids",
    }  # fmt: skip
    assert set(ready) >= AMQP
    assert set(ready["pids"]) == {"manager", "hub", "provisioning"}
    assert all(map(runs, ready["pids"].values()))
    for listener in ("mqtts", "https", *AMQP):
        socket.create_connection((ready[listener]["host"], ready[listener]["port"]), timeout=5).close()
    assert Path(ready["root"]).read_bytes().count(b"BEGIN CERTIFICATE") == 1
    assert Path(ready["workload_uri"].removeprefix("unix://")).is_socket()


def test_what_it_says_to_type_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Called by a path, where the shell knows no `leafward`: the path; else the name."""
    path = Path(sys.executable).with_name("leafward")
    monkeypatch.setattr("sys.argv", [str(path), "up"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert up._program() == str(path)
    monkeypatch.setenv("PATH", str(path.parent))
    assert up._program() == "leafward"
    monkeypatch.setattr("sys.argv", ["-c"])
    assert up._program() == "leafward"


def test_stopped_by_sigterm_it_exits_0_and_a_second_start_issues_nothing(tmp_path: Path, start_edge: StartEdge) -> None:
    first = start_edge(tmp_path / "home", "--hostname", "gateway.test")
    before = served(first)
    pids = first.ready["pids"].values()
    assert first.stop() == 0
    assert not (first.home / "run" / "ready.json").exists()
    assert not any(map(runs, pids))
    second = start_edge(tmp_path / "home")
    assert second.hostname == "gateway.test"
    assert served(second) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stopped_while_it_starts_it_exits_0_too(tmp_path: Path, start_edge: StartEdge, number: int) -> None:
    """The signal comes as soon as the home is taken: somewhere in the middle of the first start."""
    edge = start_edge(tmp_path / "home", wait=False)
    lock = tmp_path / "home" / "run" / "lock"
    while not (lock.exists() and lock.read_text()):
        assert edge.process.poll() is None
    assert edge.stop(number) == 0
    assert not (tmp_path / "home" / "run" / "ready.json").exists()
    start_edge(tmp_path / "home")


def test_a_refused_start_changes_no_setting(tmp_path: Path, start_edge: StartEdge) -> None:
    """The device CA is first.test.ca: the hostname first.test.ca cannot be, and first.test still is."""
    start_edge(tmp_path / "home", "--hostname", "first.test").stop()
    before = (tmp_path / "home" / "leafward.toml").read_text()
    refused = leafward("up", "--home", str(tmp_path / "home"), "--hostname", "first.test.ca", "--bind", free_address())
    assert refused.returncode == 3
    assert (tmp_path / "home" / "leafward.toml").read_text() == before
    assert start_edge(tmp_path / "home").hostname == "first.test"


def test_all_that_is_wrong_with_the_settings_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "leafward.toml").write_text('[device]\nhostname = 5\n[hub]\nnope = 1\n[provisioning]\nid_scop = "x"\n')
    done = leafward("up", "--home", str(tmp_path), "--bind", free_address())
    assert done.returncode == 3
    for words in ("device.hostname", "hub.nope", "did you mean 'id_scope'?"):
        assert done.stderr.count(words) == 1


@pytest.mark.parametrize("line", ["[device] # who", 'device.device_id = "e"', 'device = { device_id = "e" }'])
def test_a_settings_file_written_otherwise_is_kept_or_refused(tmp_path: Path, line: str) -> None:
    settings = tmp_path / "home" / "leafward.toml"
    settings.parent.mkdir()
    settings.write_text(f"{line}\n")
    with keeping(tmp_path / "home", "gw.test") as refusal:
        if refusal is None:
            assert read_device(settings).hostname == parse_host("gw.test")
        else:
            assert settings.read_text() == f"{line}\n"
            assert "hostname" in str(refusal)


@contextlib.contextmanager
def keeping(home: Path, name: str) -> Iterator[SettingsError | None]:
    try:
        with keeping_hostname(Home(home), name):
            yield None
    except SettingsError as error:
        yield error


def test_a_home_made_anew_under_a_running_edge_keeps_its_files(tmp_path: Path, start_edge: StartEdge) -> None:
    old = start_edge(tmp_path / "home")
    shutil.rmtree(tmp_path / "home")
    new = start_edge(tmp_path / "home")
    old.stop()
    assert new.ready["pids"]
    assert Path(new.ready["workload_uri"].removeprefix("unix://")).is_socket()
    assert new.run("device", "list").returncode == 0


def test_ctrl_c_is_a_clean_stop(tmp_path: Path, start_edge: StartEdge) -> None:
    assert start_edge(tmp_path / "home").stop(signal.SIGINT) == 0


def test_a_second_up_on_one_home_says_who_holds_it(edge: Edge, start_edge: StartEdge) -> None:
    second = start_edge(edge.home, wait=False)
    _, error = second.process.communicate(timeout=30)
    assert second.process.returncode == 3
    assert f"process {edge.process.pid}" in error
    assert edge.process.poll() is None


def test_a_killed_up_leaves_nothing_that_stops_the_next(tmp_path: Path, start_edge: StartEdge) -> None:
    address = free_address()
    killed = start_edge(tmp_path / "home", address=address)
    before = served(killed)
    pids = list(killed.ready["pids"].values())
    killed.stop(signal.SIGKILL)
    again = start_edge(tmp_path / "home", address=address)
    assert served(again) == before
    assert not any(map(runs, pids))


@pytest.mark.parametrize("role", ["manager", "hub", "provisioning"])
def test_when_a_part_dies_up_says_which_and_ends(tmp_path: Path, start_edge: StartEdge, role: str) -> None:
    edge = start_edge(tmp_path / "home")
    os.kill(edge.ready["pids"][role], signal.SIGKILL)
    _, error = edge.process.communicate(timeout=30)
    assert edge.process.returncode == 3
    assert f"the {role} ended" in error
    assert not (edge.home / "run" / "ready.json").exists()


def test_the_articles_example_name_by_name(tmp_path: Path, start_edge: StartEdge) -> None:
    """root -> intermediate -> device CA -> workload CA -> hub server: openssl verifies, and shows the five."""
    edge = start_edge(tmp_path / "home", "--hostname", "iotedgegw.local", *SEED_OPTIONS)
    where = edge.ready["mqtts"]
    shown = subprocess.run(
        [
            "openssl", "s_client", "-connect", f"{where['host']}:{where['port']}", "-servername", "iotedgegw.local",
            "-verify_hostname", "iotedgegw.local", "-CAfile", str(edge.root), "-verify_return_error", "-showcerts",
        ],
        input="",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )  # fmt: skip
    assert shown.returncode == 0
    assert "Verification: OK" in shown.stdout
    assert shown.stdout.count("BEGIN CERTIFICATE") == 5
    names = ["iotedgegw.local", "iotedge workload ca", *reversed(SEED)]
    positions = [shown.stdout.index(f"{depth} s:CN = {name}") for depth, name in enumerate(names)]
    assert positions == sorted(positions)
    described = edge.json("chain", f"{where['host']}:{where['port']}", "--name", "iotedgegw.local")
    assert [c["common_name"] for c in described["certificates"]] == names
    assert [c["role"] for c in described["certificates"]] == [
        "hub_server", "workload_ca", "device_ca", "intermediate_ca", "root_ca",
    ]  # fmt: skip


def test_a_device_ca_named_like_the_host_is_refused(tmp_path: Path) -> None:
    """root -> intermediate -> device CA "gateway.test" -> … -> "gateway.test": refused before it is made."""
    home = tmp_path / "home"
    done = leafward("up", "--home", str(home), "--hostname", "gateway.test", "--device-ca-name", "Gateway.Test")
    assert done.returncode == 3
    assert "must not be named" in done.stderr
    assert "gateway.test.ca" in done.stderr.lower()
    assert not (home / "manager" / "device-ca" / "certificate.pem").exists()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--root-name", "--intermediate-name"])
def test_no_ca_is_named_like_the_host(tmp_path: Path, start_edge: StartEdge, option: str) -> None:
    """Refused before anything is made: the next start, with another name, works."""
    done = leafward("up", "--home", str(tmp_path), "--hostname", "gw.test", option, "gw.test", "--bind", free_address())
    assert done.returncode == 3
    assert "must not be named" in done.stderr
    start_edge(tmp_path, "--hostname", "gw.test", option, "Another CA")


def test_a_changed_hostname_reissues_the_hub_certificate_only(tmp_path: Path, start_edge: StartEdge) -> None:
    first = start_edge(tmp_path / "home", "--hostname", "old.test")
    before = served(first)
    first.stop()
    second = start_edge(tmp_path / "home", "--hostname", "new.test")
    after = served(second)
    assert after[0] != before[0]
    assert after[1:] == before[1:]


def test_a_long_home_path_still_gets_its_sockets(tmp_path: Path, start_edge: StartEdge) -> None:
    edge = start_edge(tmp_path / ("long" * 30) / "home")
    socket_path = edge.ready["workload_uri"].removeprefix("unix://")
    assert len(socket_path) < 108
    assert Path(socket_path).is_socket()


def test_ports_may_be_any(tmp_path: Path, start_edge: StartEdge) -> None:
    edge = start_edge(tmp_path / "home", "--mqtt-port", "0", "--https-port", "0")
    assert edge.ready["mqtts"]["port"] not in (0, 8883)
    assert json.dumps(edge.ready["https"]["port"]) != "0"
