"""mosquitto_pub, mosquitto_sub and aiomqtt, unmodified, on plain topics: MQTT 3.1.1 and 5, by key or certificate."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.clients.plant import Plant as AnyPlant
from tests.edge import Edge

POLICY = """
[device]
hostname = "localhost"

[hub.policy]
rules = [
  {who = "pub*", publish = ["plant/{device}/#", "jobs"], retain = true},
  {who = "sub*", subscribe = ["plant/#", "jobs"]},
  {who = "duplex", publish = ["duplex/#"], subscribe = ["duplex/#"], retain = false},
]
"""
VERSIONS = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])


class Plant(AnyPlant):
    """Clients that are started as a person would type them."""

    def command(self, name: str, device_id: str, *options: str) -> list[str]:
        """mosquitto_pub or mosquitto_sub as a person would type it."""
        where = ["-h", "localhost", "-p", str(self.port), "--cafile", str(self.edge.root)]
        return ["stdbuf", "-oL", name, *where, "-u", device_id, "-P", self.add(device_id), *options]

    def publish(self, device_id: str, *options: str) -> None:
        """mosquitto_pub, to its end; it must succeed."""
        command = self.command("mosquitto_pub", device_id, *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done

    def waiting(self, device_id: str, *options: str, count: int = 1) -> list[str]:
        """What mosquitto_sub gets of what is there already."""
        command = self.command("mosquitto_sub", device_id, "-C", str(count), "-W", "30", *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=True)
        return done.stdout.splitlines()

    @contextmanager
    def subscribed(self, device_id: str, *options: str, count: int) -> Iterator["subprocess.Popen[str]"]:
        """mosquitto_sub that has its SUBACK; it ends after `count` messages."""
        command = self.command("mosquitto_sub", device_id, "-d", "-C", str(count), "-W", "30", *options)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                assert any(line.startswith("Subscribed") for line in process.stdout)
                yield process
            finally:
                process.kill()


def messages(process: "subprocess.Popen[str]") -> list[str]:
    """The lines that are messages, when mosquitto_sub has ended."""
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    return [line for line in out.splitlines() if not line.startswith(("Client ", "Subscribed"))]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """One edge for all tests here."""
    with Plant.started(tmp_path_factory.mktemp("plant") / "home", POLICY) as plant:
        yield plant


@VERSIONS
@pytest.mark.parametrize("qos", ["0", "1", "2"])
def test_publish_and_subscribe(plant: Plant, version: str, qos: str) -> None:
    """pub1 -> plant/pub1/t -> sub1, in either version."""
    with plant.subscribed("sub1", "-V", version, "-q", qos, "-t", "plant/+/t", "-F", "%t %q %p", count=2) as listening:
        plant.publish("pub1", "-V", version, "-q", qos, "-t", "plant/pub1/t", "-m", "hello")
        plant.publish("pub1", "-V", "mqttv5", "-q", qos, "-t", "plant/pub1/t", "-m", "again")
        assert messages(listening) == [f"plant/pub1/t {qos} hello", f"plant/pub1/t {qos} again"]


@VERSIONS
def test_many_lines_in_order(plant: Plant, version: str) -> None:
    """500 messages of QoS 1 and 2 from standard input: all, in their order."""
    lines = [f"line {number}" for number in range(500)]
    for qos in ("1", "2"):
        with plant.subscribed("sub1", "-V", version, "-q", qos, "-t", "plant/pub1/t", count=500) as listening:
            command = plant.command("mosquitto_pub", "pub1", "-V", version, "-q", qos, "-t", "plant/pub1/t", "-l")
            done = subprocess.run(command, input="\n".join(lines) + "\n", text=True, timeout=60, check=True)
            assert done.returncode == 0
            assert messages(listening) == lines


@VERSIONS
def test_retained(plant: Plant, version: str) -> None:
    """Whoever comes later gets the last word; then it is taken away."""
    topic = f"plant/pub1/{version}"
    plant.publish("pub1", "-V", version, "-q", "1", "-r", "-t", topic, "-m", "kept")
    assert plant.waiting("sub1", "-V", version, "-t", topic, "-F", "%r %p") == ["1 kept"]
    plant.publish("pub1", "-V", version, "-r", "-t", topic, "-n")
    with plant.subscribed("sub1", "-V", version, "-t", topic, "-F", "%r %p", count=1) as listening:
        plant.publish("pub1", "-V", version, "-t", topic, "-m", "live")
        assert messages(listening) == ["0 live"]


@VERSIONS
def test_a_session_that_lasts(plant: Plant, version: str) -> None:
    """-c: what comes while the client is away is there when it comes back."""
    options = ["-V", version, "-c", "-i", "sub2", "-q", "1", "-t", "plant/pub1/lasting"]
    with plant.subscribed("sub2", *options, count=1) as listening:
        plant.publish("pub1", "-q", "1", "-t", "plant/pub1/lasting", "-m", "first")
        assert messages(listening) == ["first"]
    plant.publish("pub1", "-q", "1", "-t", "plant/pub1/lasting", "-m", "meanwhile")
    assert plant.waiting("sub2", *options) == ["meanwhile"]


def test_what_is_not_allowed(plant: Plant) -> None:
    """MQTT 5 says so: another's topic to publish on, another filter to subscribe to, IoT Hub's topics of another."""
    for device, topic in (("pub1", "plant/pub2/t"), ("pub1", "devices/pub2/messages/events/"), ("sub1", "jobs")):
        command = plant.command("mosquitto_pub", device, "-V", "mqttv5", "-q", "1", "-t", topic, "-m", "x")
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "Not authorized" in done.stdout + done.stderr, (topic, done)
    for topic in ("#", "$SYS/#", "duplex/#", "devices/pub1/messages/devicebound/#"):
        command = plant.command("mosquitto_sub", "sub1", "-V", "mqttv5", "-t", topic)
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert "All subscription requests were denied" in done.stderr, (topic, done)


def test_a_wrong_password(plant: Plant) -> None:
    """Refused, as anybody is."""
    plant.add("pub1")
    command = [*plant.command("mosquitto_pub", "pub1", "-t", "plant/pub1/t", "-m", "x"), "-P", plant.add("pub2")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode
    assert "not authorised" in done.stderr


def test_by_certificate(plant: Plant, tmp_path: Path) -> None:
    """No user name and no password: the client certificate says who it is, and the hub gives the client id."""
    added = plant.edge.json("device", "add", "pub-cert", "--auth", "x509-ca")
    with plant.subscribed("sub1", "-t", "plant/pub-cert/t", count=1) as listening:
        where = ["-h", "localhost", "-p", str(plant.port), "--cafile", str(plant.edge.root)]
        proof = ["--cert", added["certificate"], "--key", added["private_key"]]
        command = ["mosquitto_pub", *where, *proof, "-q", "1", "-t", "plant/pub-cert/t", "-m", "by certificate"]
        subprocess.run(command, check=True, timeout=30)
        assert messages(listening) == ["by certificate"]


def test_a_will(plant: Plant) -> None:
    """The client is killed: its will comes."""
    with plant.subscribed("sub1", "-t", "duplex/#", "-t", "plant/pub3/gone", count=1) as listening:
        command = plant.command(
            "mosquitto_pub", "pub3", "--will-topic", "plant/pub3/gone", "--will-payload", "pub3 is gone",
            "-t", "plant/pub3/t", "-q", "1", "-l", "-d",
        )  # fmt: skip
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as leaving:
            assert leaving.stdin is not None
            assert leaving.stdout is not None
            leaving.stdin.write("here\n")
            leaving.stdin.flush()
            assert any("PUBACK" in line for line in leaving.stdout)
            leaving.kill()
        assert messages(listening) == ["pub3 is gone"]


def test_telemetry_of_a_plain_client(plant: Plant) -> None:
    """IoT Hub's own topic: the message is telemetry, with the properties of MQTT 5."""
    plant.publish(
        "pub1", "-V", "mqttv5", "-q", "1", "-t", "devices/pub1/messages/events/", "-m", '{"t": 21}',
        "-D", "publish", "user-property", "colour", "red", "-D", "publish", "content-type", "application/json",
    )  # fmt: skip
    (message,) = [one for one in _telemetry(plant.edge) if one["device_id"] == "pub1"]
    assert message["body"] == {"t": 21}
    assert message["properties"] == {"colour": "red"}
    assert message["system"]["contentType"] == "application/json"


