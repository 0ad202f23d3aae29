"""Subscriptions on one's own topics only, take-over by the same client id, and sessions that outlive a connection."""

import asyncio
import json
import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from leafward import disk
from leafward.errors import StoreError
from leafward.hub.peer import Peer
from leafward.hub.registry_watch import RegistryWatch
from leafward.hub.sessions import Session
from leafward.store.identity import AuthType, Identity
from leafward.wire.mqtt.packets import Disconnect, Puback, Suback, Subscribe, Unsuback, Unsubscribe
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, PATIENCE, events, login

OWN = [
    "devices/leaf1/messages/devicebound/#",
    "$iothub/methods/POST/#",
    "$iothub/twin/res/#",
    "$iothub/twin/PATCH/properties/desired/#",
]
OTHERS = [
    "#",
    "+/#",
    "devices/#",
    "devices/+/messages/devicebound/#",
    "devices/leaf2/messages/devicebound/#",
    "devices/leaf1/modules/filter/inputs/#",
    "$iothub/#",
    "$SYS/#",
    "other",
]


async def test_own_topics(hub: RunningHub) -> None:
    """Everything the SDKs subscribe to is granted, at QoS 1 at most."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    assert await leaf.subscribe(*OWN, qos=2) == (1,) * len(OWN)


@pytest.mark.parametrize("topic_filter", OTHERS)
async def test_other_topics(hub: RunningHub, topic_filter: str) -> None:
    """SUBACK 0x80 for that filter, the others of the same packet are granted, and the connection lives."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    assert await leaf.subscribe(OWN[0], topic_filter, OWN[1]) == (1, 0x80, 1)
    assert await leaf.alive()
    assert await hub.counted("refused_total", "subscribe-not-allowed") == 1


async def test_too_many_subscriptions(hub: RunningHub) -> None:
    """64 in one session; the same one again is not another."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    filters = [f"devices/leaf1/messages/devicebound/{number}/#" for number in range(65)]
    assert await leaf.subscribe(*filters[:64]) == (1,) * 64
    assert await leaf.subscribe(filters[64]) == (0x80,)
    assert await leaf.subscribe(filters[0]) == (1,)


DEVICEBOUND = "devices/leaf1/messages/devicebound/"


@pytest.mark.parametrize(
    ("topic_filter", "granted"),
    [
        (DEVICEBOUND + "x" * (512 - len(DEVICEBOUND)), 1),
        (DEVICEBOUND + "x" * (513 - len(DEVICEBOUND)), 0x80),
        (DEVICEBOUND + "é" * 250, 0x80),
        (DEVICEBOUND + "a\x01b", 0x80),
        (DEVICEBOUND + "a\x7fb", 0x80),
    ],
    ids=["512 bytes", "513 bytes", "500 bytes of text", "U+0001", "U+007F"],
)
async def test_a_filter_that_nobody_needs(hub: RunningHub, topic_filter: str, granted: int) -> None:
    """What is kept for a client, and written to a file that all clients share, is bounded."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    assert await leaf.subscribe(topic_filter) == (granted,)
    assert await leaf.alive()


async def test_filters_that_are_too_much_together(hub: RunningHub) -> None:
    """16 KiB in one session: 32 of 512 bytes, whatever their number may be."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    filters = [f"{DEVICEBOUND}{number:02}".ljust(512, "x") for number in range(33)]
    assert await leaf.subscribe(*filters) == (1,) * 32 + (0x80,)


async def test_a_device_cannot_spoil_the_file_of_all(hub: RunningHub) -> None:
    """leaf1 subscribes to all it may, with what is longest in JSON; leaf2's session is there after a restart."""
    hub.add("leaf1")
    hub.add("leaf2")
    await hub.connected("leaf2", clean=False)
    leaf = await hub.connected("leaf1", clean=False)
    for number in range(64):
        await leaf.subscribe(f"{DEVICEBOUND}{number:02}".ljust(512, '"'))
    assert (hub.home.hub / "sessions.json").stat().st_size < 40_000
    await hub.stop()
    await hub.start()
    await hub.connected("leaf2", clean=False, present=True)


