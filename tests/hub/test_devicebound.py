"""Messages to devices: kept until the device has them, in order, at least once, and never for another."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leafward.errors import StoreError
from leafward.store.messages import MessageStore
from leafward.wire.devicebound import CONTENT_TYPE, DeviceMessage
from leafward.wire.mqtt.packets import Disconnect, Puback, Publish
from leafward.wire.property_bag import read_pairs
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, Client
from tests.hub.service_clients import Operator, Told, credential, operator, over_https

# Nothing here depends on the loop.
pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

BOX = "/devices/leaf1/messages/deviceBound"
QUEUE = "/hub/devices/leaf1/devicebound"
FILTER = "devices/leaf1/messages/devicebound/#"


async def sent(us: Operator, body: str = "x", **headers: str) -> int:
    """A message that the hub has taken; its number."""
    told = await us.call("POST", BOX, data=body.encode(), headers=headers)
    assert told.status == 204, told.body
    return int(told.headers["iothub-sequencenumber"])


async def received(client: Client, *, acknowledge: bool = True) -> Publish:
    """The next message at a device."""
    packet = await client.receive()
    assert isinstance(packet, Publish), packet
    if acknowledge:
        await client.send(Puback(packet.packet_id or 0))
    return packet


async def state(us: Operator, number: int, wait: int = 20) -> str:
    """What became of a message."""
    told = await us.call("GET", f"{QUEUE}/{number}", query=f"api-version=2021-04-12&wait={wait}")
    assert told.status == 200, told.body
    return str(told.json["state"])


async def left(us: Operator) -> list[dict[str, Any]]:
    """What waits."""
    return list((await us.call("GET", QUEUE)).json["messages"])


async def test_a_message_as_the_sdks_read_it(hub: RunningHub) -> None:
    """QoS 1, its properties in the topic's fifth part; gone once it is acknowledged."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    await leaf.subscribe(FILTER)
    later = (datetime.now(UTC) + timedelta(minutes=5)).replace(microsecond=0).isoformat()
    async with operator(hub) as us:
        headers = {
            "iothub-messageid": "m1",
            "iothub-ack": "full",
            "iothub-app-Colour": "red/blue",
            "iothub-correlationid": "c1",
            "iothub-userid": "u1",
            "iothub-expiry": later,
        }
        number = await sent(us, "open", **headers)
        message = await received(leaf)
        assert await state(us, number) == "completed"
        assert await left(us) == []
    assert (message.qos, message.payload, message.retain) == (1, b"open", False)
    base, _, bag = message.topic.rpartition("/")
    assert base == "devices/leaf1/messages/devicebound"
    assert read_pairs(bag) == {
        "$.mid": "m1",
        "$.cid": "c1",
        "$.uid": "u1",
        "$.exp": later.replace("+00:00", "Z"),
        "$.to": "/devices/leaf1/messages/devicebound",
        "iothub-ack": "full",
        "Colour": "red/blue",
    }
    assert hub.messages() == []
    assert await hub.counted("devicebound_total", "completed") == 1


async def test_it_waits_for_its_device(make_hub: StartHub) -> None:
    """In order, across a restart of the hub, with an id of the hub's own; another device sees nothing of it."""
    hub = await (await make_hub()).start()
    hub.add("leaf1")
    hub.add("leaf2")
    async with operator(hub) as us:
        for number in range(3):
            await sent(us, str(number))
    await hub.stop()
    await hub.start()
    other = await hub.connected("leaf2")
    assert await other.subscribe("devices/leaf2/messages/devicebound/#") == (1,)
    assert await other.subscribe(FILTER) == (0x80,)
    leaf = await hub.connected("leaf1")
    await leaf.subscribe(FILTER)
    assert [(await received(leaf)).payload for _ in range(3)] == [b"0", b"1", b"2"]
    assert await other.alive()


