"""A gateway that was IoT Edge's: the leaf devices in the field connect without a change.

    old root -> factory -> device CA "press-8.ca" (files in IoT Edge's layout) -> workload CA -> hub, by leafward now

Each device has the root, the connection string and the certificate that it had: its HostName is the IoT hub's.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from tests.clients.conftest import RunDevice
from tests.clients.test_python_sdk import messages_of
from tests.edge import LEAF_PYTHON, Edge, Edges, free_address, leafward

HUB = "plant.azure-devices.net"
KEY = "c2VjcmV0IG9mIGEgbGVhZiBkZXZpY2UgaW4gdGhlIGZpZWxk"
CONFIG = """\
hostname = "{address}"
trust_bundle_cert = "file://{secrets}/root.pem"

[provisioning]
source = "manual"
connection_string = "HostName={hub};DeviceId=press-8;SharedAccessKey=c2VjcmV0LXByZXNzLTg"

[edge_ca]
cert = "file://{secrets}/edge-ca.pem"
pk = "file://{secrets}/edge-ca.key.pem"

[agent]
name = "edgeAgent"
type = "docker"
[agent.config]
image = "mcr.microsoft.com/azureiotedge-agent:1.2"
"""
BY_CERTIFICATE = """\
import json, sys
from azure.iot.device import IoTHubDeviceClient, X509
root, certificate, key, hub, gateway = sys.argv[1:]
client = IoTHubDeviceClient.create_from_x509_certificate(
    x509=X509(cert_file=certificate, key_file=key), hostname=hub, gateway_hostname=gateway, device_id="x-leaf",
    server_verification_cert=open(root).read(), connection_retry=False,
)
client.connect()
client.send_message("by the old certificate")
client.shutdown()
"""


@dataclass
class Field:
    """What is out there: the old root, and the gateway's home."""

    edge: Edge
    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "secrets" / "root.pem"


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    folder = tmp_path_factory.mktemp("field")
    address = free_address()
    secrets = folder / "secrets"
    secrets.mkdir()
    maker = folder / "maker"
    for arguments in (
        ["ca", "init", "--cn", "Old Root"],
        ["ca", "intermediate", "Factory"],
        ["ca", "device", "press-8.ca", "--out", str(folder / "made")],
    ):
        done = leafward(*arguments, home=maker)
        assert done.returncode == 0, done.stderr
    (secrets / "edge-ca.pem").write_bytes((folder / "made" / "certificate.pem").read_bytes())
    (secrets / "edge-ca.key.pem").write_bytes((folder / "made" / "key.pem").read_bytes())
    (secrets / "edge-ca.key.pem").chmod(0o600)
    root = maker / "maker" / "authorities" / "old-root" / "certificate.pem"
    (secrets / "root.pem").write_bytes(root.read_bytes())
    (folder / "config.toml").write_text(CONFIG.format(address=address, secrets=secrets, hub=HUB))
    home = folder / "home"
    done = leafward("manager", "import", str(folder / "config.toml"), home=home)
    assert done.returncode == 0, done.stderr
    with Edges() as start:
        yield Field(start(home, address=address), folder)


def test_the_chain_is_the_old_one(field: Field) -> None:
    where = field.edge.ready["mqtts"]
    chain = json.loads(leafward("chain", f"{where['host']}:{where['port']}", "--json").stdout)["certificates"]
    assert [one["common_name"] for one in chain[2:]] == ["press-8.ca", "Factory", "Old Root"]


def test_a_device_with_a_key(field: Field, run_device: RunDevice) -> None:
    """Its connection string is the IoT hub's with the gateway at the end, as the tutorials have it."""
    text = f"HostName={HUB};DeviceId=leaf-1;SharedAccessKey={KEY};GatewayHostName={field.edge.address}"
    kept = field.folder / "leaf-1"
    kept.write_text(text + "\n")
    kept.chmod(0o600)
    added = field.edge.run("device", "add", "leaf-1", "--key-file", str(kept))
    assert added.returncode == 0, added.stderr
    assert run_device(field.edge, connection_string=text, root=str(field.root), messages=[{"body": "hi"}]) == {
        "ok": True
    }
    assert [m["body"] for m in messages_of(field.edge, "leaf-1")] == ["hi"]


def test_a_device_with_a_certificate(field: Field, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "365",
         "-subj", "/CN=x-leaf", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    thumbprint = x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA1()).hex()
    field.edge.json("device", "add", "x-leaf", "--auth", "x509-thumbprint", "--thumbprint", thumbprint)
    files = [str(field.root), str(certificate), str(key)]
    done = subprocess.run(
        [str(LEAF_PYTHON), "-W", "ignore", "-c", BY_CERTIFICATE, *files, HUB, field.edge.address],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [m["body"] for m in messages_of(field.edge, "x-leaf")] == ["by the old certificate"]


def test_a_key_file(field: Field, tmp_path: Path) -> None:
    """The key alone will do; the connection string of another device, or a file for all to read, will not."""
    kept = tmp_path / "key"
    kept.write_text(KEY)
    kept.chmod(0o600)
    added = field.edge.json("device", "add", "leaf-2", "--key-file", str(kept))
    assert f"SharedAccessKey={KEY};" in added["connection_string"]
    kept.write_text(f"HostName={HUB};DeviceId=other;SharedAccessKey={KEY}")
    done = field.edge.run("device", "add", "leaf-3", "--key-file", str(kept))
    assert (done.returncode, KEY in done.stderr) == (3, False)
    kept.chmod(0o644)
    assert "too open" in field.edge.run("device", "add", "leaf-3", "--key-file", str(kept)).stderr
    assert field.edge.run("device", "add", "leaf-3", "--auth", "x509-ca", "--key-file", str(kept)).returncode == 2
