"""Subscriptions on one's own topics only, take-over by the same client id, and sessions that outlive a connection."""

import json

import pytest

from leafward.wire.mqtt.packets import Disconnect, Puback, Publish
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import EDGE, events, login

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
    assert await leaf.subscribe(*filters) == (1,) * 64 + (0x80,)
    assert await leaf.subscribe(filters[0]) == (1,)


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


async def test_twins_are_answered_as_not_implemented(hub: RunningHub) -> None:
    """GET and PATCH: acknowledged, and answered with 501 to whoever listens."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    await leaf.subscribe("$iothub/twin/res/#")
    for topic in ("$iothub/twin/GET/?$rid=r1", "$iothub/twin/PATCH/properties/reported/?$rid=r1"):
        packet_id = await leaf.publish(topic, b" ")
        assert await leaf.receive() == Puback(packet_id)
        answer = await leaf.receive()
        assert isinstance(answer, Publish)
        assert answer.topic == "$iothub/twin/res/501/?$rid=r1"


async def test_the_answer_to_a_method_that_was_never_called(hub: RunningHub) -> None:
    """Acknowledged and dropped."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    packet_id = await leaf.publish("$iothub/methods/res/200/?$rid=1", b"{}")
    assert await leaf.receive() == Puback(packet_id)
    packet_id = await leaf.publish(events("leaf1"))
    assert await leaf.receive() == Puback(packet_id)
