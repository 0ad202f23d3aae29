"""MQTT and HTTPS clients that do just what a test tells them, one step at a time."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from leafward.wire import sas
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Connect, Packet, Pingreq, Pingresp, Publish, Suback, Subscribe

HOST = "localhost"
EDGE = "edge-device"
KEY = b"k" * 32
PATIENCE = 15.0  # seconds until a test gives up waiting for what should come at once
NOW = datetime(2026, 7, 1, tzinfo=UTC)


class Client:
    """An MQTT client, one step at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = Decoder(300_000)
        self._packets: list[Packet] = []
        self._next_id = 0

    async def send(self, *packets: Packet) -> None:
        await self.send_bytes(b"".join(encode(packet, self._decoder.level) for packet in packets))

    async def send_bytes(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Packet | None:
        """The next packet; None when the hub has closed the connection."""
        while not self._packets:
            try:
                data = await asyncio.wait_for(self.reader.read(65_536), PATIENCE)
            except (ConnectionError, ssl.SSLError):
                return None
            if not data:
                return None
            self._packets.extend(self._decoder.feed(data))
        return self._packets.pop(0)

    async def closed(self) -> bool:
        """True when the hub closes the connection; whatever it says before is read."""
        while await self.receive() is not None:
            pass
        return True

    async def connect(self, connect: Connect) -> Connack:
        """From here on the client speaks the version of its CONNECT."""
        self._decoder.level = connect.level
        await self.send(connect)
        answer = await self.receive()
        assert isinstance(answer, Connack), answer
        return answer

    async def subscribe(self, *filters: str, qos: int = 1) -> tuple[int, ...]:
        await self.send(Subscribe(self.next_id(), tuple((text, qos) for text in filters)))
        answer = await self.receive()
        assert isinstance(answer, Suback), answer
        return answer.return_codes

    async def publish(self, topic: str, body: bytes = b"{}", *, qos: int = 1, **options: Any) -> int:
        """Sends a message; the packet id (0 for QoS 0)."""
        packet_id = self.next_id() if qos else None
        await self.send(Publish(topic, body, qos, packet_id=packet_id, **options))
        return packet_id or 0

    def next_id(self) -> int:
        self._next_id += 1
        return self._next_id

    async def alive(self) -> bool:
        """Whether the hub answers on this connection."""
        await self.send(Pingreq())
        return await self.receive() == Pingresp()

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def events(device_id: str, module_id: str | None = None, bag: str = "") -> str:
    """The topic of telemetry."""
    modules = f"/modules/{module_id}" if module_id else ""
    return f"devices/{device_id}{modules}/messages/events/{bag}"


def login(
    device_id: str,
    module_id: str | None = None,
    *,
    key: bytes | None = KEY,
    client_id: str | None = None,
    host: str = "hub.example",
    expiry: int | None = None,
    clean: bool = True,
    keep_alive: int = 60,
    audience: str | None = None,
    **options: Any,
) -> Connect:
    """A CONNECT as the SDKs send it, with a token, or without when `key` is None."""
    own = device_id if module_id is None else f"{device_id}/{module_id}"
    resource = audience or sas.resource_of(host, device_id, module_id)
    seconds = expiry if expiry is not None else int(datetime.now(UTC).timestamp()) + 3600
    password = None if key is None else sas.sign(resource, key, seconds).encode()
    return Connect(
        client_id=own if client_id is None else client_id,
        keep_alive=keep_alive,
        clean_session=clean,
        username=f"{host}/{own}/?api-version=2019-10-01&DeviceClientType=test",
        password=password,
        **options,
    )


@dataclass(frozen=True)
class Http:
    """Requests to one hub, whose certificate is for localhost."""

    session: aiohttp.ClientSession
    base: str

    def request(self, method: str, path: str, **options: Any) -> Any:
        return self.session.request(method, self.base + path, server_hostname=HOST, **options)

    def websocket(self, path: str, **options: Any) -> Any:
        return self.session.ws_connect(self.base + path, server_hostname=HOST, **options)
