"""A hub's service API from both doors, and devices that answer methods."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from leafward.wire import sas
from leafward.wire.mqtt.packets import Puback, Publish
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import EDGE, KEY, Client

VERSION = "api-version=2021-04-12"
METHODS = "$iothub/methods/POST/#"


@dataclass(frozen=True)
class Told:
    """An answer of the service API."""

    status: int
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The name of the error."""
        name = self.headers.get("iothub-errorcode")
        if name is not None:
            assert self.json["Message"].startswith(f"ErrorCode:{name};")
            assert self.json["errorCode"] // 1000 == self.status
        return name


@dataclass(frozen=True)
class Operator:
    """The operator's commands, on the hub's own socket."""

    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, *, query: str = VERSION, **options: Any) -> Told:
        async with self.session.request(method, f"http://hub{path}?{query}", **options) as answer:
            return Told(answer.status, await answer.read(), answer.headers)

    async def invoke(
        self, name: str, device: str = "leaf1", *, response: int = 5, connect: int = 0, **more: Any
    ) -> Told:
        body = {
            "methodName": name,
            "responseTimeoutInSeconds": response,
            "connectTimeoutInSeconds": connect,
            **more,
        }
        return await self.call("POST", f"/twins/{device}/methods", json=body)


@contextlib.asynccontextmanager
async def operator(hub: RunningHub) -> AsyncIterator[Operator]:
    connector = aiohttp.UnixConnector(path=str(hub.home.hub_socket))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Operator(session)


async def over_https(hub: RunningHub, method: str, path: str, *, headers: Any = None, **options: Any) -> Told:
    """A call of a device or module."""
    joint = "&" if "?" in path else "?"
    async with (
        hub.http() as http,
        http.request(method, f"{path}{joint}{VERSION}", headers=headers, **options) as answer,
    ):
        return Told(answer.status, await answer.read(), answer.headers)


def credential(device_id: str, module_id: str | None = None, *, named: bool = False) -> dict[str, str]:
    """The Authorization of a device or module; `named`: as the SDKs' modules name themselves beside it."""
    token = sas.sign(
        sas.resource_of("hub.example", device_id, module_id), KEY, int(datetime.now(UTC).timestamp()) + 3600
    )
    names = {"x-ms-edge-moduleId": f"{device_id}/{module_id}"} if named else {}
    return {"Authorization": token, **names}


async def question(client: Client) -> Publish:
    """The next method that a device is asked."""
    packet = await client.receive()
    assert isinstance(packet, Publish), packet
    assert packet.topic.startswith("$iothub/methods/POST/")
    if packet.qos:
        await client.send(Puback(packet.packet_id or 0))
    return packet


def request_id(asked: Publish) -> str:
    """The id in the topic of a question."""
    return asked.topic.rpartition("?$rid=")[2]


async def answered(client: Client, rid: str, body: bytes = b'{"ok":true}', *, status: int = 200) -> None:
    """A device's answer, at QoS 0 as Node's SDK sends it."""
    await client.publish(f"$iothub/methods/res/{status}/?$rid={rid}", body, qos=0)


__all__ = [
    "EDGE",
    "METHODS",
    "Operator",
    "Told",
    "answered",
    "credential",
    "operator",
    "over_https",
    "question",
    "request_id",
]
