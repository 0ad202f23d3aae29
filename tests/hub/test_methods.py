"""Direct methods: asked by the operator or a module, answered by whoever was asked and nobody else."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from leafward.hub.methods import MethodFailure, Methods
from leafward.hub.metrics import HubMetrics
from leafward.hub.refusals import Refusals
from leafward.hub.requests import Requests
from leafward.wire.hub_topics import MethodResponse
from leafward.wire.methods import MethodCall
from leafward.wire.mqtt.packets import Disconnect
from leafward.wire.service_api import Fault
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, NOW, Client
from tests.hub.service_clients import (
    METHODS,
    Operator,
    Told,
    answered,
    credential,
    operator,
    over_https,
    question,
    request_id,
)

# Nothing here depends on the loop.
pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])


async def listening(hub: RunningHub, device: str = "leaf1", module: str | None = None, **options: Any) -> Client:
    """A client that takes methods."""
    client = await hub.connected(device, module, **options)
    await client.subscribe(METHODS)
    return client


async def test_a_method_and_its_answer(hub: RunningHub) -> None:
    """The payload goes and comes as JSON; the status is the device's own."""
    hub.add("leaf1")
    leaf = await listening(hub)
    async with operator(hub) as us:
        asking = asyncio.create_task(us.invoke("set-speed", payload={"rpm": 900}))
        asked = await question(leaf)
        assert asked.topic.startswith("$iothub/methods/POST/set-speed/?$rid=")
        assert (asked.qos, json.loads(asked.payload)) == (1, {"rpm": 900})
        await answered(leaf, request_id(asked), b'{"was":1.10}', status=207)
        told = await asking
    assert (told.status, told.body) == (200, b'{"status":207,"payload":{"was":1.10}}')
    assert await hub.counted("methods_total", "answered") == 1


async def test_a_module_of_this_edge_asks_a_leaf_and_a_module(hub: RunningHub) -> None:
    """As the SDKs' modules ask: by HTTPS, with their own token and who they are."""
    hub.add("leaf1")
    hub.add(EDGE, "filter")
    hub.add(EDGE, "asking")
    leaf, module = await listening(hub), await listening(hub, EDGE, "filter")
    for client, path in ((leaf, "/twins/leaf1/methods"), (module, f"/twins/{EDGE}/modules/filter/methods")):
        call = over_https(hub, "POST", path, headers=credential(EDGE, "asking", named=True), json={"methodName": "m"})
        asking = asyncio.create_task(call)
        asked = await question(client)
        assert asked.payload == b"null"
        await answered(client, request_id(asked), b"")
        assert (await asking).json == {"status": 200, "payload": None}


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "IotHubUnauthorizedAccess"),
        ({"Authorization": "Bearer x"}, 401, "IotHubUnauthorizedAccess"),
        (credential("leaf1"), 403, "GenericForbidden"),
        (credential("leaf2"), 403, "GenericForbidden"),
        (credential("leaf2", "part"), 403, "GenericForbidden"),
        ({**credential(EDGE, "asking"), "x-ms-edge-moduleId": f"{EDGE}/filter"}, 401, "IotHubUnauthorizedAccess"),
        ({**credential(EDGE, "asking"), "x-ms-edge-moduleId": EDGE}, 401, "IotHubUnauthorizedAccess"),
        (credential(EDGE, "nobody"), 401, "IotHubUnauthorizedAccess"),
    ],
)
async def test_who_may_not_ask(hub: RunningHub, headers: dict[str, str], status: int, code: str) -> None:
    """Leaf devices, their modules, strangers, and a module under another's name: the device hears nothing."""
    for device, module in (("leaf1", None), ("leaf2", None), ("leaf2", "part"), (EDGE, "asking"), (EDGE, "filter")):
        hub.add(device, module, primary_key=None if module == "filter" else b"k" * 32, **_thumbprint(module))
    leaf = await listening(hub)
    told = await over_https(hub, "POST", "/twins/leaf1/methods", headers=headers, json={"methodName": "m"})
    assert (told.status, told.code) == (status, code)
    assert await leaf.alive()


def _thumbprint(module: str | None) -> dict[str, Any]:
    return {"auth": "x509-thumbprint", "primary_thumbprint": "ab" * 32} if module == "filter" else {}


