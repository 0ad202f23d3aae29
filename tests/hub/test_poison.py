"""Messages that no packet to a module can hold: refused where they come in; if they are there all the same, dropped.

leaf1 -- '(' * 40,000 in its topic --> hub -- '%28' * 40,000 --> module: more than the 65,535 bytes of a topic
"""

import asyncio
from datetime import UTC, datetime

import pytest

from leafward.store.messages import Message, MessageStore
from leafward.wire.mqtt.packets import Puback, Publish, Will
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, HOST, PATIENCE, events, login
from tests.hub.test_https import URL, token

ROUTES = "[hub.routes]\nall = 'FROM /* INTO BrokeredEndpoint(\"/modules/filter/inputs/in1\")'\n"
INPUTS = f"devices/{EDGE}/modules/filter/inputs/#"
LONG = "x=" + "(" * 40_000


@pytest.fixture
async def routed(make_hub: StartHub) -> RunningHub:
    """Everything goes to filter/in1; not started."""
    hub: RunningHub = await make_hub(ROUTES)
    hub.add("leaf1")
    hub.add(EDGE, "filter")
    return hub


async def test_a_topic_that_grows_too_long(routed: RunningHub) -> None:
    """Refused at the door, which in MQTT 3.1.1 ends the connection; the module gets what comes after."""
    hub = await routed.start()
    module = await hub.connected(EDGE, "filter", clean=False)
    await module.subscribe(INPUTS)
    leaf = await hub.connected("leaf1")
    await leaf.publish(events("leaf1", bag=LONG), b"poison")
    assert await leaf.closed()
    leaf = await hub.connected("leaf1")
    packet_id = await leaf.publish(events("leaf1", bag="x=" + "(" * 20_000), b"good")
    assert await leaf.receive() == Puback(packet_id)
    packet = await module.receive()
    assert isinstance(packet, Publish)
    assert packet.payload == b"good"
    assert len(packet.topic) > 60_000


async def test_a_will_that_grows_too_long(routed: RunningHub) -> None:
    """CONNECT is refused."""
    hub = await routed.start()
    leaf = await hub.client()
    answer = await leaf.connect(login("leaf1", will=Will(events("leaf1", bag=LONG), b"", 1)))
    assert answer.return_code == 5
    assert await hub.counted("refused_total", "will-not-allowed") == 1


@pytest.mark.parametrize(
    ("header", "status"),
    [(b"iothub-app-name: \xff\xfe", b"400"), (b"iothub-messageid: \xff", b"400"), (b"other: \xff", b"204")],
)
async def test_text_that_is_no_unicode(routed: RunningHub, header: bytes, status: bytes) -> None:
    """A header with bytes that are not UTF-8 would be a property that nothing can be made of."""
    hub = await routed.start()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", hub.at.https_port, ssl=hub.trusting(), server_hostname=HOST
    )
    head = (
        f"POST {URL} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nAuthorization: {token('leaf1')['Authorization']}\r\n"
    )
    writer.write(head.encode() + header + b"\r\n\r\nx")
    assert (await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1] == status
    writer.transport.abort()


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_message_that_an_earlier_version_took(routed: RunningHub, qos: int) -> None:
    """It is dropped; the messages before and after it arrive, and the module can connect again."""

    def stored(body: bytes, **properties: str) -> tuple[Message, list[str]]:
        return Message("leaf1", None, None, properties, {}, body, datetime.now(UTC)), ["filter/inputs/in1"]

    routed.home.hub.mkdir()
    with MessageStore.open(routed.home.messages) as store:
        store.append([stored(b"1"), stored(b"long", x="(" * 40_000), stored(b"no text", x="\udcff"), stored(b"2")])
    hub = await routed.start()
    module = await hub.connected(EDGE, "filter", clean=False)
    assert await module.subscribe(INPUTS, qos=qos) == (qos,)
    for body in (b"1", b"2"):
        packet = await module.receive()
        assert isinstance(packet, Publish)
        assert packet.payload == body
        if packet.packet_id is not None:
            await module.send(Puback(packet.packet_id))
    assert await module.alive()
    await module.close()
    module = await hub.connected(EDGE, "filter", clean=False, present=True)
    assert await module.alive()
    await hub.stop()
    with MessageStore.open_read_only(hub.home.messages) as store:
        assert store.pending("filter/inputs/in1") == []
