"""Plain topics and MQTT 5 over real connections: what the peer gets to see when they end, and what a restart keeps."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from leafward.hub.websocket import PATH
from leafward.wire import sas
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    SubscriptionOptions,
)
from leafward.wire.mqtt.properties import Properties
from leafward.wire.mqtt.reasons import Reason
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import KEY, PATIENCE, Client

POLICY = """
[hub.policy]
rules = [{who = "*", publish = ["plant/#"], subscribe = ["plant/#"]}]

[hub.limits]
keep_alive = 0.4
connect_timeout = 5
shutdown_timeout = 0.5
packet_size = 4000
"""


@pytest.fixture
async def plant(make_hub: StartHub) -> RunningHub:
    """A hub with a rule for everybody, and short limits."""
    return await (await make_hub(POLICY)).start()


def connect5(device_id: str, **options: Any) -> Connect:
    """A CONNECT of MQTT 5 as a plain client sends it."""
    resource = sas.resource_of("hub.example", device_id, None)
    token = sas.sign(resource, KEY, int(datetime.now(UTC).timestamp()) + 3600)
    options.setdefault("password", token.encode())
    return Connect(device_id, username=device_id, level=5, **options)


async def client5(hub: RunningHub, device_id: str, **options: Any) -> Client:
    """A client of MQTT 5 that is let in."""
    client = await hub.client()
    answer = await client.connect(connect5(device_id, **options))
    assert answer.return_code == 0, answer
    return client


async def goodbye(client: Client) -> Reason:
    """Why the hub says it ends; then it has closed."""
    packet = await client.receive()
    assert isinstance(packet, Disconnect), packet
    assert await client.closed()
    return Reason(packet.reason)


async def test_silence(plant: RunningHub) -> None:
    """One and a half keep-alive periods, and the reason."""
    plant.add("leaf1")
    assert await goodbye(await client5(plant, "leaf1")) is Reason.KEEP_ALIVE_TIMEOUT


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x30\xff\x7f", Reason.PACKET_TOO_LARGE),
        (b"\xf0\x02\x18\x00", Reason.PROTOCOL_ERROR),
        (b"\x00\x00", Reason.MALFORMED_PACKET),
    ],
    ids=["too large", "AUTH", "no packet"],
)
async def test_bytes_that_end_the_connection(plant: RunningHub, data: bytes, reason: Reason) -> None:
    """DISCONNECT says why."""
    plant.add("leaf1")
    client = await client5(plant, "leaf1")
    await client.send_bytes(data)
    assert await goodbye(client) is reason


async def test_the_hub_stops(plant: RunningHub) -> None:
    """Everybody is told."""
    plant.add("leaf1")
    client = await client5(plant, "leaf1")
    await plant.stop()
    assert await goodbye(client) is Reason.SERVER_SHUTTING_DOWN


async def test_a_device_that_is_disabled(plant: RunningHub) -> None:
    """Cut within a second, and told."""
    plant.add("leaf1")
    client = await client5(plant, "leaf1", keep_alive=1)
    with plant.registry() as registry:
        registry.remove("leaf1")
    packet: Packet | None = Disconnect()
    while not isinstance(packet := await client.receive(), Disconnect):
        assert packet is not None
    assert packet.reason == Reason.ADMINISTRATIVE_ACTION


async def test_by_certificate_alone(plant: RunningHub, device_ca: Held) -> None:
    """No user name, no password, no client id: the common name is the identity, and the hub says which id it gave."""
    plant.add("cert1", auth="x509-ca")
    client = await plant.client(make("cert1", device_ca, client=True))
    answer = await client.connect(Connect("", level=5))
    assert answer.return_code == 0
    assert answer.properties is not None
    assert answer.properties.assigned_client_identifier == "cert1"


async def test_over_websocket(plant: RunningHub) -> None:
    """MQTT 5 in frames."""
    plant.add("leaf1")
    async with plant.http() as http, http.websocket(PATH, protocols=("mqtt",)) as socket:
        decoder, packets = Decoder(level=5), []
        await socket.send_bytes(encode(connect5("leaf1"), 5))
        subscribe = Subscribe(1, (("plant/#", SubscriptionOptions(1)),))
        publish = Publish("plant/1", b"hello", 1, packet_id=2, properties=Properties(content_type="text/plain"))
        await socket.send_bytes(encode(subscribe, 5) + encode(publish, 5))
        while len(packets) < 4:
            message = await socket.receive(PATIENCE)
            assert message.type is aiohttp.WSMsgType.BINARY
            packets += decoder.feed(message.data)
    assert isinstance(packets[0], Connack)
    assert packets[1] == Suback(1, (1,))
    received = [packet for packet in packets[2:] if isinstance(packet, Publish)]
    assert [packet.payload for packet in received] == [b"hello"]
    assert Puback(2) in packets


async def test_a_restart_of_the_hub(make_hub: StartHub) -> None:
    """A session that lasts: its plain subscription, what waited for it, and when it ends, are on disk."""
    hub = await (await make_hub(POLICY.replace("keep_alive = 0.4", ""))).start()
    for name in ("sub", "pub"):
        hub.add(name)
    lasting = Properties(session_expiry_interval=1000)
    sub = await client5(hub, "sub", properties=lasting)
    await sub.send(Subscribe(1, (("plant/#", SubscriptionOptions(1, retain_as_published=True)),)))
    assert await sub.receive() == Suback(1, (1,))
    await sub.send(Disconnect())
    assert await sub.closed()
    pub = await client5(hub, "pub")
    await pub.send(Publish("plant/1", b"kept", 1, True, packet_id=1))
    assert await pub.receive() == Puback(1)
    await hub.stop()
    (entry,) = json.loads((hub.home.hub / "sessions.json").read_text())
    assert entry["plain"] == {"plant/#": [1, False, True, None]}
    assert entry["expiry"] == 1000
    assert (hub.home.hub / "plain.db").stat().st_mode & 0o777 == 0o600
    await hub.start()
    sub = await hub.client()
    answer = await sub.connect(connect5("sub", clean_session=False, properties=lasting))
    assert answer.session_present
    message = await sub.receive()
    assert isinstance(message, Publish)
    assert (message.topic, message.payload, message.qos, message.retain) == ("plant/1", b"kept", 1, True)


async def test_expired_while_the_hub_was_down(make_hub: StartHub) -> None:
    """A session of 1,000 s whose client left 1,001 s ago: forgotten, with what waited for it."""
    hub = await (await make_hub(POLICY.replace("keep_alive = 0.4", ""))).start()
    for name in ("sub", "pub"):
        hub.add(name)
    lasting = Properties(session_expiry_interval=1000)
    sub = await client5(hub, "sub", properties=lasting)
    await sub.send(Subscribe(1, (("plant/#", SubscriptionOptions(1)),)))
    assert await sub.receive() == Suback(1, (1,))
    await sub.send(Disconnect())
    assert await sub.closed()
    await hub.stop()
    hub.clock = lambda: datetime.now(UTC) + timedelta(seconds=1001)
    await hub.start()
    client = await hub.client()
    answer = await client.connect(connect5("sub", clean_session=False, properties=lasting))
    assert not answer.session_present


async def test_rules_that_were_taken_back(make_hub: StartHub) -> None:
    """After a restart with other rules a kept subscription gets nothing."""
    hub = await (await make_hub(POLICY.replace("keep_alive = 0.4", ""))).start()
    for name in ("sub", "pub"):
        hub.add(name)
    sub = await client5(hub, "sub", properties=Properties(session_expiry_interval=1000))
    await sub.send(Subscribe(1, (("plant/#", SubscriptionOptions(1)),)))
    assert await sub.receive() == Suback(1, (1,))
    await hub.stop()
    text = hub.home.settings.read_text()
    hub.home.settings.write_text(text.replace('subscribe = ["plant/#"]', 'subscribe = ["other/#"]'))
    await hub.start()
    sub = await hub.client()
    options = {"clean_session": False, "properties": Properties(session_expiry_interval=1000)}
    assert (await sub.connect(connect5("sub", **options))).session_present
    pub = await client5(hub, "pub")
    await pub.send(Publish("plant/1", b"x", 1, packet_id=1))
    assert await pub.receive() == Puback(1, Reason.NO_MATCHING_SUBSCRIBERS)
    assert await sub.alive()