async def test_again_until_it_is_acknowledged(hub: RunningHub) -> None:
    """A lasting session sends it again with DUP, a new one without."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.subscribe(FILTER)
    async with operator(hub) as us:
        await sent(us)
        assert not (await received(leaf, acknowledge=False)).dup
        leaf = await hub.connected("leaf1", clean=False, present=True)
        assert (await received(leaf, acknowledge=False)).dup
        leaf = await hub.connected("leaf1", clean=True, present=False)
        await leaf.subscribe(FILTER)
        assert not (await received(leaf, acknowledge=False)).dup
        (waiting,) = await left(us)
        assert waiting["attempts"] == 3
        assert "leafward-generation" not in waiting["system"]


@pytest.mark.parametrize("clean", [True, False])
async def test_ten_attempts(make_hub: StartHub, *, clean: bool) -> None:
    """Then it is given up, told, and stands in the way of nothing: here after two, as the settings say."""
    hub = await (await make_hub("[hub.devicebound]\ndeliveries = 2\n")).start()
    hub.add("leaf1")
    async with operator(hub) as us:
        number = await sent(us, "poison")
        for attempt in range(2):
            leaf = await hub.connected("leaf1", clean=clean)
            if clean or not attempt:
                await leaf.subscribe(FILTER)
            assert (await received(leaf, acknowledge=False)).payload == b"poison"
        leaf = await hub.connected("leaf1", clean=clean)
        if clean:
            await leaf.subscribe(FILTER)
        assert await state(us, number) == "delivery-count-exceeded"
        await sent(us, "good")
        assert (await received(leaf)).payload == b"good"
    assert await hub.counted("devicebound_total", "delivery-count-exceeded") == 1


async def test_a_message_that_is_over(make_hub: StartHub) -> None:
    """Never delivered: the hub's clock has passed its time while the device was away."""
    hub = await make_hub()
    shift = timedelta(0)
    hub.clock = lambda: datetime.now(UTC) + shift
    await hub.start()
    hub.add("leaf1")
    async with operator(hub) as us:
        number = await sent(us, "late")
        shift = timedelta(minutes=59)
        kept = await sent(us, "in time")
        shift = timedelta(minutes=61)
        assert [one["body"] for one in await left(us)] == ["in time"]
        expiry = int((datetime.now(UTC) + timedelta(days=2)).timestamp())
        leaf = await hub.connected("leaf1", expiry=expiry)
        await leaf.subscribe(FILTER)
        assert (await received(leaf)).payload == b"in time"
        assert (await state(us, number), await state(us, kept)) == ("expired", "completed")


async def test_whoever_waits_sees_a_message_expire(hub: RunningHub) -> None:
    """At its time, not when the wait is over; and the queue is rid of it."""
    hub.add("leaf1")
    async with operator(hub) as us:
        soon = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
        number = await sent(us, **{"iothub-expiry": soon})
        assert await state(us, number, wait=300) == "expired"
        assert await state(us, 4711) == "unknown"


async def test_the_queue_is_bounded(make_hub: StartHub) -> None:
    """403004 for one too many, also for several at once; what has expired makes room."""
    hub = await make_hub("[hub.devicebound]\nqueue = 3\n")
    shift = timedelta(0)
    hub.clock = lambda: datetime.now(UTC) + shift
    await hub.start()
    hub.add("leaf1")
    hub.add("leaf2")
    async with operator(hub) as us:
        told = await asyncio.gather(*(us.call("POST", BOX, data=b"x") for _ in range(5)))
        assert sorted(one.status for one in told) == [204, 204, 204, 403, 403]
        refused = next(one for one in told if one.status == 403)
        assert (refused.code, refused.json["errorCode"]) == ("DeviceMaximumQueueDepthExceeded", 403004)
        assert (await us.call("POST", BOX.replace("leaf1", "leaf2"), data=b"x")).status == 204
        shift = timedelta(hours=2)
        await sent(us, "fresh")
        assert [one["body"] for one in await left(us)] == ["fresh"]
    assert await hub.counted("devicebound_total", "expired") == 3


async def test_a_device_registered_anew_gets_nothing_of_the_earlier_one(hub: RunningHub) -> None:
    """The same name, another registration."""
    hub.add("leaf1")
    async with operator(hub) as us:
        number = await sent(us, "secret")
        with hub.registry() as registry:
            registry.remove("leaf1")
        hub.add("leaf1", generation_id="g-later")
        assert await left(us) == []
        await sent(us, "new")
        leaf = await hub.connected("leaf1")
        await leaf.subscribe(FILTER)
        assert (await received(leaf)).payload == b"new"
        assert await state(us, number) == "device-removed"


