"""Telemetry over HTTPS in IoT Hub's form, MQTT over WebSocket, health and counters."""

import asyncio
import contextlib
import hashlib
import ssl
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.wire import sas
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Puback, Publish
from leafward.wire.service_api_headers import read_headers
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import make
from tests.hub.hub_clients import EDGE, HOST, KEY, PATIENCE, events, login

URL = "/devices/leaf1/messages/events?api-version=2020-03-13"


def token(device_id: str, module_id: str | None = None, key: bytes = KEY, seconds: int = 3600) -> dict[str, str]:
    """The Authorization header."""
    expiry = int(datetime.now(UTC).timestamp()) + seconds
    return {"Authorization": sas.sign(sas.resource_of("hub.example", device_id, module_id), key, expiry)}


async def test_a_message(hub: RunningHub) -> None:
    """204 when it is durable, with properties of both kinds."""
    hub.add("leaf1")
    headers = {
        **token("leaf1"),
        "iothub-app-Colour": "red",
        "iothub-messageid": "m1",
        "iothub-contenttype": "application/json",
    }
    async with hub.http() as http, http.request("POST", URL, data=b'{"t":21}', headers=headers) as response:
        assert (response.status, await response.read()) == (204, b"")
    (message,) = hub.messages()
    assert (message.device_id, message.body, message.properties) == ("leaf1", b'{"t":21}', {"Colour": "red"})
    assert message.system == {"messageId": "m1", "contentType": "application/json"}


async def test_a_module_s_message(hub: RunningHub) -> None:
    """The path names the module."""
    hub.add(EDGE, "sensor")
    url = f"/devices/{EDGE}/modules/sensor/messages/events?api-version=1"
    async with hub.http() as http, http.request("POST", url, data=b"x", headers=token(EDGE, "sensor")) as response:
        assert response.status == 204
    assert hub.messages()[0].module_id == "sensor"


async def test_a_client_certificate(hub: RunningHub) -> None:
    """By its thumbprint, without Authorization."""
    held = make("leaf1", client=True)
    thumbprint = hashlib.sha256(held.leaf.public_bytes(Encoding.DER)).hexdigest()
    hub.add("leaf1", auth="x509-thumbprint", primary_thumbprint=thumbprint)
    async with hub.http(held) as http, http.request("POST", URL, data=b"x") as response:
        assert response.status == 204


@pytest.mark.parametrize(
    ("url", "headers", "status"),
    [
        (URL, {}, 401),
        (URL, {"Authorization": "Bearer x"}, 401),
        (URL, token("leaf1", key=b"x" * 32), 401),
        (URL, token("leaf1", seconds=-60), 401),
        (URL, token("leaf2"), 401),
        (URL.replace("leaf1", "nobody"), token("nobody"), 401),
        (URL.replace("leaf1", "a%2Fb"), token("leaf1"), 401),
        ("/devices/leaf1/messages/events", token("leaf1"), 400),
        ("/devices/leaf1/elsewhere?api-version=1", token("leaf1"), 404),
        ("/", {}, 404),
        (URL, {**token("leaf1"), "Content-Type": "application/vnd.microsoft.iothub.json"}, 415),
    ],
)
async def test_a_request_that_is_refused(hub: RunningHub, url: str, headers: dict[str, str], status: int) -> None:
    """Nothing is kept, and the answer tells a stranger nothing."""
    hub.add("leaf1")
    hub.add("leaf2")
    async with hub.http() as http, http.request("POST", url, data=b"x", headers=headers) as response:
        assert response.status == status
        answer = await response.json()
    assert set(answer) == {"Message", "ExceptionMessage"}
    if status == 401:
        assert answer["Message"] == "unauthorized"
    assert hub.messages() == []


async def test_a_message_that_is_too_large(hub: RunningHub) -> None:
    """413 for more than 256 KiB, and 204 for just as much."""
    hub.add("leaf1")
    async with hub.http() as http:
        for size, status in ((262_144, 204), (262_145, 413)):
            async with http.request("POST", URL, data=bytes(size), headers=token("leaf1")) as response:
                assert response.status == status


async def test_health_and_counters(hub: RunningHub) -> None:
    """For this machine only, which is where the test runs."""
    async with hub.http() as http:
        async with http.request("GET", "/health") as response:
            assert await response.json() == {"status": "ok"}
            assert "Server" not in response.headers, "which Python and which library this is"
        async with http.request("GET", "/metrics") as response:
            assert "leafward_hub_connections 0.0" in await response.text()


