"""Clients that mind a twin: a device that asks and is told, and an operator at the hub's socket."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import aiohttp

from leafward.wire.hub_topics import TWIN_PATCH_FILTER, TWIN_RESPONSE_FILTER
from leafward.wire.mqtt.packets import Puback, Publish
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import Client

VERSION = {"api-version": "2021-04-12"}
EMPTY = {"desired": {"$version": 1}, "reported": {"$version": 1}}


class Device:
    """A client that asks for its twin, and acknowledges whatever comes at QoS 1."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.pushed: list[tuple[int, Any]] = []
        self._answers: list[tuple[int, dict[str, str], Any]] = []
        self._rid = 0

    async def get(self) -> Any:
        status, _, document = await self.ask("$iothub/twin/GET/", b" ")
        assert status == 200, document
        return document

    async def report(self, patch: Any, version: int | None = None) -> tuple[int, int | None]:
        """(status, new version)."""
        more = "" if version is None else f"&$version={version}"
        payload = patch if isinstance(patch, bytes) else json.dumps(patch).encode()
        status, fields, _ = await self.ask("$iothub/twin/PATCH/properties/reported/", payload, more)
        return status, int(fields["$version"]) if "$version" in fields else None

    async def ask(self, topic: str, payload: bytes, more: str = "") -> tuple[int, dict[str, str], Any]:
        self._rid += 1
        await self.client.publish(f"{topic}?$rid={self._rid}{more}", payload)
        while not self._answers:
            await self.take()
        status, fields, document = self._answers.pop(0)
        assert fields["$rid"] == str(self._rid)
        return status, fields, document

    async def push(self) -> tuple[int, Any]:
        """The next change of the desired properties: (version, patch)."""
        while not self.pushed:
            await self.take()
        return self.pushed.pop(0)

    async def take(self) -> None:
        packet = await self.client.receive()
        assert packet is not None, "the hub has ended the connection"
        if not isinstance(packet, Publish):
            return
        if packet.qos:
            await self.client.send(Puback(packet.packet_id or 0))
        path, _, query = packet.topic.partition("/?")
        fields = {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}
        document = json.loads(packet.payload) if packet.payload else None
        if path.startswith("$iothub/twin/res/"):
            self._answers.append((int(path.rpartition("/")[2]), fields, document))
        else:
            assert path == "$iothub/twin/PATCH/properties/desired"
            self.pushed.append((int(fields["$version"]), document))


async def device(hub: RunningHub, *ids: str, add: bool = True, qos: int = 1, clean: bool = True) -> Device:
    if add:
        hub.add(*ids)
    client = await hub.connected(*ids, clean=clean)
    assert await client.subscribe(TWIN_RESPONSE_FILTER, TWIN_PATCH_FILTER, qos=qos) == (qos, qos)
    return Device(client)


class Operator:
    """The operator's socket."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, method: str, path: str, body: Any = None, etag: str | None = None) -> tuple[int, Any]:
        headers = {} if etag is None else {"If-Match": etag}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        async with self._session.request(
            method, f"http://hub{path}", params=VERSION, data=data, headers=headers
        ) as answer:
            return answer.status, json.loads(await answer.read())

    async def desire(self, path: str, desired: Any, **options: Any) -> Any:
        status, twin = await self.ask("PATCH", path, {"properties": {"desired": desired}}, **options)
        assert status == 200, twin
        return twin


@contextlib.asynccontextmanager
async def operator(hub: RunningHub) -> AsyncIterator[Operator]:
    connector = aiohttp.UnixConnector(path=str(hub.home.hub_socket))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Operator(session)