@pytest.mark.parametrize(
    "entry",
    [
        {"device_id": "leaf1"},
        {"device_id": 7, "module_id": None, "generation_id": "g-leaf1", "subscriptions": {}},
        {"device_id": "leaf1", "module_id": None, "generation_id": "g-leaf1", "subscriptions": [1]},
        {"device_id": "leaf1", "module_id": None, "generation_id": "g-leaf1", "subscriptions": {"a": "x"}},
        {"device_id": "leaf1", "module_id": None, "generation_id": "g-leaf1", "subscriptions": {"": 1}},
        "leaf1",
        None,
    ],
)
async def test_a_bad_entry_costs_nobody_else(hub: RunningHub, entry: object) -> None:
    """leaf1's entry is damaged: leaf2 finds its session all the same."""
    hub.add("leaf1")
    hub.add("leaf2")
    await hub.connected("leaf2", clean=False)
    await hub.stop()
    path = hub.home.hub / "sessions.json"
    path.write_text(json.dumps([entry, *json.loads(path.read_text())]))
    await hub.start()
    await hub.connected("leaf1", clean=False, present=False)
    await hub.connected("leaf2", clean=False, present=True)


async def test_what_is_written_can_be_read(make_hub: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both obey one limit: what does not fit is left out, and the rest is there after a restart."""
    monkeypatch.setattr("leafward.hub.session_file.MAX_SESSIONS_FILE", 450)
    hub = await (await make_hub()).start()
    for number in range(1, 9):
        hub.add(f"leaf{number}")
        await hub.connected(f"leaf{number}", clean=False)
    await hub.stop()
    kept = [entry["device_id"] for entry in json.loads((hub.home.hub / "sessions.json").read_text())]
    assert kept == ["leaf1", "leaf2", "leaf3", "leaf4"]
    await hub.start()
    await hub.connected("leaf4", clean=False, present=True)
    await hub.connected("leaf5", clean=False, present=False)


@pytest.mark.parametrize("packet", ["subscribe", "unsubscribe"])
async def test_the_disk_comes_before_the_answer(hub: RunningHub, monkeypatch: pytest.MonkeyPatch, packet: str) -> None:
    """A lasting session: SUBACK says that the hub will not forget; whoever has it does not subscribe again."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.subscribe(OWN[0])
    reached, opened = threading.Event(), threading.Event()
    write = disk.write_file

    def slow(*arguments: Any, **options: Any) -> None:
        reached.set()
        assert opened.wait(PATIENCE)
        write(*arguments, **options)

    monkeypatch.setattr(disk, "write_file", slow)
    await leaf.send(Subscribe(7, ((OWN[1], 1),)) if packet == "subscribe" else Unsubscribe(7, (OWN[0],)))
    await asyncio.to_thread(reached.wait, PATIENCE)
    assert await leaf.alive()
    opened.set()
    assert await leaf.receive() == (Suback(7, (1,)) if packet == "subscribe" else Unsuback(7))
    (entry,) = json.loads((hub.home.hub / "sessions.json").read_text())
    assert list(entry["subscriptions"]) == ([OWN[0], OWN[1]] if packet == "subscribe" else [])


async def test_the_same_subscription_again_while_it_is_being_written(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second changes nothing, and is no more durable than the first."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.subscribe(OWN[0])
    reached, opened = threading.Event(), threading.Event()
    write = disk.write_file

    def slow(*arguments: Any, **options: Any) -> None:
        reached.set()
        assert opened.wait(PATIENCE)
        write(*arguments, **options)

    monkeypatch.setattr(disk, "write_file", slow)
    await leaf.send(Subscribe(7, ((OWN[1], 1),)))
    await asyncio.to_thread(reached.wait, PATIENCE)
    await leaf.send(Subscribe(8, ((OWN[1], 1),)))
    assert await leaf.alive()
    opened.set()
    assert [await leaf.receive(), await leaf.receive()] == [Suback(7, (1,)), Suback(8, (1,))]


async def test_a_session_that_ends_with_its_connection_does_not_wait(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CleanSession 1: there is nothing to keep."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")

    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(disk, "write_file", full)
    assert await leaf.subscribe(OWN[0]) == (1,)


async def test_a_disk_that_is_full(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """No SUBACK for what is not kept; asked again, it is written again, and then there is one."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.subscribe(OWN[0])

    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "write_file", full)
        await leaf.send(Subscribe(7, ((OWN[1], 1),)))
        assert await leaf.closed()
    assert await hub.counted("ended_total", "not-stored") == 1
    leaf = await hub.connected("leaf1", clean=False, present=True)
    assert await leaf.subscribe(OWN[1]) == (1,)
    (entry,) = json.loads((hub.home.hub / "sessions.json").read_text())
    assert list(entry["subscriptions"]) == [OWN[0], OWN[1]]


def test_a_session_belongs_to_one_registration() -> None:
    """The same name with another generation is another device, whose subscriptions and packet ids are not ours."""

    def peer(generation_id: str) -> Peer:
        now = datetime.now(UTC)
        thumbprint = "0" * 64
        auth: AuthType = "x509-thumbprint"
        identity = Identity("leaf1", None, auth, True, generation_id, None, None, thumbprint, None, now)
        return Peer("leaf1", None, now, (identity,))

    session = Session(peer("g1"), clean=False)
    assert session.belongs_to(peer("g1"))
    assert not session.belongs_to(peer("g2"))


async def test_a_session_in_memory_is_not_given_to_a_later_registration(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed and registered anew before the registry watch has looked."""
    hub.add("leaf1")
    await (await hub.connected("leaf1", clean=False)).subscribe(OWN[0])

    async def blind(_watch: RegistryWatch) -> None: ...

    monkeypatch.setattr(RegistryWatch, "look", blind)
    with hub.registry() as registry:
        registry.remove("leaf1")
    hub.add("leaf1", generation_id="another")
    await hub.connected("leaf1", clean=False, present=False)


async def test_the_same_client_id_takes_over(hub: RunningHub) -> None:
    """The second connection ends the first (3.1.4-2), and a refused one does not."""
    hub.add("leaf1")
    first = await hub.connected("leaf1")
    stranger = await hub.client()
    assert (await stranger.connect(login("leaf1", key=b"x" * 32))).return_code == 5
    assert await first.alive()
    second = await hub.connected("leaf1")
    assert await first.closed()
    assert await second.alive()
    assert await hub.counted("ended_total", "taken-over") == 1


async def test_a_kept_session_is_there_again(hub: RunningHub) -> None:
    """CleanSession 0: session present at the second time; CleanSession 1 forgets it."""
    hub.add("leaf1")
    await hub.connected("leaf1", clean=False, present=False)
    await hub.connected("leaf1", clean=False, present=True)
    await hub.connected("leaf1", clean=True, present=False)
    await hub.connected("leaf1", clean=False, present=False)


async def test_a_session_of_an_earlier_registration_is_not_resumed(hub: RunningHub) -> None:
    """Removed and registered again under the same name: another device."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.send(Disconnect())
    assert await leaf.closed()
    await hub.stop()
    with hub.registry() as registry:
        registry.remove("leaf1")
    hub.add("leaf1", generation_id="another")
    await hub.start()
    await hub.connected("leaf1", clean=False, present=False)


async def test_kept_sessions_hold_no_secret(hub: RunningHub) -> None:
    """What is on disk is names and topic filters, for the owner only."""
    hub.add(EDGE, "filter")
    module = await hub.connected(EDGE, "filter", clean=False)
    await module.subscribe(f"devices/{EDGE}/modules/filter/inputs/#")
    await hub.stop()
    path = hub.home.hub / "sessions.json"
    assert json.loads(path.read_text()) == [
        {
            "device_id": EDGE,
            "module_id": "filter",
            "generation_id": f"g-{EDGE}",
            "subscriptions": {f"devices/{EDGE}/modules/filter/inputs/#": 1},
        }
    ]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_damaged_file_of_sessions_stops_nobody(hub: RunningHub) -> None:
    """Clients subscribe anew."""
    hub.add("leaf1")
    await hub.connected("leaf1", clean=False)
    await hub.stop()
    (hub.home.hub / "sessions.json").write_text("{no json")
    await hub.start()
    await hub.connected("leaf1", clean=False, present=False)


async def test_the_answer_to_a_method_that_was_never_called(hub: RunningHub) -> None:
    """Acknowledged and dropped."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    packet_id = await leaf.publish("$iothub/methods/res/200/?$rid=1", b"{}")
    assert await leaf.receive() == Puback(packet_id)
    packet_id = await leaf.publish(events("leaf1"))
    assert await leaf.receive() == Puback(packet_id)
