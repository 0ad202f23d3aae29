"""Twins by MQTT: what a device gets, reports and is told, and what is refused.

device --GET, PATCH reported--> hub --PATCH desired--> device;  operator --run/hub.sock--> hub
"""

import asyncio
import json
from urllib.parse import parse_qs

import pytest

from leafward.hub import twins as desk
from leafward.store.twins import TwinKey, TwinStore
from leafward.wire.mqtt.packets import Publish
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.twin_clients import EMPTY, Device, device, operator


async def test_a_new_twin_is_empty_and_has_its_versions(hub: RunningHub) -> None:
    assert await (await device(hub, "pump")).get() == EMPTY


async def test_who_asks_is_answered_without_a_subscription(hub: RunningHub) -> None:
    """Python's SDK asks before it has subscribed, and asks never again if it gets no answer."""
    hub.add("pump")
    pump = Device(await hub.connected("pump"))
    assert await pump.get() == EMPTY
    async with operator(hub) as asking:
        await asking.desire("/twins/pump", {"interval": 5})
    assert (await pump.get())["desired"] == {"interval": 5, "$version": 2}
    assert not pump.pushed


async def test_what_is_reported_is_merged_and_null_removes(hub: RunningHub) -> None:
    pump = await device(hub, "pump")
    assert await pump.report({"on": True, "limits": {"low": 1, "high": 9}}) == (204, 2)
    assert await pump.report({"on": None, "limits": {"low": None}, "$version": 2}) == (204, 3)
    assert (await pump.get())["reported"] == {"limits": {"high": 9}, "$version": 3}


async def test_a_report_is_on_disk_before_its_answer(hub: RunningHub) -> None:
    """Another process reads the database: what was answered with 204 is there."""
    pump = await device(hub, "pump")
    assert await pump.report({"on": True}) == (204, 2)
    with TwinStore.open(hub.home.hub / "twins.db") as store:
        assert store.get(TwinKey("pump", None, "g-pump")).reported == {"on": True}


async def test_twins_outlive_the_hub(make_hub: StartHub) -> None:
    hub = await (await make_hub()).start()
    await (await device(hub, "pump")).report({"on": True})
    await hub.stop()
    await hub.start()
    assert (await (await device(hub, "pump", add=False)).get())["reported"] == {"on": True, "$version": 2}


BAD_REPORTS = {
    "no JSON": b"{",
    "no object": b"[1]",
    "a dollar in a key": b'{"a": {"$b": 1}}',
    "beyond the size": json.dumps({f"k{i}": "x" * 4000 for i in range(9)}).encode(),
    "beyond what is read": b" " * 70_000,
}


async def test_a_report_that_is_refused_changes_nothing(hub: RunningHub) -> None:
    """400, with an `errorCode` in the body: Node's SDK looks for that and not for the status."""
    pump = await device(hub, "pump")
    for defect, patch in BAD_REPORTS.items():
        status, _, body = await pump.ask("$iothub/twin/PATCH/properties/reported/", patch)
        assert (status, body["errorCode"]) == (400, 400004), defect
        assert body["message"], defect
    assert await pump.get() == EMPTY


async def test_a_report_for_another_version_is_412(hub: RunningHub) -> None:
    pump = await device(hub, "pump")
    assert await pump.report({"on": True}, version=1) == (204, 2)
    assert await pump.report({"on": False}, version=1) == (412, None)
    assert (await pump.get())["reported"] == {"on": True, "$version": 2}


async def test_too_many_at_once_are_429_and_the_client_stays(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "MOST_OF_ONE_CLIENT", 2)
    pump = await device(hub, "pump", qos=0)
    topics = [f"$iothub/twin/PATCH/properties/reported/?$rid={n}" for n in range(8)]
    await pump.client.send(*(Publish(topic, b'{"n": 1}', 0) for topic in topics))
    found = []
    while len(found) < len(topics):
        packet = await pump.client.receive()
        assert isinstance(packet, Publish)
        found.append(packet.topic.split("/")[3])
    assert (found.count("204"), found.count("429")) == (2, 6)
    assert (await pump.get())["reported"]["$version"] == 3


async def test_answers_keep_the_order_of_the_questions(hub: RunningHub) -> None:
    pump = await device(hub, "pump", qos=0)
    topics = [f"$iothub/twin/PATCH/properties/reported/?$rid={n}" for n in range(10)]
    await pump.client.send(*(Publish(topic, b'{"n": 1}', 0) for topic in topics))
    for n in range(10):
        packet = await pump.client.receive()
        assert isinstance(packet, Publish)
        assert packet.topic == f"$iothub/twin/res/204/?$rid={n}&$version={n + 2}"


