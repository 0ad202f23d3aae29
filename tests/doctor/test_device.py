"""Homes and configurations of IoT Edge as targets, and one edge that runs: no false alarm there.

leafward.toml, manager/…  |  config.yaml, config.toml  ->  code
"""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.cli.main import run
from leafward.doctor.case_files import Evidence, Question
from leafward.doctor.device_faults import clock_faults, served_faults, socket_faults
from leafward.doctor.device_home import DeviceHome, home_case
from leafward.doctor.device_iotedge import iotedge_case
from leafward.doctor.live_targets import examine_others
from leafward.doctor.locked import no_password
from leafward.doctor.runner import diagnose
from leafward.doctor.target_kinds import Asked, is_home, is_iotedge_file
from leafward.store.home import Home
from tests.doctor.stack_cases import NOW, ca, levels, server, workload

FILES = Path(__file__).parents[1] / "iotedge_files"


def pem(*parties):
    return b"".join(one.certificate.public_bytes(Encoding.PEM) for one in parties)


def put(path: Path, data: bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


@pytest.fixture
def home(tmp_path) -> Home:
    """root -> intermediate -> device CA -> workload CA -> hub, as a manager keeps them; nothing runs."""
    top, middle, device, below = levels()
    hub = server(below)
    home = Home(tmp_path / "home")
    put(home.settings, b'[device]\nhostname = "iotedgegw.local"\nproduction = true\n')
    put(home.manager / "device-ca" / "certificate.pem", pem(device, middle, top), 0o644)
    put(home.manager / "device-ca" / "key.pem", device.key_pem)
    for name, party, line in (
        ("workload-ca", below, (below, device, middle, top)),
        ("hub-server", hub, (hub, below, device, middle, top)),
    ):
        put(home.manager / name / "000001" / "certificate.pem", pem(*line), 0o644)
        put(home.manager / name / "000001" / "key.pem", party.key_pem)
        put(home.manager / name / "active", b"1\n")
    put(home.root_certificate, pem(top), 0o644)
    return home


def look(home: Home, now: datetime = NOW):
    return diagnose(home_case(DeviceHome(home), Question(now=now), live=False))


def serious(report):
    return [one.code for one in (report.cause, *report.findings) if one is not None and one.severity != "info"]


def test_healthy(home):
    assert is_home(home.root)
    report = look(home)
    assert (report.verdict, serious(report)) == ("ok", [])
    assert len(report.case.presented) == 5
    assert report.case.name == "iotedgegw.local"


def test_device_ca_missing(home):
    shutil.rmtree(home.manager)
    (home.manager).mkdir()
    report = look(home)
    assert report.cause is not None
    assert report.cause.code == "device-ca-missing"


def test_key_of_another(home):
    put(home.manager / "hub-server" / "000001" / "key.pem", levels()[1].key_pem)
    assert serious(look(home)) == ["key-mismatch"]


def test_key_too_open(home):
    put(home.manager / "device-ca" / "key.pem", levels()[2].key_pem, 0o644)
    assert serious(look(home)) == ["file-too-open"]


def test_another_device_ca(home):
    """The device CA was replaced, the workload CA was not."""
    top, middle, _, _ = levels()
    new = ca("iotgateway.ca", middle, 1, own_key=levels()[0].key)
    put(home.manager / "device-ca" / "certificate.pem", pem(new, middle, top), 0o644)
    put(home.manager / "device-ca" / "key.pem", new.key_pem)
    assert "workload-ca-not-from-device-ca" in serious(look(home))


def test_device_ca_ends_soon(home):
    report = look(home, NOW + timedelta(days=29))
    assert report.cause is None
    assert "device-ca-expiring" in serious(report)


def test_time_floor(home):
    put(home.manager / "last-seen", f"{(NOW + timedelta(days=2)).isoformat()}\n{{}}\n".encode(), 0o644)
    assert "time-floor-in-use" in serious(look(home))
    assert not list(clock_faults(NOW, NOW + timedelta(minutes=59)))


def test_sockets(tmp_path):
    found = list(socket_faults({"hub": tmp_path / "hub.sock"}, usable=Path.is_socket))
    assert [one.code for one in found] == ["socket-permission"]


def test_served_is_another():
    old, new = server(workload()), server(workload())
    assert [one.code for one in served_faults((old.certificate,), (new.certificate,))] == [
        "served-certificate-not-current"
    ]
    assert not list(served_faults((old.certificate,), (old.certificate,)))


# ---- IoT Edge


def edge_files(folder: Path) -> None:
    top, middle, device, _ = levels()
    put(folder / "chain.pem", pem(device, middle, top), 0o644)
    put(folder / "key.pem", device.key_pem)
    put(folder / "root.pem", pem(top), 0o644)


def config(folder: Path, hostname: str = "iotedgegw.local", more: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'hostname = "{hostname}"\ntrust_bundle_cert = "file://{folder}/root.pem"\n{more}\n'
        '[provisioning]\nsource = "none"\n'
        f'[edge_ca]\ncert = "file://{folder}/chain.pem"\npk = "file://{folder}/key.pem"\n'
    )
    return path


def iotedge(path: Path):
    return diagnose(iotedge_case(path, Question(now=NOW)))


def test_config_toml(tmp_path):
    edge_files(tmp_path)
    path = config(tmp_path)
    assert is_iotedge_file(path)
    assert (iotedge(path).verdict, serious(iotedge(path))) == ("ok", [])


def test_config_yaml(tmp_path):
    edge_files(tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(
        "provisioning:\n  source: manual\n  device_connection_string: "
        '"HostName=h.test;DeviceId=d;SharedAccessKey=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="\n'
        f'hostname: iotedgegw.local\ncertificates:\n  device_ca_cert: "{tmp_path}/chain.pem"\n'
        f'  device_ca_pk: "{tmp_path}/key.pem"\n  trusted_ca_certs: "{tmp_path}/root.pem"\n'
    )
    report = iotedge(path)
    assert (report.verdict, serious(report)) == ("ok", [])
    assert "AAAA" not in json.dumps([dict(one.evidence) for one in report.findings], default=str)


def test_config_names_a_file_that_is_not_there(tmp_path):
    edge_files(tmp_path)
    (tmp_path / "chain.pem").unlink()
    assert iotedge(config(tmp_path)).cause.code == "device-ca-missing"


def test_config_with_another_key_and_capitals(tmp_path):
    edge_files(tmp_path)
    put(tmp_path / "key.pem", levels()[1].key_pem)
    report = iotedge(config(tmp_path, "IotEdgeGw.local", 'hostnam = "x"'))
    assert report.cause.code == "key-mismatch"
    assert {"hostname-case-mismatch", "configuration-invalid"} <= set(serious(report))


def test_config_that_is_none(tmp_path):
    (tmp_path / "config.yaml").write_text("hostname: [")
    assert iotedge(tmp_path / "config.yaml").cause.code == "configuration-invalid"


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
def test_real_configurations(name):
    """Those of every version are read; what they name is not here."""
    report = iotedge(FILES / name)
    assert report.cause is None or report.cause.code in ("device-ca-missing", "file-missing")


# ---- one that runs


def test_a_running_edge_gives_no_alarm(edge, capsys):
    """By home, by port, with the leaf's own string; then a device that nobody knows, from both sides."""
    string = edge.json("device", "add", "doctors-leaf")["connection_string"]
    home, port = str(edge.home), edge.ready["mqtts"]["port"]
    server_text = f"{edge.address}:{port}"
    for arguments in ([home], [home, string], [server_text, "--root", str(edge.root), "--connection-string", string]):
        assert run(["doctor", *arguments, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert [one["code"] for one in report["findings"] if one["severity"] != "info"] == []
    assert edge.json("manager", "status", "--check")["diagnosis"]["cause"] is None
    unknown = string.replace("doctors-leaf", "nobody")
    assert _cause([home, unknown], capsys) == "device-unknown"
    assert _cause([server_text, "--root", str(edge.root), "--connection-string", unknown], capsys) == (
        "sas-signature-wrong"
    )
    https = f"{edge.address}:{edge.ready['https']['port']}"
    base = Question(now=datetime.now(UTC), name=edge.hostname)
    (report,) = examine_others([https], Evidence(), base, Asked(), no_password)
    assert report.cause is None
    assert run(["chain", https, "--json"]) == 0
    capsys.readouterr()
    told = edge.json("hub", "failures")
    assert [one for one in told["failures"] if one["kind"] == "handshake"] == []  # nobody takes the doctor for a leaf
    assert told["diagnosis"]["verdict"] == "ok"


def _cause(arguments, capsys):
    assert run(["doctor", *arguments, "--json"]) == 1
    return json.loads(capsys.readouterr().out)["cause"]["code"]