def _telemetry(edge: Edge) -> list[dict[str, Any]]:
    return [json.loads(line) for line in edge.run("messages", "--json").stdout.splitlines()]


# ---- aiomqtt


@asynccontextmanager
async def connected(plant: Plant, device_id: str, **options: Any) -> AsyncIterator[aiomqtt.Client]:
    """An aiomqtt client of MQTT 5."""
    options.setdefault("clean_start", True)
    async with aiomqtt.Client(
        "localhost",
        plant.port,
        username=device_id,
        password=plant.add(device_id),
        identifier=device_id,
        protocol=aiomqtt.ProtocolVersion.V5,
        tls_context=ssl.create_default_context(cafile=str(plant.edge.root)),
        **options,
    ) as client:
        yield client


async def test_aiomqtt_and_its_properties(plant: Plant) -> None:
    """Request and response: response topic, correlation data and user properties arrive as they were sent."""
    sent = Properties(PacketTypes.PUBLISH)
    sent.ResponseTopic, sent.CorrelationData, sent.ContentType = "duplex/answers", b"c1", "text/plain"
    sent.UserProperty = [("colour", "red"), ("colour", "blue")]
    async with connected(plant, "duplex") as client:
        await client.subscribe("duplex/#", qos=2)
        await client.publish("duplex/q", b"hello", qos=2, properties=sent)
        message = await asyncio.wait_for(anext(aiter(client.messages)), 30)
    got = message.properties
    assert (message.payload, message.qos) == (b"hello", 2)
    assert got is not None
    assert (got.ResponseTopic, got.CorrelationData, got.ContentType) == ("duplex/answers", b"c1", "text/plain")
    assert got.UserProperty == [("colour", "red"), ("colour", "blue")]