async def test_a_request_that_never_comes(make_hub: StartHub) -> None:
    """A handshake and half a header: closed in time, and the MQTT side lives."""
    hub = await (await make_hub("[hub.limits]\nconnect_timeout = 0.3\n")).start()
    hub.add("leaf1")
    bystander = await hub.connected("leaf1")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", hub.at.https_port, ssl=hub.trusting(), server_hostname=HOST
    )
    writer.write(b"POST /devices/leaf1/messages/events HTTP/1.1\r\nHost: x\r\n")
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
    writer.transport.abort()
    assert await bystander.alive()


async def test_a_body_that_never_ends(make_hub: StartHub) -> None:
    """408: the header came, the body does not."""
    hub = await (await make_hub("[hub.limits]\npacket_timeout = 0.3\n")).start()
    hub.add("leaf1")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", hub.at.https_port, ssl=hub.trusting(), server_hostname=HOST
    )
    head = [f"POST {URL} HTTP/1.1", "Host: x", "Content-Length: 5", f"Authorization: {token('leaf1')['Authorization']}"]
    writer.write("\r\n".join([*head, "", "x"]).encode())
    assert (await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1] == b"408"
    writer.transport.abort()


def test_properties_of_headers() -> None:
    """Names of properties keep their case; other headers are no properties."""
    headers = [("IoTHub-App-A", "1"), ("iothub-app-", "none"), ("IOTHUB-MESSAGEID", "m"), ("Host", "h")]
    assert read_headers(headers) == ({"A": "1"}, {"messageId": "m"})


# ---- MQTT over WebSocket


class Frames:
    """Packets over a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._decoder = Decoder()

    async def receive(self) -> Any:
        """The next packet; None at the end."""
        while True:
            message = await asyncio.wait_for(self.socket.receive(), PATIENCE)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return None
            if packets := self._decoder.feed(message.data):
                assert len(packets) == 1
                return packets[0]


WEBSOCKET = "/$iothub/websocket"


async def test_mqtt_over_websocket(hub: RunningHub) -> None:
    """The same conversation, whatever the frames: one packet in three, then three in one."""
    hub.add("leaf1")
    async with hub.http() as http, http.websocket(WEBSOCKET, protocols=["mqtt"]) as socket:
        assert socket.protocol == "mqtt"
        frames = Frames(socket)
        data = encode(login("leaf1"))
        for part in (data[:3], data[3:50], data[50:]):
            await socket.send_bytes(part)
        assert await frames.receive() == Connack(0)
        await socket.send_bytes(encode(Publish(events("leaf1"), b"x", 1, packet_id=3)))
        assert await frames.receive() == Puback(3)
    assert hub.messages()[0].body == b"x"


async def test_a_websocket_of_a_device_that_is_cut(hub: RunningHub) -> None:
    """Live connections over WebSocket are cut like any other."""
    hub.add("leaf1")
    async with hub.http() as http, http.websocket(WEBSOCKET, protocols=["mqtt"]) as socket:
        frames = Frames(socket)
        await socket.send_bytes(encode(login("leaf1")))
        assert await frames.receive() == Connack(0)
        with hub.registry() as registry:
            registry.remove("leaf1")
        assert await frames.receive() is None


async def test_a_refused_login_over_websocket(hub: RunningHub) -> None:
    """CONNACK 5, then the end."""
    async with hub.http() as http, http.websocket(WEBSOCKET, protocols=["mqtt"]) as socket:
        frames = Frames(socket)
        await socket.send_bytes(encode(login("nobody")))
        assert await frames.receive() == Connack(5)
        assert await frames.receive() is None


async def test_text_over_websocket(hub: RunningHub) -> None:
    """MQTT is binary (6.0.0-1)."""
    hub.add("leaf1")
    bystander = await hub.connected("leaf1")
    async with hub.http() as http, http.websocket(WEBSOCKET, protocols=["mqtt"]) as socket:
        await socket.send_str("hello")
        assert await Frames(socket).receive() is None
    assert await bystander.alive()


@pytest.mark.parametrize("protocols", [[], ["amqp"]])
async def test_a_websocket_of_another_protocol(hub: RunningHub, protocols: list[str]) -> None:
    """Only the subprotocol mqtt is spoken."""
    async with hub.http() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.websocket(WEBSOCKET, protocols=protocols)
        assert caught.value.status == 400


async def test_the_hub_stops_with_a_websocket_open(hub: RunningHub) -> None:
    """A clean stop does not wait for it."""
    hub.add("leaf1")
    async with hub.http() as http, http.websocket(WEBSOCKET, protocols=["mqtt"]) as socket:
        frames = Frames(socket)
        await socket.send_bytes(encode(login("leaf1")))
        assert await frames.receive() == Connack(0)
        stopping = asyncio.create_task(hub.stop())
        assert await frames.receive() is None
        async with asyncio.timeout(1):
            await stopping
