"""Clients that must fail, each for one reason, against a real edge; a refused client learns no more than "no"."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from leafward.wire.mqtt.packets import NOT_AUTHORISED, SUBSCRIPTION_REFUSED, Connack, Publish, Subscribe
from tests.clients.conftest import RunDevice
from tests.clients.mqtt_client import MqttClient, password, username
from tests.clients.test_python_sdk import credentials, messages_of
from tests.edge import Edge, StartEdge, leafward


@pytest.fixture(scope="module")
def device(edge: Edge) -> str:
    """The connection string of a leaf device that may connect."""
    return edge.json("device", "add", "good-leaf")["connection_string"]


@pytest.fixture(scope="module")
def certified(edge: Edge) -> dict[str, Any]:
    """A leaf device with a certificate from the device CA, that may connect."""
    return edge.json("device", "add", "certified-leaf", "--auth", "x509-ca")


def chain_of(edge: Edge) -> list[str]:
    """The chain that the hub presents, as PEM, leaf first."""
    text = (edge.home / "manager" / "device-ca" / "certificate.pem").read_text()
    return [f"-----BEGIN{part}" for part in text.split("-----BEGIN")[1:]]


def refused(answer: dict[str, Any], *words: str) -> None:
    assert not answer["ok"]
    text = " ".join(answer["error"])
    assert all(word in text for word in words), text


def test_a_fresh_edge_has_no_failures(start_edge: StartEdge, tmp_path: Path) -> None:
    """`leafward up` looks at its own chain, and is nobody who could not connect."""
    edge = start_edge(tmp_path / "home")
    assert edge.json("hub", "failures")["failures"] == []


class TestRoot:
    """What the leaf holds as root decides whether it believes the gateway."""

    def test_wrong_root(self, edge: Edge, device: str, run_device: RunDevice, tmp_path: Path) -> None:
        """The same names, another key: root' is not the root of root -> … -> hub."""
        leafward("ca", "init", "--cn", "leafward development root CA", home=tmp_path)
        wrong = tmp_path / "maker" / "authorities" / "leafward-development-root-ca" / "certificate.pem"
        refused(run_device(connection_string=device, root=str(wrong)), "CERTIFICATE_VERIFY_FAILED")

    @pytest.mark.parametrize(("position", "name"), [(0, "device CA"), (1, "intermediate CA")])
    def test_only_a_ca_below_the_root(
        self, edge: Edge, device: str, run_device: RunDevice, tmp_path: Path, position: int, name: str
    ) -> None:
        """The SDK takes no partial chain: a bundle without the self-signed root anchors nothing."""
        partial = tmp_path / "partial.pem"
        partial.write_text(chain_of(edge)[position])
        refused(run_device(connection_string=device, root=str(partial)), "CERTIFICATE_VERIFY_FAILED")

    def test_another_hostname(self, edge: Edge, device: str, run_device: RunDevice) -> None:
        """The leaf connects by the address; the certificate has the name only."""
        text = device.replace(f"GatewayHostName={edge.hostname}", f"GatewayHostName={edge.address}")
        refused(run_device(connection_string=text), "CERTIFICATE_VERIFY_FAILED", "IP address mismatch")


class TestKey:
    """Shared access signatures that are not this device's, or no longer."""

    def test_wrong_key(self, device: str, run_device: RunDevice) -> None:
        head, tail = device.split("SharedAccessKey=")
        wrong = f"{head}SharedAccessKey={'A' * 43}={tail[44:]}"
        refused(run_device(connection_string=wrong), "Unauthorized")

    def test_unknown_device(self, device: str, run_device: RunDevice) -> None:
        refused(run_device(connection_string=device.replace("good-leaf", "nobody")), "Unauthorized")

    def test_disabled_device(self, edge: Edge, run_device: RunDevice) -> None:
        text = edge.json("device", "add", "disabled-leaf")["connection_string"]
        assert edge.run("device", "disable", "disabled-leaf").returncode == 0
        refused(run_device(connection_string=text), "Unauthorized")
        assert edge.run("device", "enable", "disabled-leaf").returncode == 0
        assert run_device(connection_string=text) == {"ok": True}

    def test_expired_sas(self, edge: Edge, device: str) -> None:
        """Signed by the right key, an hour after 1970."""
        with MqttClient(edge) as client:
            secret = password(device, expiry=3600)
            assert client.connect("good-leaf", username(edge.hostname, "good-leaf"), secret) == Connack(NOT_AUTHORISED)

    def test_client_id_is_not_the_device_id(self, edge: Edge, device: str) -> None:
        with MqttClient(edge) as client:
            answer = client.connect("other-leaf", username(edge.hostname, "good-leaf"), password(device))
            assert answer is None or answer.return_code != 0

    def test_the_same_token_by_the_right_client_id_is_taken(self, edge: Edge, device: str) -> None:
        """The refusals above are for their own reason: all else being right, it works."""
        with MqttClient(edge) as client:
            answer = client.connect("good-leaf", username(edge.hostname, "good-leaf"), password(device))
            assert answer == Connack(0)