async def test_modules_have_twins_of_their_own(hub: RunningHub) -> None:
    hub.add("pump")
    module = await device(hub, "pump", "filter")
    assert await module.report({"clean": True}) == (204, 2)
    assert (await module.get())["reported"] == {"clean": True, "$version": 2}
    assert await (await device(hub, "pump", add=False)).get() == EMPTY


async def test_a_change_is_told_to_the_device_that_is_here(hub: RunningHub) -> None:
    """The operator's patch goes to the device as it is, null included, and with its version."""
    pump = await device(hub, "pump")
    async with operator(hub) as asking:
        twin = await asking.desire("/twins/pump", {"interval": 5, "old": 1})
        assert (twin["etag"], twin["version"], twin["properties"]["desired"]["$version"]) == ("2", 2, 2)
        assert await pump.push() == (2, {"interval": 5, "old": 1, "$version": 2})
        await asking.desire("/twins/pump", {"old": None})
        assert await pump.push() == (3, {"old": None, "$version": 3})
    assert (await pump.get())["desired"] == {"interval": 5, "$version": 3}
    assert await hub.counted("twins_total", "told") == 2


async def test_a_whole_twin_is_told_as_the_difference(hub: RunningHub) -> None:
    pump = await device(hub, "pump")
    async with operator(hub) as asking:
        await asking.desire("/twins/pump", {"a": 1, "b": {"c": 2}})
        await pump.push()
        status, twin = await asking.ask("PUT", "/twins/pump", {"properties": {"desired": {"b": {"c": 3}}}})
        assert status == 200
        assert await pump.push() == (3, {"a": None, "b": {"c": 3}, "$version": 3})
        assert twin["tags"] == {}


async def test_tags_are_no_devices_business(hub: RunningHub) -> None:
    pump = await device(hub, "pump")
    async with operator(hub) as asking:
        status, twin = await asking.ask("PATCH", "/twins/pump", {"tags": {"line": 3}})
        assert (status, twin["tags"]) == (200, {"line": 3})
    assert await pump.get() == EMPTY
    assert not pump.pushed


async def test_who_is_away_reads_its_twin_when_it_comes_back(hub: RunningHub) -> None:
    """As the SDKs do: subscribe, then GET. Nothing waits for a client that is away."""
    pump = await device(hub, "pump", clean=False)
    await pump.client.close()
    async with operator(hub) as asking:
        while (await asking.ask("GET", "/twins/pump"))[1]["connectionState"] == "Connected":
            await asyncio.sleep(0)
        await asking.desire("/twins/pump", {"interval": 5})
    back = Device(await hub.connected("pump", clean=False, present=True))
    assert (await back.get())["desired"] == {"interval": 5, "$version": 2}
    assert not back.pushed


NOTED = 'FROM /twinChangeNotifications INTO BrokeredEndpoint("/modules/filter/inputs/twins")'


async def test_what_is_reported_goes_where_a_route_says(make_hub: StartHub) -> None:
    """pump reports -> /twinChangeNotifications -> the module's input; a change by the operator is none of it."""
    hub = await (await make_hub(f"[hub.routes]\nnoted = '{NOTED}'\n")).start()
    hub.add("edge-device", "filter")
    pump = await device(hub, "pump")
    module = await hub.connected("edge-device", "filter")
    await module.subscribe("devices/edge-device/modules/filter/inputs/#", qos=0)
    async with operator(hub) as asking:
        await asking.desire("/twins/pump", {"interval": 5})
    assert await pump.report({"on": True, "old": None}) == (204, 2)
    assert await pump.report(b"{") == (400, None)
    packet = await module.receive()
    assert isinstance(packet, Publish)
    assert json.loads(packet.payload) == {"on": True, "old": None}
    bag = {name: values[0] for name, values in parse_qs(packet.topic.rpartition("/")[2]).items()}
    assert bag.pop("operationTimestamp").endswith("Z")
    assert bag == {
        "$.ct": "application/json",
        "$.ce": "utf-8",
        "$.cdid": "pump",
        "deviceId": "pump",
        "opType": "updateTwin",
        "iothub-message-schema": "twinChangeNotification",
    }
    assert hub.messages() == []


async def test_a_name_that_is_registered_anew_begins_empty(hub: RunningHub) -> None:
    """Another generation: what the first one wrote is not the second one's to read."""
    pump = await device(hub, "pump")
    await pump.report({"owner": "the first"})
    with hub.registry() as registry:
        registry.remove("pump")
    assert await pump.client.closed()
    hub.add("pump", generation_id="g2")
    assert await (await device(hub, "pump", add=False)).get() == EMPTY