async def test_nobody_there(hub: RunningHub) -> None:
    """Unknown; known and away; here and without the subscription: each at once, in IoT Hub's codes."""
    hub.add("leaf1")
    hub.add("leaf2")
    bystander = await hub.connected("leaf2")
    async with operator(hub) as us:
        assert _told(await us.invoke("m", "nobody")) == (404, "DeviceNotFound", 404001)
        assert _told(await us.invoke("m", f"{EDGE}/modules/none")) == (404, "ModuleNotFound", 404010)
        assert _told(await us.invoke("m", "leaf1")) == (404, "DeviceNotOnline", 404103)
        assert _told(await us.invoke("m", "leaf2")) == (404, "DeviceNotOnline", 404103)
    assert await bystander.alive()


def _told(told: Told) -> tuple[int, str | None, int]:
    return told.status, told.code, told.json["errorCode"]


async def test_a_device_that_comes_in_time(hub: RunningHub) -> None:
    """connectTimeoutInSeconds: asked as soon as it has subscribed."""
    hub.add("leaf1")
    async with operator(hub) as us:
        asking = asyncio.create_task(us.invoke("m", connect=30))
        leaf = await hub.connected("leaf1")
        assert not asking.done()
        await leaf.subscribe(METHODS)
        await answered(leaf, request_id(await question(leaf)))
        assert (await asking).status == 200


async def test_a_lasting_session_is_asked_when_its_client_comes_back(hub: RunningHub) -> None:
    """The SDKs do not subscribe again: the session has the subscription."""
    hub.add("leaf1")
    leaf = await listening(hub, clean=False)
    await leaf.send(Disconnect())
    assert await leaf.closed()
    async with operator(hub) as us:
        asking = asyncio.create_task(us.invoke("m", connect=30))
        again = await hub.connected("leaf1", clean=False, present=True)
        await answered(again, request_id(await question(again)))
        assert (await asking).status == 200


class Here:
    """A client that is here and takes methods; `asked` has the ids of what it was asked."""

    client_id, connected = "leaf1", True
    peer = SimpleNamespace(client_id="leaf1", generation_id="g1")

    def __init__(self, *, keeps_up: bool = True) -> None:
        self.asked: list[str] = []
        self._keeps_up = keeps_up

    def takes(self, topic: str) -> bool:
        return topic.startswith("$iothub/methods/POST/")

    def send(self, topic: str, payload: bytes, *, qos: int) -> bool:
        self.asked.append(topic.rpartition("=")[2])
        return self._keeps_up


def methods_of(client: Here) -> tuple[Methods, Requests, HubMetrics]:
    """`Methods` over one client, without a hub around it."""
    metrics, requests = HubMetrics(), Requests()
    broker = SimpleNamespace(find=lambda _name: client, arrived=[], subscribed=[])
    hub: Any = SimpleNamespace(
        broker=broker, requests=requests, metrics=metrics, refusals=Refusals(metrics), clock=lambda: NOW
    )
    return Methods(hub, lambda _device, _module: True), requests, metrics


async def test_no_answer() -> None:
    """504101 after the time that was given; what comes afterwards is passed over and counted."""
    client: Any = Here()
    methods, requests, metrics = methods_of(client)
    outcome = await methods.invoke("leaf1", None, MethodCall("m", response_timeout=0))
    assert outcome == MethodFailure(Fault.GATEWAY_TIMEOUT, "Timed out waiting for the response from device.")
    for rid in (*client.asked, "made-up"):
        requests.handle(client, client.peer, MethodResponse(200, rid), b"1")
    assert metrics.methods == {"timed-out": 1, "late-answer": 1, "unasked-answer": 1}


async def test_an_answer_of_a_later_registration() -> None:
    """A device that was removed and registered anew under its name may not answer for the earlier one."""
    client: Any = Here()
    methods, requests, metrics = methods_of(client)
    asking = asyncio.create_task(methods.invoke("leaf1", None, MethodCall("m")))
    while not client.asked:
        await asyncio.sleep(0)
    later: Any = SimpleNamespace(client_id="leaf1", generation_id="g2")
    requests.handle(client, later, MethodResponse(200, client.asked[0]), b"1")
    assert metrics.methods == {"forged-answer": 1}
    methods.close()
    assert await asking == MethodFailure(Fault.UNAVAILABLE, "the hub is being stopped")


