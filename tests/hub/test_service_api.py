"""The doors of the service API: who gets in, in which order a call is judged, and what a bad one is told."""

import asyncio
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from leafward.errors import NotFound, StoreError
from leafward.hub import service_socket
from leafward.hub.metrics import HubMetrics
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal, Refusals
from leafward.hub.service_api import Answer, ServiceCall, ServiceRoute, itself, json_answer, modules_of
from leafward.hub.service_callers import claim_of
from leafward.hub.service_dispatch import ServiceApi
from leafward.hub.service_places import Places
from leafward.hub.settings import Limits
from leafward.store.home import Home
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, NOW
from tests.hub.service_clients import VERSION, credential, operator, over_https


def fake_hub(**limits: Any) -> Any:
    """What the API needs of a hub."""
    metrics = HubMetrics()
    return SimpleNamespace(metrics=metrics, refusals=Refusals(metrics), limits=Limits(**limits), clock=lambda: NOW)


async def asked(api: ServiceApi, method: str, path: str, **options: Any) -> tuple[int, Any]:
    """A call on the operator's door, and its answer."""
    application = web.Application()
    application.add_routes(api.operator_routes())
    async with TestClient(TestServer(application)) as client, client.request(method, path, **options) as answer:
        body = await answer.read()
        return answer.status, json.loads(body) if body else None


def api_of(answer: Any, hub: Any = None, **options: Any) -> ServiceApi:
    """An API of one route, `POST /things/{device_id}`."""
    api = ServiceApi(fake_hub() if hub is None else hub, places=options.pop("places", None))
    api.add(ServiceRoute("POST", "/things/{device_id}", answer, **options))
    return api


PATH = f"/things/a%2Fb?{VERSION}&x=1"


async def test_a_call_reaches_its_route() -> None:
    """Names are decoded once, the api-version is nobody's business any more, headers are found in any case."""

    async def answer(call: ServiceCall) -> Answer:
        assert call.caller is None
        return json_answer(
            {
                "device": call.device_id,
                "module": call.module_id,
                "query": dict(call.query),
                "if": call.headers["If-MATCH"],
                "body": call.body.decode(),
            },
            202,
        )

    told = await asked(api_of(answer), "POST", PATH, data=b"hello", headers={"if-match": "*"})
    assert told == (202, {"device": "a/b", "module": None, "query": {"x": "1"}, "if": "*", "body": "hello"})


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (NotFound("no such thing", hint="look"), 404, "GenericNotFound;no such thing; look"),
        (StoreError("the disk is full"), 503, "ServiceUnavailable;the disk is full"),
        (RuntimeError("secret"), 500, "ServerError;internal error"),
        (TimeoutError(), 504, "GatewayTimeout;the answer took too long"),
    ],
)
async def test_a_route_that_fails(error: Exception, status: int, code: str) -> None:
    """An error of ours is said; of what nobody foresaw nothing is."""

    async def answer(_call: ServiceCall) -> Answer:
        raise error

    got, body = await asked(api_of(answer), "POST", PATH)
    assert (got, body["Message"]) == (status, f"ErrorCode:{code}")


async def test_a_route_that_takes_too_long() -> None:
    async def answer(_call: ServiceCall) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    hub = fake_hub()
    assert (await asked(api_of(answer, hub, seconds=0.01), "POST", PATH))[0] == 504
    assert hub.metrics.service_calls == {"504": 1}


async def nothing(_call: ServiceCall) -> Answer:
    """An answer that says nothing."""
    return Answer(204)


@pytest.mark.parametrize("query", ["", "?api-version=", "?api-version=latest", "?api-version=2015-01-01"])
async def test_the_version_is_looked_at_first(query: str) -> None:
    status, body = await asked(api_of(nothing), "POST", f"/things/a{query}")
    assert (status, body["errorCode"]) == (400, 400004)


