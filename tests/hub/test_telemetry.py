"""Telemetry over MQTT: durable before it is acknowledged, with its properties, at every QoS."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from leafward.errors import StoreError
from leafward.store.messages import Message, MessageStore
from leafward.wire.mqtt.packets import Disconnect, Puback, Pubcomp, Publish, Pubrec, Pubrel, Will
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, events, login


async def test_a_message_is_durable_when_it_is_acknowledged(hub: RunningHub) -> None:
    """leaf -- PUBLISH QoS 1 --> hub -- PUBACK --> : the message is in the database of another process."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    packet_id = await leaf.publish(events("leaf1", bag="%24.mid=m1&%24.ct=application%2Fjson&a%20b=x%2Fy"), b'{"t":21}')
    assert await leaf.receive() == Puback(packet_id)
    (message,) = hub.messages()
    assert (message.device_id, message.module_id, message.body) == ("leaf1", None, b'{"t":21}')
    assert message.properties == {"a b": "x/y"}
    assert message.system == {"messageId": "m1", "contentType": "application/json"}


async def test_a_module_s_output(hub: RunningHub) -> None:
    """Outputs end in a slash, as the SDKs send them; with no routes set everything goes upstream."""
    hub.add(EDGE, "sensor")
    module = await hub.connected(EDGE, "sensor")
    packet_id = await module.publish(events(EDGE, "sensor", "%24.on=out1/"), b"x")
    assert await module.receive() == Puback(packet_id)
    (message,) = hub.messages()
    assert (message.module_id, message.output) == ("sensor", "out1")


async def test_many_messages_are_acknowledged_in_their_order(hub: RunningHub) -> None:
    """500 in one write: few transactions, 500 PUBACKs."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    packets = [Publish(events("leaf1"), b"%d" % number, 1, packet_id=number) for number in range(1, 501)]
    await leaf.send(*packets)
    assert [await leaf.receive() for _ in packets] == [Puback(number) for number in range(1, 501)]
    assert [message.body for message in hub.messages()] == [packet.payload for packet in packets]
    assert await hub.counted("batches_total") < 100


async def test_qos_0_is_kept_too(hub: RunningHub) -> None:
    """Nothing is answered; the PUBACK of the next message says that both are there."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    await leaf.publish(events("leaf1"), b"zero", qos=0)
    packet_id = await leaf.publish(events("leaf1"), b"one")
    assert await leaf.receive() == Puback(packet_id)
    assert [message.body for message in hub.messages()] == [b"zero", b"one"]


async def test_qos_2_is_kept_exactly_once(hub: RunningHub) -> None:
    """PUBLISH, again PUBLISH, PUBREL, again PUBREL, and the packet id is free for another message (4.3.3)."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    for dup in (False, True):
        await leaf.send(Publish(events("leaf1"), b"once", 2, False, dup, 7))
        assert await leaf.receive() == Pubrec(7)
    for _ in range(2):
        await leaf.send(Pubrel(7))
        assert await leaf.receive() == Pubcomp(7)
    await leaf.send(Publish(events("leaf1"), b"another", 2, packet_id=7))
    assert await leaf.receive() == Pubrec(7)
    assert [message.body for message in hub.messages()] == [b"once", b"another"]


async def test_qos_2_is_kept_once_over_two_connections(hub: RunningHub) -> None:
    """The session remembers the packet id while its client is away."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.send(Publish(events("leaf1"), b"once", 2, packet_id=7))
    assert await leaf.receive() == Pubrec(7)
    await leaf.close()
    leaf = await hub.connected("leaf1", clean=False)
    await leaf.send(Publish(events("leaf1"), b"once", 2, False, True, 7))
    assert await leaf.receive() == Pubrec(7)
    assert len(hub.messages()) == 1


async def test_a_will_is_published_when_the_client_is_lost(hub: RunningHub) -> None:
    """The client vanishes without DISCONNECT."""
    await die(hub, graceful=False)
    (message,) = await stored(hub, 1)
    assert (message.body, message.properties) == (b"gone", {"iothub-MessageType": "Will"})


async def test_a_will_is_not_published_after_a_goodbye(hub: RunningHub) -> None:
    """DISCONNECT discards it (3.14.4-3)."""
    await die(hub, graceful=True)
    hub.add("leaf2")
    other = await hub.connected("leaf2")
    await other.publish(events("leaf2"), b"later")
    await other.receive()
    assert [message.body for message in hub.messages()] == [b"later"]


