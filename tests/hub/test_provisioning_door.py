"""The provisioning service's door on the hub's ports: what is handed on, what is not, and what the hub keeps of it.

    device ── TLS ── hub ── run/provisioning.sock ── a service that notes what reaches it

root -> intermediate -> device CA -> leaf "pump-7"
"""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from leafward.wire import dps, dps_door
from leafward.wire.mqtt.packets import Connect, Publish
from tests.hub.conftest import RunningHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import Client

PATH = "/leafward/registrations/pump-7/register?api-version=2019-03-31"
USER = "leafward/registrations/pump-7/api-version=2019-03-31&ClientVersion=test"
REGISTER = "$dps/registrations/PUT/iotdps-register/?$rid=1"
BODY = b'{"registrationId":"pump-7"}'


@dataclass
class Service:
    """Answers as it is told; `seen` has the headers, methods and paths of every request."""

    status: int = 202
    headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "2"})
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self, hub: RunningHub) -> AsyncIterator["Service"]:
        application = web.Application()
        application.add_routes([web.route("*", "/{rest:.*}", self._answer)])
        runner = web.AppRunner(application, shutdown_timeout=0.01, max_field_size=200_000)
        await runner.setup()
        await web.UnixSite(runner, str(hub.home.provisioning_socket)).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, request.raw_path, headers))
        return web.json_response({"got": (await request.read()).decode()}, status=self.status, headers=self.headers)


@pytest.fixture
def leaf(device_ca: Held) -> Held:
    return make("pump-7", device_ca, client=True)


async def test_the_handshake_s_certificate_and_no_other(hub: RunningHub, leaf: Held) -> None:
    """What the device has proved is handed on; what it writes into the hub's own headers is not."""
    other = make("pump-8", client=True)
    forged = {dps_door.CHAIN: dps_door.write_chain(other.certificates), dps_door.OPENS_HUB: "1", "X-Other": "y"}
    async with Service().running(hub) as service:
        for held in (leaf, None):
            async with hub.http(held) as http, http.request("PUT", PATH, data=BODY, headers=forged) as answer:
                assert answer.status == 202
        (_, _, proved), (_, _, nothing) = service.seen
        assert dps_door.read_chain(proved[dps_door.CHAIN])[0] == leaf.leaf
        assert proved[dps_door.OPENS_HUB] == "1"
        assert dps_door.CHAIN not in nothing
        assert dps_door.OPENS_HUB not in nothing
        assert "x-other" not in proved


async def test_a_chain_that_does_not_open_the_hub(hub: RunningHub, root: Held) -> None:
    """Self-signed, and of another gateway's device CA: handed on, and said to open nothing."""
    elsewhere = make("elsewhere.ca", root, ca=True)
    async with Service().running(hub) as service:
        for held in (make("pump-7", client=True), make("pump-7", elsewhere, client=True)):
            async with hub.http(held) as http, http.request("PUT", PATH, data=BODY) as answer:
                assert answer.status == 202
        assert all(dps_door.CHAIN in headers and dps_door.OPENS_HUB not in headers for _, _, headers in service.seen)


async def test_why_stays_at_the_hub(hub: RunningHub, leaf: Held) -> None:
    """The service says why it refuses: the hub counts it, the device hears nothing of it."""
    service = Service(401, {dps_door.WHY: "enrolment-disabled;the group 'line' is disabled"})
    async with service.running(hub), hub.http(leaf) as http, http.request("PUT", PATH, data=BODY) as answer:
        assert answer.status == 401
        assert dps_door.WHY not in answer.headers
    assert await hub.counted("refused_total", "enrolment-disabled") == 1


async def test_no_service(hub: RunningHub, leaf: Held) -> None:
    """503 with Retry-After in the API's own form."""
    async with hub.http(leaf) as http, http.request("PUT", PATH, data=BODY) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert (await answer.json())["errorCode"] == dps.UNAVAILABLE