@pytest.mark.parametrize(("query", "status"), [("", 404), ("?api-version=1", 400), ("?api-version=", 400)])
async def test_the_version_on_the_https_port(hub: RunningHub, query: str, status: int) -> None:
    """Node's SDK leaves it out; one that is there must be one."""
    hub.add(EDGE, "asking")
    path, headers = f"/twins/nobody/methods{query}", credential(EDGE, "asking", named=True)
    async with hub.http() as http, http.request("POST", path, json={"methodName": "m"}, headers=headers) as answer:
        assert answer.status == status


async def test_a_body_that_is_too_large_or_too_slow() -> None:
    """Told or not told how long it is."""

    async def pieces() -> Any:
        yield b"12345"
        yield b"678901"

    async def dribble() -> Any:
        yield b"1"
        await asyncio.Event().wait()

    api = api_of(nothing, fake_hub(packet_timeout=0.05), body_limit=10)
    assert (await asked(api, "POST", PATH, data=b"0123456789"))[0] == 204
    assert (await asked(api, "POST", PATH, data=b"0123456789a"))[0] == 413
    assert (await asked(api, "POST", PATH, data=pieces()))[0] == 413
    assert (await asked(api, "POST", PATH, data=dribble()))[0] == 408


async def test_too_many_calls_at_once() -> None:
    """The next is refused and told when to come again; the place is free afterwards."""
    go = asyncio.Event()

    async def answer(_call: ServiceCall) -> Answer:
        await go.wait()
        return Answer(204)

    places = Places(2, 1)
    api = api_of(answer, places=places)
    waiting = asyncio.create_task(asked(api, "POST", PATH))
    while not len(places):
        await asyncio.sleep(0)
    status, body = await asked(api, "POST", PATH)
    assert (status, body["errorCode"]) == (429, 429001)
    go.set()
    assert (await waiting)[0] == 204
    assert len(places) == 0
    assert (await asked(api, "POST", PATH))[0] == 204


def test_places_in_all() -> None:
    """One more caller finds none when all are taken."""
    places = Places(2, 2)
    with places.taken("a"), places.taken("b"):
        assert not places.free_for("c")
    assert places.free_for("c")


# ---- who calls


def peer(device: str, module: str | None = None) -> Peer:
    return Peer(device, module, NOW, ())


@pytest.mark.parametrize(
    ("who", "module_may", "itself_may"),
    [
        (peer(EDGE, "asking"), True, False),
        (peer(EDGE), False, False),
        (peer("leaf1"), False, True),
        (peer("leaf1", "part"), False, False),
        (None, False, False),
    ],
)
def test_who_may(who: Peer | None, *, module_may: bool, itself_may: bool) -> None:
    """Denied unless it is allowed."""
    call = ServiceCall(who, {"device_id": "leaf1"})
    assert modules_of(EDGE)(call) == module_may
    assert itself(call) == itself_may


@pytest.mark.parametrize(
    ("headers", "names", "claim"),
    [
        ({"x-ms-edge-moduleId": "d/m", "Authorization": "t"}, {"device_id": "x"}, ("d", "m")),
        ({"x-ms-edge-moduleId": "d/m/n"}, {}, ("d", "m/n")),
        (credential("leaf1"), {"device_id": "other"}, ("leaf1", None)),
        (credential("LEAF1"), {"device_id": "leaf1"}, ("leaf1", None)),
        (credential("leaf1", "m"), {"device_id": "leaf1"}, ("leaf1", "m")),
        ({}, {"device_id": "leaf1", "module_id": "m"}, ("leaf1", "m")),
        ({}, {}, "credential-missing"),
        ({"x-ms-edge-moduleId": "d"}, {"device_id": "d"}, "login-malformed"),
        ({"x-ms-edge-moduleId": "/m"}, {"device_id": "d"}, "login-malformed"),
        ({"Authorization": "Basic x"}, {"device_id": "d"}, "sas-malformed"),
    ],
)
def test_who_is_claimed(headers: dict[str, str], names: dict[str, str], claim: Any) -> None:
    """By the header, else by the token, else by the path; the credential decides whether it is true."""
    found = claim_of(headers, names)
    assert (found.code if isinstance(found, Refusal) else found) == claim