class TestCertificate:
    """Client certificates that prove something else."""

    def test_common_name_of_another_device(self, edge: Edge, certified: dict[str, Any], run_device: RunDevice) -> None:
        """The certificate of certified-leaf, used as another-leaf, which is registered for x509-ca too."""
        edge.json("device", "add", "another-leaf", "--auth", "x509-ca")
        given = {**credentials(certified), "device_id": "another-leaf"}
        refused(run_device(x509=given), "Unauthorized")
        assert run_device(x509=credentials(certified)) == {"ok": True}

    def test_module_with_a_certificate(self, edge: Edge, certified: dict[str, Any]) -> None:
        """A device's good certificate is no module's: modules sign with their key."""
        edge.json("module", "add", "certified-module")
        files = {"certificate": certified["certificate"], "private_key": certified["private_key"]}
        with MqttClient(edge, **files) as client:
            user = username(edge.hostname, "edge-device", "certified-module")
            assert client.connect("edge-device/certified-module", user) == Connack(NOT_AUTHORISED)

    def test_no_credential_at_all(self, edge: Edge, device: str) -> None:
        with MqttClient(edge) as client:
            answer = client.connect("good-leaf", username(edge.hostname, "good-leaf"))
            assert answer == Connack(NOT_AUTHORISED)

    def test_thumbprint_of_another_certificate(self, edge: Edge, run_device: RunDevice) -> None:
        first = edge.json("device", "add", "print-one", "--auth", "x509-thumbprint")
        edge.json("device", "add", "print-two", "--auth", "x509-thumbprint")
        refused(run_device(x509={**credentials(first), "device_id": "print-two"}), "Unauthorized")


class TestTopics:
    """A device speaks and listens on its own topics only."""

    @pytest.mark.parametrize("topic", ["#", "devices/other/messages/devicebound/#", "$SYS/#", "devices/+/messages/#"])
    def test_subscribing_to_others_is_refused(self, edge: Edge, device: str, topic: str) -> None:
        with MqttClient(edge) as client:
            client.connect("good-leaf", username(edge.hostname, "good-leaf"), password(device))
            client.send(Subscribe(1, ((topic, 1),)))
            assert client.receive().return_codes == (SUBSCRIPTION_REFUSED,)

    def test_publishing_as_another_ends_the_connection(self, edge: Edge, device: str) -> None:
        with MqttClient(edge) as client:
            client.connect("good-leaf", username(edge.hostname, "good-leaf"), password(device))
            client.send(Publish("devices/certified-leaf/messages/events/", b"forged", qos=1, packet_id=1))
            assert client.receive() is None
        assert messages_of(edge, "certified-leaf") == []

    def test_a_disabled_devices_live_connection_is_cut(self, edge: Edge) -> None:
        text = edge.json("device", "add", "cut-leaf")["connection_string"]
        with MqttClient(edge) as client:
            assert client.connect("cut-leaf", username(edge.hostname, "cut-leaf"), password(text)) == Connack(0)
            assert edge.run("device", "disable", "cut-leaf").returncode == 0
            assert client.receive() is None


class TestDeviceCa:
    """A device CA that cannot do its work is refused at the start, with its file and what to do."""

    @pytest.mark.parametrize(
        ("extensions", "words"),
        [
            ("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature", "CA"),
            ("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign", "path"),
        ],
        ids=["without-ca-true", "pathlen-0"],
    )
    def test_refused_at_start(self, tmp_path: Path, start_edge: StartEdge, extensions: str, words: str) -> None:
        """root -> device CA that is no CA, or has no room for a workload CA below it."""
        folder = tmp_path / "home" / "manager" / "device-ca"
        make_device_ca(folder, extensions)
        edge = start_edge(tmp_path / "home", "--hostname", "gateway.test", wait=False)
        _, error = edge.process.communicate(timeout=30)
        assert edge.process.returncode == 3
        assert str(folder / "certificate.pem") in error
        assert words in error
        assert "next:" in error
        assert "Traceback" not in error

    def test_one_with_room_is_taken(self, tmp_path: Path, start_edge: StartEdge) -> None:
        """The same openssl recipe with what it takes: the refusals above are for their own reason."""
        good = "basicConstraints=critical,CA:TRUE,pathlen:1\nkeyUsage=critical,keyCertSign,cRLSign"
        make_device_ca(tmp_path / "home" / "manager" / "device-ca", good)
        start_edge(tmp_path / "home", "--hostname", "gateway.test")


def make_device_ca(folder: Path, extensions: str) -> None:
    """root -> device CA by openssl, as a maker without leafward would make it."""
    folder.mkdir(parents=True)
    work = folder.parent
    (work / "ext.cnf").write_text(f"{extensions}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=work, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    ca = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-x509", *curve, "-subj", "/CN=Root", *ca, "-keyout", "root.key", "-out", "root.pem", "-days", "30")
    openssl("req", *curve, "-subj", "/CN=device.ca", "-keyout", str(folder / "key.pem"), "-out", "device.csr")
    signing = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "20", "-extfile", "ext.cnf")
    openssl("x509", "-req", "-in", "device.csr", *signing, "-out", "device.pem")
    (folder / "key.pem").chmod(0o600)
    chain = (work / "device.pem").read_text() + (work / "root.pem").read_text()
    (folder / "certificate.pem").write_text(chain)