async def test_too_many(hub: RunningHub, leaf: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    """No place: 429 at once, with a time to come back."""
    monkeypatch.setattr("leafward.wire.dps_retry.Places.enter", lambda *_: 7)
    async with (
        Service().running(hub) as service,
        hub.http(leaf) as http,
        http.request("PUT", PATH, data=BODY) as answer,
    ):
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert (await answer.json())["errorCode"] == dps.THROTTLED
        assert service.seen == []


# ---- MQTT


async def ask(client: Client, topic: str, body: bytes = b" ") -> tuple[str, dict[str, Any]]:
    """(topic, body) of the answer."""
    await client.publish(topic, body)
    (answer,) = [one for one in (await client.receive(), await client.receive()) if isinstance(one, Publish)]
    return answer.topic, json.loads(answer.payload)


async def test_over_mqtt_by_certificate(hub: RunningHub, leaf: Held) -> None:
    """A registration's CONNECT is no device's: the registry need not know it."""
    async with Service().running(hub) as service:
        client = await hub.client(leaf)
        assert (await client.connect(Connect("pump-7", 60, username=USER))).return_code == 0
        assert await client.subscribe("$dps/registrations/res/#", "devices/#") == (1, 0x80)
        topic, body = await ask(client, REGISTER, BODY)
        assert (topic, body) == ("$dps/registrations/res/202/?$rid=1&retry-after=2", {"got": BODY.decode()})
        await ask(client, "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=5.a%2Fb")
        assert await client.alive()
    (put, get) = service.seen
    assert put[:2] == ("PUT", PATH)
    assert dps_door.read_chain(put[2][dps_door.CHAIN])[0] == leaf.leaf
    assert put[2][dps_door.OPENS_HUB] == "1"
    assert get[:2] == ("GET", "/leafward/registrations/pump-7/operations/5.a%2Fb?api-version=2019-03-31")


async def test_over_mqtt_by_token(hub: RunningHub, leaf: Held) -> None:
    """The password goes on as Authorization, and then no certificate."""
    async with Service().running(hub) as service:
        client = await hub.client(leaf)
        connect = Connect("pump-7", 60, username=USER, password=b"SharedAccessSignature sr=x&sig=y&se=1")
        assert (await client.connect(connect)).return_code == 0
        await ask(client, REGISTER, BODY)
    ((_, _, headers),) = service.seen
    assert headers["authorization"] == "SharedAccessSignature sr=x&sig=y&se=1"
    assert dps_door.CHAIN not in headers


@pytest.mark.parametrize("defect", ["another client id", "a bad id", "a line break", "a will"])
async def test_over_mqtt_refused_at_connect(hub: RunningHub, defect: str) -> None:
    """CONNACK 5, and the operator is told."""
    from leafward.wire.mqtt.packets import Will

    connect = Connect("pump-7", 60, username=USER)
    match defect:
        case "another client id":
            connect.client_id = "pump-8"
        case "a bad id":
            connect.username = USER.replace("pump-7", "pump+7")
        case "a line break":
            connect.password = b"x\r\nx-leafward-opens-hub: 1"
        case "a will":
            connect.will = Will("x", b"")
    client = await hub.client()
    assert (await client.connect(connect)).return_code == 5
    assert await client.closed()
    assert await hub.counted("refused_total", "login-malformed") == 1


@pytest.mark.parametrize("topic", ["devices/pump-7/messages/events/", "$dps/registrations/PUT/other/?$rid=1", "$dps/x"])
async def test_over_mqtt_elsewhere(hub: RunningHub, topic: str) -> None:
    """A registration publishes its two questions and nothing else: the connection ends."""
    client = await hub.client()
    assert (await client.connect(Connect("pump-7", 60, username=USER))).return_code == 0
    await client.publish(topic)
    assert await client.closed()


async def test_over_mqtt_too_many_questions(hub: RunningHub) -> None:
    """Four at once and no more: the fifth ends the connection."""
    client = await hub.client()
    assert (await client.connect(Connect("pump-7", 60, username=USER))).return_code == 0
    await client.send(*(Publish(REGISTER, BODY) for _ in range(5)))
    assert await client.closed()


async def test_a_connection_that_goes_while_it_waits(hub: RunningHub) -> None:
    """Nobody is left to answer; the hub goes on."""
    client = await hub.client()
    await client.connect(Connect("pump-7", 60, username=USER))
    await client.publish(REGISTER, BODY)
    await client.close()
    other = await hub.client()
    assert (await other.connect(Connect("pump-8", 60, username=USER.replace("7", "8")))).return_code == 0
