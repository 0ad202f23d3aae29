"""Twins as service calls: the operator's by the hub's socket, and a device's own over HTTPS."""

import json
from typing import Any

from leafward.wire import sas
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import KEY
from tests.hub.twin_clients import VERSION, device, operator


async def test_the_operator_sees_the_whole(hub: RunningHub) -> None:
    pump = await device(hub, "pump")
    await pump.report({"on": True})
    async with operator(hub) as asking:
        status, twin = await asking.ask("GET", "/twins/pump")
    stamp = twin["properties"]["reported"]["$metadata"]["on"]["$lastUpdated"]
    assert stamp.endswith("Z")
    assert status == 200
    assert twin == {
        "deviceId": "pump",
        "etag": "1",
        "version": 2,
        "tags": {},
        "properties": {
            "desired": {"$metadata": {}, "$version": 1},
            "reported": {
                "on": True,
                "$metadata": {"$lastUpdated": stamp, "on": {"$lastUpdated": stamp}},
                "$version": 2,
            },
        },
        "status": "enabled",
        "connectionState": "Connected",
        "authenticationType": "sas",
    }


async def test_a_whole_twin_may_go_back_as_it_was_read(hub: RunningHub) -> None:
    await (await device(hub, "pump")).report({"on": True})
    async with operator(hub) as asking:
        await asking.desire("/twins/pump", {"interval": 5})
        _, twin = await asking.ask("GET", "/twins/pump")
        status, again = await asking.ask("PUT", "/twins/pump", twin, etag=twin["etag"])
    assert status == 200
    assert again["properties"]["reported"] == twin["properties"]["reported"]
    assert again["properties"]["desired"]["interval"] == 5


async def test_a_change_of_what_has_changed_meanwhile_is_412(hub: RunningHub) -> None:
    """The ETag is of what services write: a device that reports does not void it."""
    pump = await device(hub, "pump")
    async with operator(hub) as asking:
        twin = await asking.desire("/twins/pump", {"a": 1}, etag='"1"')
        await pump.report({"on": True})
        await asking.desire("/twins/pump", {"a": 2}, etag=twin["etag"])
        status, body = await asking.ask("PATCH", "/twins/pump", {"properties": {"desired": {}}}, etag=twin["etag"])
        assert (status, body["errorCode"]) == (412, 412001)
        assert "ErrorCode:PreconditionFailed" in body["Message"]
        assert (await asking.ask("PATCH", "/twins/pump", {}, etag="*"))[0] == 200
        assert (await asking.ask("PATCH", "/twins/pump", {}, etag="none"))[0] == 400


REFUSED: list[tuple[str, str, Any, int]] = [
    ("GET", "/twins/nobody", None, 404001),
    ("PATCH", "/twins/nobody", {}, 404001),
    ("GET", "/twins/pump/modules/none", None, 404010),
    ("PATCH", "/twins/pump", b"{", 400004),
    ("PATCH", "/twins/pump", {"properties": {"reported": {}}}, 400004),
    ("PUT", "/twins/pump", {"unknown": 1}, 400004),
]


async def test_refused_with_iot_hubs_codes(hub: RunningHub) -> None:
    hub.add("pump")
    async with operator(hub) as asking:
        for method, path, body, code in REFUSED:
            status, answer = await asking.ask(method, path, body)
            assert (status, answer["errorCode"]) == (code // 1000, code), (method, path)


# ---- HTTPS


def token(*ids: str) -> dict[str, str]:
    return {"Authorization": sas.sign(sas.resource_of("hub.example", *ids), KEY, 4_000_000_000)}


async def over_https(
    hub: RunningHub, method: str, path: str, ids: tuple[str, ...], body: Any = None
) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    async with hub.http() as http, http.request(method, path, params=VERSION, data=data, headers=token(*ids)) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_a_device_reads_and_reports_its_own_over_https(hub: RunningHub) -> None:
    hub.add("pump")
    async with operator(hub) as asking:
        await asking.ask("PATCH", "/twins/pump", {"tags": {"line": 3}, "properties": {"desired": {"a": 1}}})
    body = {"properties": {"reported": {"on": True}}}
    assert (await over_https(hub, "PATCH", "/twins/pump", ("pump",), body))[0] == 200
    assert await over_https(hub, "GET", "/twins/pump", ("pump",)) == (
        200,
        {
            "deviceId": "pump",
            "properties": {"desired": {"a": 1, "$version": 2}, "reported": {"on": True, "$version": 2}},
        },
    )


NOT_OVER_HTTPS = [
    ("GET", "/twins/other", ("pump",), 403),
    ("GET", "/twins/pump/modules/m", ("pump",), 403),
    ("GET", "/twins/pump", ("edge-device", "filter"), 403),
    ("PATCH", "/twins/other", ("edge-device", "filter"), 403),
    ("PUT", "/twins/pump", ("pump",), 405),
    ("PATCH", "/twins/pump", ("pump",), 400),
]


async def test_nobody_has_anothers_over_https(hub: RunningHub) -> None:
    """Not even a module of this edge; and a device changes nothing that is the operator's."""
    for known in (("pump",), ("other",), ("edge-device", "filter")):
        hub.add(*known)
    desired = {"properties": {"desired": {"a": 1}}}
    for method, path, ids, status in NOT_OVER_HTTPS:
        body = desired if method != "GET" else None
        assert (await over_https(hub, method, path, ids, body))[0] == status, (method, path, ids)
    async with operator(hub) as asking:
        assert (await asking.ask("GET", "/twins/pump"))[1]["version"] == 1
