"""A module's output, by a route, to another module's input: at least once, whoever restarts in between."""

import pytest

from leafward.wire.mqtt.packets import Puback, Publish
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, Client, events

ROUTES = """
[hub.routes]
filter = 'FROM /messages/modules/sensor/outputs/out1 INTO BrokeredEndpoint("/modules/filter/inputs/in1")'
rest = 'FROM /messages/events/* INTO $upstream'
"""
INPUTS = f"devices/{EDGE}/modules/filter/inputs/#"


@pytest.fixture
async def routed(make_hub: StartHub) -> RunningHub:
    """sensor -- out1 --> filter/in1; leaf devices go upstream."""
    hub = await (await make_hub(ROUTES)).start()
    hub.add(EDGE, "sensor")
    hub.add(EDGE, "filter")
    return hub


async def emit(sensor: Client, *bodies: bytes) -> None:
    """Output messages, each durable."""
    for body in bodies:
        packet_id = await sensor.publish(events(EDGE, "sensor", "%24.on=out1&colour=red/"), body)
        assert await sensor.receive() == Puback(packet_id)


async def take(client: Client) -> Publish:
    """A message to an input, not acknowledged."""
    packet = await client.receive()
    assert isinstance(packet, Publish), packet
    return packet


async def test_an_output_reaches_an_input(routed: RunningHub) -> None:
    """With its properties, and the sender's identity added."""
    receiver = await routed.connected(EDGE, "filter")
    assert await receiver.subscribe(INPUTS) == (1,)
    sensor = await routed.connected(EDGE, "sensor")
    await emit(sensor, b"hello")
    packet = await take(receiver)
    base, _, bag = packet.topic.rpartition("/")
    assert base == f"devices/{EDGE}/modules/filter/inputs/in1"
    assert set(bag.split("&")) == {"colour=red", f"%24.cdid={EDGE}", "%24.cmid=sensor"}
    assert (packet.payload, packet.qos, packet.dup) == (b"hello", 1, False)
    assert routed.messages() == []


async def test_what_came_before_the_subscription_is_delivered(routed: RunningHub) -> None:
    """The input waits on disk for its module."""
    await emit(await routed.connected(EDGE, "sensor"), b"1", b"2")
    receiver = await routed.connected(EDGE, "filter")
    await receiver.subscribe(INPUTS)
    assert [(await take(receiver)).payload for _ in range(2)] == [b"1", b"2"]


async def test_more_than_the_window(routed: RunningHub) -> None:
    """100 messages, 32 in flight at most: the rest comes as acknowledgements free room."""
    await emit(await routed.connected(EDGE, "sensor"), *(b"%d" % number for number in range(100)))
    receiver = await routed.connected(EDGE, "filter")
    await receiver.subscribe(INPUTS)
    first = [await take(receiver) for _ in range(32)]
    assert await receiver.alive()
    for packet in first:
        await receiver.send(Puback(packet.packet_id or 0))
    bodies = [packet.payload for packet in first]
    while len(bodies) < 100:
        packet = await take(receiver)
        bodies.append(packet.payload)
        await receiver.send(Puback(packet.packet_id or 0))
    assert bodies == [b"%d" % number for number in range(100)]


async def test_what_is_not_acknowledged_comes_again_with_dup(routed: RunningHub) -> None:
    """PUBLISH, the connection is lost, CONNECT with the kept session: the same packet id with DUP (4.4.0-1)."""
    await emit(await routed.connected(EDGE, "sensor"), b"1", b"2")
    receiver = await routed.connected(EDGE, "filter", clean=False)
    await receiver.subscribe(INPUTS)
    first, second = await take(receiver), await take(receiver)
    await receiver.send(Puback(first.packet_id or 0))
    assert await receiver.alive()
    await receiver.close()
    receiver = await routed.connected(EDGE, "filter", clean=False)
    again = await take(receiver)
    assert (again.payload, again.packet_id, again.dup) == (b"2", second.packet_id, True)
    await receiver.send(Puback(again.packet_id or 0))
    assert await receiver.alive()


async def test_a_clean_session_begins_with_what_is_not_acknowledged(routed: RunningHub) -> None:
    """The session is forgotten, the message is not."""
    await emit(await routed.connected(EDGE, "sensor"), b"1")
    for _ in range(2):
        receiver = await routed.connected(EDGE, "filter")
        await receiver.subscribe(INPUTS)
        packet = await take(receiver)
        assert (packet.payload, packet.dup) == (b"1", False)
        await receiver.close()


async def test_nothing_is_lost_over_a_restart_of_the_hub(routed: RunningHub) -> None:
    """What was sent and not acknowledged, and what was not sent; without the module subscribing anew."""
    receiver = await routed.connected(EDGE, "filter", clean=False)
    await receiver.subscribe(INPUTS)
    await emit(await routed.connected(EDGE, "sensor"), b"1", b"2")
    packet = await take(receiver)
    await receiver.send(Puback(packet.packet_id or 0))
    assert (await take(receiver)).payload == b"2"
    assert await receiver.alive()
    await routed.stop()
    await routed.start()
    await emit(await routed.connected(EDGE, "sensor"), b"3")
    receiver = await routed.connected(EDGE, "filter", clean=False, present=True)
    assert [(await take(receiver)).payload for _ in range(2)] == [b"2", b"3"]


async def test_after_unsubscribe_nothing_comes(routed: RunningHub) -> None:
    """UNSUBSCRIBE ends the feed; the messages wait."""
    from leafward.wire.mqtt.packets import Unsuback, Unsubscribe

    receiver = await routed.connected(EDGE, "filter")
    await receiver.subscribe(INPUTS)
    await receiver.send(Unsubscribe(9, (INPUTS,)))
    assert await receiver.receive() == Unsuback(9)
    await emit(await routed.connected(EDGE, "sensor"), b"1")
    assert await receiver.alive()
    await receiver.subscribe(f"devices/{EDGE}/modules/filter/inputs/in1/#")
    assert (await take(receiver)).payload == b"1"


async def test_another_device_s_module_of_that_name_gets_nothing(routed: RunningHub) -> None:
    """Routes lead to modules of this edge."""
    routed.add("leaf1", "filter")
    await emit(await routed.connected(EDGE, "sensor"), b"1")
    other = await routed.connected("leaf1", "filter")
    await other.subscribe("devices/leaf1/modules/filter/inputs/#")
    assert await other.alive()


async def test_qos_0_for_an_input(routed: RunningHub) -> None:
    """Delivered once, as the subscriber asked, and gone."""
    await emit(await routed.connected(EDGE, "sensor"), b"1")
    receiver = await routed.connected(EDGE, "filter")
    assert await receiver.subscribe(INPUTS, qos=0) == (0,)
    assert (await take(receiver)).qos == 0
    await receiver.close()
    receiver = await routed.connected(EDGE, "filter")
    await receiver.subscribe(INPUTS)
    assert await receiver.alive()