async def test_purge(hub: RunningHub) -> None:
    """What waits goes, what is in flight to a lasting session too; the number is told."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.subscribe(FILTER)
    async with operator(hub) as us:
        await sent(us, "in flight")
        await received(leaf, acknowledge=False)
        await leaf.send(Disconnect())
        assert await leaf.closed()
        number = await sent(us, "waits")
        told = await us.call("DELETE", "/devices/leaf1/commands")
        assert told.json == {"deviceId": "leaf1", "moduleId": None, "totalMessagesPurged": 2}
        assert await state(us, number) == "purged"
        leaf = await hub.connected("leaf1", clean=False, present=True)
        await sent(us, "after")
        assert (await received(leaf)).payload == b"after"


async def test_the_json_form(hub: RunningHub) -> None:
    """Any property, and any body."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    await leaf.subscribe(FILTER)
    message = DeviceMessage(b"\x00\xff", {"a b": "c=d&é"}, {"contentType": "application/x"})
    async with operator(hub) as us:
        told = await us.call("POST", BOX.lower(), data=message.to_json(), headers={"Content-Type": CONTENT_TYPE})
        assert told.status == 204, "in either case, as the SDKs write it"
    got = await received(leaf)
    pairs = read_pairs(got.topic.rpartition("/")[2])
    assert (got.payload, pairs["a b"], pairs["$.ct"]) == (b"\x00\xff", "c=d&é", "application/x")


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        (BOX.replace("leaf1", "nobody"), {}, b"x", 404),
        (BOX, {"iothub-expiry": "2020-01-01T00:00:00Z"}, b"x", 400),
        (BOX, {"iothub-expiry": "2999-01-01T00:00:00Z"}, b"x", 400),
        (BOX, {"iothub-ack": "maybe"}, b"x", 400),
        (BOX, {}, bytes(65_537), 413),
        (BOX, {}, bytes(200_000), 413),
    ],
)
async def test_a_message_that_is_refused(
    hub: RunningHub, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    """Nothing of it is kept."""
    hub.add("leaf1")
    async with operator(hub) as us:
        told = await us.call("POST", path, data=body, headers=headers)
        assert told.status == status
        assert told.code
        assert await left(us) == []


async def test_nobody_sends_by_https(hub: RunningHub) -> None:
    """Neither the device to itself, nor a module of this edge: on that port there is no such call."""
    hub.add("leaf1")
    hub.add(EDGE, "module")
    for headers in (credential("leaf1"), credential(EDGE, "module", named=True)):
        assert (await over_https(hub, "POST", BOX, headers=headers, data=b"x")).status == 405
        assert (await over_https(hub, "GET", QUEUE, headers=headers)).status == 404


async def fetched(hub: RunningHub, device: str = "leaf1") -> Told:
    """A device asks over HTTPS."""
    return await over_https(hub, "GET", BOX.lower().replace("leaf1", device), headers=credential(device))


async def test_a_device_fetches_over_https(hub: RunningHub) -> None:
    """200 with a lock, which it completes, gives back or rejects; 204 when there is nothing."""
    hub.add("leaf1")
    hub.add("leaf2")
    own = credential("leaf1")
    async with operator(hub) as us:
        assert (await fetched(hub)).status == 204
        first, second = await sent(us, "one", **{"iothub-app-a": "grün"}), await sent(us, "two")
        told = await fetched(hub)
        assert (told.status, told.body) == (200, b"one")
        assert told.headers["iothub-sequencenumber"] == str(first)
        assert (told.headers["iothub-app-a"], told.headers["iothub-deliverycount"]) == ("grün", "1")
        etag = told.headers["ETag"].strip('"')
        assert (await fetched(hub)).body == b"two", "the first one is locked"
        assert (await fetched(hub)).status == 204
        for path, headers in ((BOX, own), (BOX.replace("leaf1", "leaf2"), credential("leaf2"))):
            lost = await over_https(hub, "DELETE", f"{path}/00", headers=headers)
            assert (lost.status, lost.code) == (412, "DeviceMessageLockLost")
        stolen = await over_https(hub, "DELETE", f"{BOX.replace('leaf1', 'leaf2')}/{etag}", headers=credential("leaf2"))
        assert stolen.status == 412
        assert (await over_https(hub, "POST", f"{BOX}/{etag}/abandon", headers=own)).status == 204
        told = await fetched(hub)
        assert (told.body, told.headers["iothub-deliverycount"]) == (b"one", "2")
        etag = told.headers["ETag"].strip('"')
        assert (await over_https(hub, "DELETE", f"{BOX}/{etag}", headers=own)).status == 204
        assert (await over_https(hub, "DELETE", f"{BOX}/{etag}", headers=own)).status == 412
        assert (await state(us, first), await state(us, second, wait=0)) == ("completed", "waiting")


async def test_a_device_rejects(hub: RunningHub) -> None:
    """It is never delivered again, and the operator sees why."""
    hub.add("leaf1")
    async with operator(hub) as us:
        number = await sent(us)
        etag = (await fetched(hub)).headers["ETag"].strip('"')
        told = await over_https(hub, "DELETE", f"{BOX}/{etag}?reject", headers=credential("leaf1"))
        assert (told.status, await state(us, number)) == (204, "rejected")
        assert (await fetched(hub)).status == 204


async def test_what_is_another_s_is_not_fetched(hub: RunningHub) -> None:
    """Not by another device, not by a module of this edge, not by the operator's socket."""
    hub.add("leaf1")
    hub.add("leaf2")
    hub.add(EDGE, "module")
    async with operator(hub) as us:
        await sent(us)
        assert (await over_https(hub, "GET", BOX)).status == 401
        assert (await over_https(hub, "GET", BOX, headers=credential("leaf2"))).status == 403
        assert (await over_https(hub, "GET", BOX, headers=credential(EDGE, "module", named=True))).status == 403
        assert (await us.call("GET", BOX)).status == 405
        assert [json.dumps(one["attempts"]) for one in await left(us)] == ["0"]


async def test_a_disk_that_refuses(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 for everybody who sent in that round, nothing is kept; the next message is taken again."""
    hub.add("leaf1")

    def full(_store: MessageStore, _batch: Any) -> list[int]:
        raise StoreError("the disk is full")

    async with operator(hub) as us:
        with monkeypatch.context() as patched:
            patched.setattr(MessageStore, "append", full)
            told = await asyncio.gather(*(us.call("POST", BOX, data=b"x") for _ in range(3)))
        assert [(one.status, one.code) for one in told] == [(503, "ServiceUnavailable")] * 3
        assert await left(us) == []
        await sent(us)
        assert len(await left(us)) == 1