# ---- the operator's socket


async def test_the_socket_is_ours_alone(make_hub: StartHub) -> None:
    """0600; one that a killed hub left is replaced; gone when the hub stops."""
    hub = await make_hub()
    hub.home.make_socket_folder()
    hub.home.hub_socket.write_bytes(b"left behind")
    await hub.start()
    assert stat.S_IMODE(hub.home.hub_socket.stat().st_mode) == 0o600
    await hub.stop()
    assert not hub.home.hub_socket.exists()


async def test_another_user_s_process_is_refused(make_hub: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the mode of the socket says: the kernel names the user."""
    monkeypatch.setattr(service_socket, "operators", lambda _home: frozenset({os.geteuid() + 1}))
    hub = await (await make_hub()).start()
    async with operator(hub) as us:
        told = await us.call("GET", "/hub/status")
    assert (told.status, told.code) == (403, "GenericForbidden")


def test_the_operators(tmp_path: Path) -> None:
    """Ours and root; where two users share the home, its owner too, and the group may connect."""
    home = Home(tmp_path / "home")
    home.run.mkdir(parents=True)
    assert service_socket.operators(home) == {0, os.geteuid()}
    assert not service_socket.is_shared(home)
    home.run.chmod(0o3770)
    assert service_socket.is_shared(home)
    assert service_socket.operators(home) == {0, os.geteuid(), home.root.stat().st_uid}


async def test_what_nobody_knows(hub: RunningHub) -> None:
    """Paths and methods, in IoT Hub's form."""
    async with operator(hub) as us:
        assert (await us.call("GET", "/nowhere")).code == "GenericNotFound"
        told = await us.call("GET", "/twins/leaf1/methods")
        assert (told.code, told.headers["Allow"]) == ("GenericMethodNotAllowed", "POST")


async def test_what_is_the_operator_s_alone(hub: RunningHub) -> None:
    """On the HTTPS port it is not refused: it is not there."""
    hub.add(EDGE, "module")
    for method, path in (
        ("GET", "/hub/status"),
        ("DELETE", "/hub/clients/leaf1"),
        ("DELETE", "/devices/leaf1/commands"),
    ):
        assert (await over_https(hub, method, path, headers=credential(EDGE, "module", named=True))).status == 404


async def test_status_and_disconnect(hub: RunningHub) -> None:
    """Who is here, since when, how; one connection ends, and its session stays."""
    hub.add("leaf1")
    hub.add(EDGE, "module")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.subscribe("$iothub/methods/POST/#")
    module = await hub.connected(EDGE, "module")
    async with operator(hub) as us:
        told = (await us.call("GET", "/hub/status")).json
        assert [client["id"] for client in told["clients"]] == [f"{EDGE}/module", "leaf1"]
        shown = told["clients"][1]
        assert (shown["protocol"], shown["transport"]) == ("MQTT 3.1.1", "tls")
        assert (shown["subscriptions"], shown["module_id"]) == (1, None)
        assert shown["address"].startswith("127.0.0.1:")
        assert shown["since"].endswith("Z")
        assert told["counters"]["accepted"] == 2
        assert (await us.call("DELETE", "/hub/clients/leaf1")).status == 204
        assert await leaf.closed()
        again = await us.call("DELETE", "/hub/clients/leaf1")
        assert (again.status, again.code) == (404, "DeviceNotOnline")
        assert (await us.call("GET", "/hub/status")).json["sessions_away"] == 1
        assert await module.alive()
        assert (await us.call("DELETE", f"/hub/clients/{EDGE}/modules/module")).status == 204
        assert await module.closed()
    assert await hub.counted("ended_total", "ended-by-operator") == 2


async def test_a_hub_that_is_killed_leaves_a_socket_that_answers_nobody(hub: RunningHub) -> None:
    """Connections to it fail, as the commands expect of a hub that does not run."""
    await hub.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        async with operator(hub) as us:
            await us.call("GET", "/hub/status")