async def test_aiomqtt_no_local_and_refusals(plant: Plant) -> None:
    """No Local keeps one's own messages away; what is refused is told with its reason."""
    async with connected(plant, "duplex") as client:
        await client.subscribe("duplex/#", options=SubscribeOptions(qos=1, noLocal=True))
        await client.publish("duplex/own", b"own", qos=1)
        (code,) = await client.subscribe("plant/#", qos=1)
        assert code.value == 0x87
        await client.subscribe("duplex/x", qos=1)
        await client.publish("duplex/x", b"second", qos=1)
        message = await asyncio.wait_for(anext(aiter(client.messages)), 30)
        assert message.payload == b"second"


async def test_aiomqtt_shares_the_work(plant: Plant) -> None:
    """$share/line/jobs: 40 messages of QoS 1, each to one of two members, all of them to somebody."""
    async with connected(plant, "sub1") as one, connected(plant, "sub2") as two, connected(plant, "pub1") as publisher:
        for member in (one, two):
            await member.subscribe("$share/line/jobs", qos=1)
        for number in range(40):
            await publisher.publish("jobs", str(number), qos=1)
        got: list[list[int]] = []
        for member in (one, two):
            stream = aiter(member.messages)
            got.append([int((await asyncio.wait_for(anext(stream), 30)).payload) for _ in range(20)])  # type: ignore[arg-type]
        assert sorted(got[0] + got[1]) == list(range(40))
        assert all(numbers == sorted(numbers) for numbers in got)
