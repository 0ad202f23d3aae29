"""Starting and stopping: ports as asked or as free, and an end that loses nothing."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from leafward.errors import Busy, SettingsError
from leafward.hub.daemon import HubAddresses, run_hub
from leafward.store.messages import MessageStore
from leafward.wire.mqtt.packets import Puback
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import PATIENCE, events


async def run(hub: RunningHub, mqtt_port: int, https_ports: list[int]) -> HubAddresses:
    """Starts a hub on these ports, stops it, and gives where it was."""
    stop = asyncio.Event()
    found: list[HubAddresses] = []

    def ready(addresses: HubAddresses) -> None:
        found.append(addresses)
        stop.set()

    async with asyncio.timeout(PATIENCE):
        await run_hub(
            hub.home,
            bind="127.0.0.1",
            mqtt_port=mqtt_port,
            https_ports=https_ports,
            clock=lambda: datetime.now(UTC),
            stop=stop,
            ready=ready,
        )
    return found[0]


def taken() -> socket.socket:
    """A listening socket."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.listen()
    return held


async def test_https_takes_the_next_port(make_hub: StartHub) -> None:
    """The first is taken: the second is used, and told."""
    with taken() as held:
        port = held.getsockname()[1]
        addresses = await run(await make_hub(), 0, [port, 0])
    assert addresses.https_port not in {port, 0}
    assert addresses.mqtt_port > 0


async def test_a_port_that_is_taken(make_hub: StartHub) -> None:
    """Told with the port and the option; nothing is left open, and the next start works."""
    hub = await make_hub()
    with taken() as held, pytest.raises(Busy, match=f"cannot listen on 127.0.0.1 port {held.getsockname()[1]}") as told:
        await run(hub, held.getsockname()[1], [0])
    assert "--mqtt-port" in (told.value.hint or "")
    await run(hub, 0, [0])


async def test_a_second_hub_of_the_same_home(hub: RunningHub) -> None:
    """Told who holds it; the first goes on, and when it has stopped another may start."""
    with pytest.raises(Busy, match=rf"process {os.getpid()} \('hub'\) holds .*hub\.lock"):
        await run(hub, 0, [0])
    hub.add("leaf1")
    assert await (await hub.connected("leaf1")).alive()
    await hub.stop()
    await run(hub, 0, [0])


async def test_a_handshake_that_is_going_on_does_not_hold_the_stop_up(hub: RunningHub) -> None:
    """A socket on which nothing is said: closed, with 30 seconds of its patience left."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.at.mqtt_port)
    hub.add("leaf1")
    await hub.connected("leaf1")  # so that the first one has been accepted
    async with asyncio.timeout(5):
        await hub.stop()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_settings_that_are_wrong(make_hub: StartHub) -> None:
    """Before anything is opened."""
    with pytest.raises(SettingsError, match=r"hub\.limits\.connections"):
        await run(await make_hub("[hub.limits]\nconnections = 0\n"), 0, [0])


async def test_the_same_home_again_and_again(make_hub: StartHub) -> None:
    """Start and stop leave nothing that is in the way."""
    hub = await make_hub()
    for _ in range(3):
        await run(hub, 0, [0])


async def test_a_stop_acknowledges_what_is_durable(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is slow when the stop comes: the message is kept, PUBACK is sent, then the connection ends."""
    reached, opened = threading.Event(), threading.Event()
    append = MessageStore.append

    def slow(store: MessageStore, batch: Sequence[Any]) -> list[int]:
        reached.set()
        assert opened.wait(PATIENCE)
        return append(store, batch)

    monkeypatch.setattr(MessageStore, "append", slow)
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    packet_id = await leaf.publish(events("leaf1"), b"last")
    await asyncio.to_thread(reached.wait, PATIENCE)
    stopping = asyncio.create_task(hub.stop())
    await asyncio.sleep(0)
    opened.set()
    assert await leaf.receive() == Puback(packet_id)
    assert await leaf.closed()
    await stopping
    assert [message.body for message in hub.messages()] == [b"last"]


async def test_messages_survive_a_restart(hub: RunningHub) -> None:
    """What was acknowledged is there after stop and start."""
    hub.add("leaf1")
    leaf = await hub.connected("leaf1")
    await leaf.publish(events("leaf1"), b"1")
    await leaf.receive()
    await hub.stop()
    await hub.start()
    leaf = await hub.connected("leaf1")
    await leaf.publish(events("leaf1"), b"2")
    await leaf.receive()
    assert [message.body for message in hub.messages()] == [b"1", b"2"]