async def die(hub: RunningHub, *, graceful: bool) -> None:
    """A client with a will ends."""
    hub.add("leaf1")
    client = await hub.connected("leaf1", will=Will(events("leaf1"), b"gone"))
    if graceful:
        await client.send(Disconnect())
        assert await client.closed()
    await client.close()


async def stored(hub: RunningHub, count: int) -> list[Any]:
    """The messages, once there are so many."""
    async with asyncio.timeout(10):
        while len(found := hub.messages()) < count:
            await asyncio.sleep(0.01)
    return found


async def test_a_will_for_another_is_refused(hub: RunningHub) -> None:
    """A will on another's topic would be published in its name later."""
    hub.add("leaf1")
    client = await hub.client()
    answer = await client.connect(login("leaf1", will=Will(events("leaf2"), b"x")))
    assert answer.return_code == 5
    assert await client.closed()


class Gate:
    """A message store whose commits wait until the test opens it."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.error: Exception | None = None
        self._append = MessageStore.append

    def append(self, store: MessageStore, batch: Sequence[tuple[Message, Sequence[str]]]) -> list[int]:
        self.reached.set()
        assert self.opened.wait(20)
        if self.error is not None:
            raise self.error
        return self._append(store, batch)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()

    def append(store: MessageStore, batch: Sequence[tuple[Message, Sequence[str]]]) -> list[int]:
        return gate.append(store, batch)

    monkeypatch.setattr(MessageStore, "append", append)
    yield gate
    gate.opened.set()


async def test_no_acknowledgement_before_the_disk(hub: RunningHub, gate: Gate) -> None:
    """While the disk is busy the hub answers pings, and acknowledges nothing."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    packet_id = await leaf.publish(events("leaf1"), b"x")
    await asyncio.to_thread(gate.reached.wait, 10)
    assert await leaf.alive()
    assert hub.messages() == []
    gate.opened.set()
    assert await leaf.receive() == Puback(packet_id)
    assert len(hub.messages()) == 1


async def test_a_disk_that_refuses_ends_the_sender(hub: RunningHub, gate: Gate) -> None:
    """No PUBACK for what is not kept: the client sends it again when it is back, and then it is kept."""
    hub.add("leaf1")
    hub.add("leaf2")
    bystander = await hub.connected("leaf2")
    leaf = await hub.connected("leaf1")
    gate.error = StoreError("disk full")
    gate.opened.set()
    await leaf.publish(events("leaf1"), b"x")
    assert await leaf.receive() is None
    assert await bystander.alive()
    gate.error = None
    leaf = await hub.connected("leaf1")
    packet_id = await leaf.publish(events("leaf1"), b"x", dup=True)
    assert await leaf.receive() == Puback(packet_id)


async def test_a_sender_is_held_back_while_the_queue_is_full(make_hub: StartHub, gate: Gate) -> None:
    """A queue of 20 kB and a sender of 400 kB: it is not read, memory stays small, and in the end all is kept."""
    hub = await (await make_hub("[hub.limits]\nqueue_bytes = 20000\nbatch_size = 10\nunstored = 8\n")).start()
    hub.add("leaf1")
    hub.add("leaf2")
    leaf, other = await hub.connected("leaf1"), await hub.connected("leaf2")
    packets = [Publish(events("leaf1"), bytes(4000), 1, packet_id=number) for number in range(1, 101)]
    sending = asyncio.create_task(leaf.send(*packets))
    await asyncio.to_thread(gate.reached.wait, 10)
    assert await other.alive()
    assert await hub.counted("messages_in_total") < 100
    gate.opened.set()
    assert [await leaf.receive() for _ in packets] == [Puback(packet.packet_id or 0) for packet in packets]
    await sending
    assert len(hub.messages()) == 100


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_silence_counts_again_after_a_hold(make_hub: StartHub, gate: Gate) -> None:
    """While we do not read, silence is ours; afterwards a client that is gone is found out by its keep-alive."""
    hub = await (await make_hub("[hub.limits]\nunstored = 1\n")).start()
    hub.add("leaf1")
    leaf = await hub.connected("leaf1", keep_alive=1)
    packet_id = await leaf.publish(events("leaf1"), b"x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(leaf.reader.read(1), 2)
    gate.opened.set()
    assert await leaf.receive() == Puback(packet_id)
    assert await leaf.closed()
    assert await hub.counted("ended_total", "keep-alive-timeout") == 1