async def test_a_device_that_does_not_keep_up() -> None:
    """Said at once: what is not sent is not waited for."""
    client: Any = Here(keeps_up=False)
    methods, _requests, metrics = methods_of(client)
    outcome = await methods.invoke("leaf1", None, MethodCall("m", response_timeout=300))
    assert outcome == MethodFailure(Fault.UNAVAILABLE, "leaf1 does not keep up")
    assert metrics.methods == {"not-sent": 1}


async def test_answers_of_others_and_second_ones(hub: RunningHub) -> None:
    """Another client that knows the id answers nothing, and is told of; the second answer changes nothing."""
    hub.add("leaf1")
    hub.add("thief")
    leaf, thief = await listening(hub), await listening(hub, "thief")
    async with operator(hub) as us:
        asking = asyncio.create_task(us.invoke("m"))
        rid = request_id(await question(leaf))
        await answered(thief, rid, b'"forged"')
        assert await thief.alive()
        await answered(leaf, rid, b'"first"')
        await answered(leaf, rid, b'"second"')
        assert (await asking).json == {"status": 200, "payload": "first"}
        assert await leaf.alive()
    assert await hub.counted("methods_total", "forged-answer") == 1
    assert await hub.counted("methods_total", "second-answer") == 1
    assert await hub.counted("refused_total", "method-answer-forged") == 1


async def test_an_answer_that_is_no_json(hub: RunningHub) -> None:
    """Told at once, instead of an answer that nobody can read."""
    hub.add("leaf1")
    leaf = await listening(hub)
    async with operator(hub) as us:
        asking = asyncio.create_task(us.invoke("m"))
        await answered(leaf, request_id(await question(leaf)), b"done")
        assert _told(await asking) == (502, "BadDeviceResponse", 502000)


async def test_ids_cannot_be_guessed(hub: RunningHub) -> None:
    """96 random bits; several questions to one device are told apart, whatever the order of the answers."""
    hub.add("leaf1")
    leaf = await listening(hub)
    async with operator(hub) as us:
        asking = [asyncio.create_task(us.invoke("m", payload=number)) for number in range(5)]
        asked = [await question(leaf) for _ in asking]
        assert len({request_id(one) for one in asked}) == 5
        assert all(len(request_id(one)) == 24 for one in asked)
        for one in reversed(asked):
            await answered(leaf, request_id(one), one.payload)
        assert sorted([(await one).json["payload"] for one in asking]) == [0, 1, 2, 3, 4]


async def test_too_many_questions_to_one_device(hub: RunningHub) -> None:
    """32 wait; the next is refused at once, and another device is asked still."""
    hub.add("leaf1")
    hub.add("leaf2")
    leaf, other = await listening(hub), await listening(hub, "leaf2")
    async with operator(hub) as us:
        asking = [asyncio.create_task(us.invoke("m")) for _ in range(32)]
        asked = [await question(leaf) for _ in asking]
        assert _told(await us.invoke("m")) == (429, "ThrottlingException", 429001)
        elsewhere = asyncio.create_task(us.invoke("m", "leaf2"))
        await answered(other, request_id(await question(other)))
        assert (await elsewhere).status == 200
        for one in asked:
            await answered(leaf, request_id(one))
        assert {(await one).status for one in asking} == {200}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"no json", 400),
        (b'{"methodName":"m","responseTimeoutInSeconds":1}', 400),
        (b'{"methodName":"m","payload":"' + b"x" * 140_000 + b'"}', 400),
        (b'{"methodName":"m","payload":"' + b"x" * 270_000 + b'"}', 413),
    ],
)
async def test_a_call_that_is_refused(hub: RunningHub, body: bytes, status: int) -> None:
    async with operator(hub) as us:
        assert (await us.call("POST", "/twins/leaf1/methods", data=body)).status == status


async def test_whoever_waits_is_told_that_the_hub_stops(make_hub: StartHub) -> None:
    """For a device, and for its answer: 503 instead of a connection that ends."""
    hub = await (await make_hub()).start()
    hub.add("leaf1")
    hub.add("leaf2")
    leaf = await listening(hub)
    async with operator(hub) as us:
        asking = [asyncio.create_task(us.invoke("m", response=300)), asyncio.create_task(_waiting(us))]
        await question(leaf)
        await hub.stop()
        statuses = [(await one).status for one in asking]
    assert statuses == [503, 503]


async def _waiting(us: Operator) -> Told:
    return await us.invoke("m", "leaf2", connect=300)
