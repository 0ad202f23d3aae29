"""Peers that are broken or mean: their connection ends, and who is connected beside them notices nothing."""

import asyncio
import contextlib
import errno
import gc
import os
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest

from leafward.hub.listeners import Listener
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Puback, Publish
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE, PATIENCE, Client, events, login

LIMITS = """
[hub.limits]
connect_timeout = 0.3
handshake_timeout = 0.3
packet_timeout = 0.3
stall_timeout = 0.3
shutdown_timeout = 0.3
packet_size = 20000
write_bytes = 50000
"""


@pytest.fixture
async def strict(make_hub: StartHub) -> RunningHub:
    """A hub with short limits."""
    return await (await make_hub(LIMITS)).start()


@contextlib.asynccontextmanager
async def bystander(hub: RunningHub) -> AsyncIterator[Client]:
    """A connection that must live through what happens beside it, and can still send."""
    hub.add("bystander")
    client = await hub.connected("bystander")
    yield client
    assert await client.alive()
    packet_id = await client.publish(events("bystander"))
    assert await client.receive() == Puback(packet_id)


async def test_garbage_instead_of_tls(strict: RunningHub) -> None:
    """Random bytes on the bare socket."""
    async with bystander(strict):
        reader, writer = await asyncio.open_connection("127.0.0.1", strict.at.mqtt_port)
        writer.write(os.urandom(4096))
        await until_closed(reader)
        writer.close()


@pytest.mark.parametrize("port", ["mqtt_port", "https_port"])
@pytest.mark.parametrize("first", ["47", "160301020002", "16030100", "16034000"], ids=["G", "no hello", "cut", "cut 2"])
async def test_the_first_bytes_are_no_tls(hub: RunningHub, first: str, port: str) -> None:
    """What can still become a ClientHello is waited for, up to the deadline of half a minute; the rest is not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", getattr(hub.at, port))
    writer.write(bytes.fromhex(first))
    if first.startswith("1603") and len(first) == 8:
        assert await hub.counted("handshakes_failed_total", "wrong_version_number") == 0
        # A record without content, or larger than any.
        writer.write(bytes.fromhex("00" if first.endswith("00") else "01"))
    await until_closed(reader)
    assert await hub.counted("handshakes_failed_total", "wrong_version_number") == 1
    writer.close()


@pytest.mark.parametrize(
    "first", [b"G", b"\x30", b"\x10\x25\x00\x05", b"\x10\xff\xff\x0f\x00\x06MQIsdx", b"\x10\x25\x00\x04MQTX"]
)
async def test_the_first_bytes_are_no_connect(hub: RunningHub, first: bytes) -> None:
    """As above, after the handshake: nobody waits for the rest of what cannot be a CONNECT."""
    client = await hub.client()
    await client.send_bytes(first)
    assert await client.closed()
    assert await hub.counted("ended_total", "protocol-error") == 1


async def test_a_handshake_that_stays_half_open(strict: RunningHub) -> None:
    """A TCP connection, half a ClientHello, silence."""
    async with bystander(strict):
        reader, writer = await asyncio.open_connection("127.0.0.1", strict.at.mqtt_port)
        writer.write(bytes.fromhex("160301020001"))
        await until_closed(reader)
        writer.close()


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 64, b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\xff\x7f", bytes(range(256)), b"\xc0\x00"],
    ids=["zeros", "http", "endless length", "every byte", "PINGREQ first"],
)
async def test_garbage_instead_of_mqtt(strict: RunningHub, garbage: bytes) -> None:
    """A good handshake and then no MQTT, or another packet than CONNECT (3.1.0-1)."""
    async with bystander(strict):
        client = await strict.client()
        await client.send_bytes(garbage)
        assert await client.closed()


async def test_garbage_after_connect(strict: RunningHub) -> None:
    """An admitted client that goes mad."""
    strict.add("leaf1")
    async with bystander(strict):
        client = await strict.connected("leaf1")
        await client.send_bytes(b"\xf0\x00")
        assert await client.closed()
    assert await strict.counted("ended_total", "protocol-error") == 1


async def test_a_second_connect(strict: RunningHub) -> None:
    """3.1.0-2."""
    strict.add("leaf1")
    client = await strict.connected("leaf1")
    await client.send(login("leaf1"))
    assert await client.closed()


async def test_an_oversized_packet(strict: RunningHub) -> None:
    """Refused by its header: not a byte of its body is waited for."""
    strict.add("leaf1")
    async with bystander(strict):
        client = await strict.connected("leaf1")
        await client.send_bytes(b"\x30\x80\x80\x80\x01")
        assert await client.closed()
    assert await strict.counted("ended_total", "protocol-error") == 1


async def test_no_connect_at_all(strict: RunningHub) -> None:
    """A handshake and silence."""
    async with bystander(strict):
        client = await strict.client()
        assert await client.closed()
    assert await strict.counted("ended_total", "connect-timeout") == 1


async def test_a_slow_writer(strict: RunningHub) -> None:
    """CONNECT dribbles in byte by byte and never ends."""
    async with bystander(strict):
        client = await strict.client()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            for byte in encode(login("leaf1")):
                await client.send_bytes(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    assert await asyncio.wait_for(client.reader.read(1), 0.05) == b""
                    break
        assert await client.closed()


async def test_a_packet_that_never_ends(strict: RunningHub) -> None:
    """An admitted client begins a PUBLISH and stops."""
    strict.add("leaf1")
    async with bystander(strict):
        client = await strict.connected("leaf1")
        await client.send_bytes(encode(Publish(events("leaf1"), bytes(1000)))[:500])
        assert await client.closed()
    assert await strict.counted("ended_total", "packet-timeout") == 1


async def test_a_silent_client(strict: RunningHub) -> None:
    """One and a half keep-alive periods of one second."""
    strict.add("leaf1")
    async with bystander(strict):
        client = await strict.connected("leaf1", keep_alive=1)
        assert await client.closed()
    assert await strict.counted("ended_total", "keep-alive-timeout") == 1


async def test_a_client_that_does_not_read(make_hub: StartHub) -> None:
    """A module asks for its input and takes nothing of 6 MB: what waits for it stays bounded, and it is cut."""
    routes = "[hub.routes]\nall = 'FROM /* INTO BrokeredEndpoint(\"/modules/lazy/inputs/in1\")'\n"
    hub = await (await make_hub(routes + LIMITS)).start()
    hub.add(EDGE, "lazy")
    async with bystander(hub) as sender:
        module = await hub.client(receive_buffer=4096)
        assert (await module.connect(login(EDGE, "lazy"))).return_code == 0
        assert await module.subscribe(f"devices/{EDGE}/modules/lazy/inputs/#", qos=0) == (0,)
        module.writer.transport.pause_reading()
        packets = [Publish(events("bystander"), bytes(15_000), 1, packet_id=number) for number in range(1, 401)]
        await sender.send(*packets)
        assert [await sender.receive() for _ in packets] == [Puback(packet.packet_id or 0) for packet in packets]
        await counted_to(hub, "slow-reader")


@pytest.mark.parametrize("listener", ["mqtt_port", "https_port"])
async def test_too_many_connections(make_hub: StartHub, listener: str) -> None:
    """The third of two is reset, at either port; the two stay; and one that goes makes room for another."""
    hub = await (await make_hub("[hub.limits]\nconnections = 2\n")).start()
    hub.add("leaf1")
    async with bystander(hub):
        first = await hub.connected("leaf1")
        await reset_at_once(getattr(hub.at, listener))
        assert await first.alive()
        await first.close()
        assert await room_again(hub, "leaf1")


@pytest.mark.parametrize("listener", ["mqtt_port", "https_port"])
async def test_too_many_that_never_shake_hands(make_hub: StartHub, listener: str) -> None:
    """Sockets on which nothing is said count from the accept on, and no longer than their deadline."""
    hub = await (await make_hub("[hub.limits]\nconnections = 3\nhandshake_timeout = 1.0\n")).start()
    hub.add("leaf1")
    async with bystander(hub):
        silent = [await asyncio.open_connection("127.0.0.1", getattr(hub.at, listener)) for _ in range(2)]
        await reset_at_once(hub.at.mqtt_port)
        for reader, writer in silent:
            await until_closed(reader)
            writer.close()
        assert await room_again(hub, "leaf1")


async def test_no_descriptors_left(hub: RunningHub) -> None:
    """The kernel gives no socket for a while: those that wait are served afterwards."""
    hub.add("leaf1")

    class Exhausted:
        def __init__(self, listening: socket.socket) -> None:
            self.listening, self.left = listening, 2

        def fileno(self) -> int:
            return self.listening.fileno()

        def accept(self) -> Any:
            if self.left:
                self.left -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self.listening.accept()

    listener = next(one for one in gc.get_objects() if isinstance(one, Listener) and one.port == hub.at.mqtt_port)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leafward.hub.listeners.REST_SECONDS", 0.05)
        patch.setattr(listener, "_listening", exhausted := Exhausted(listener._listening))
        assert await (await hub.connected("leaf1")).alive()
        assert exhausted.left == 0


async def test_a_credential_that_ends(strict: RunningHub) -> None:
    """A connection does not outlive its token."""
    import time

    strict.add("leaf1")
    async with bystander(strict):
        client = await strict.connected("leaf1", expiry=int(time.time()) + 2)
        assert await client.closed()
    assert await strict.counted("ended_total", "credential-expired") == 1


async def test_a_fault_of_ours_stays_in_its_connection(strict: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a handler raises ends one connection."""
    from leafward.hub.sessions import Session

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    strict.add("leaf1")
    async with bystander(strict):
        client = await strict.connected("leaf1")
        with monkeypatch.context() as patch:
            patch.setattr(Session, "acknowledged", broken)
            await client.send(Puback(1))
            assert await client.closed()
    assert await strict.counted("ended_total", "internal-error") == 1


async def test_publishing_for_another(strict: RunningHub) -> None:
    """MQTT 3.1.1 cannot refuse a PUBLISH: the connection ends, nothing is kept, the reason is recorded."""
    strict.add("leaf1")
    async with bystander(strict):
        for topic in (events("leaf2"), events("leaf1", "module"), "anything", "$SYS/x"):
            client = await strict.connected("leaf1")
            await client.publish(topic)
            assert await client.closed()
    assert await strict.counted("refused_total", "publish-not-allowed") == 4
    assert {message.device_id for message in strict.messages()} == {"bystander"}


async def reset_at_once(port: int) -> None:
    """A connection to this port is one too many."""

    async def one_too_many() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.wait_for(reader.read(1), PATIENCE)
        finally:
            writer.close()

    with pytest.raises(ConnectionError):
        await one_too_many()


async def room_again(hub: RunningHub, device_id: str) -> bool:
    """Waits until the hub has seen that somebody went."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(ConnectionError):
                return await (await hub.connected(device_id)).alive()
            await asyncio.sleep(0.01)


async def until_closed(reader: asyncio.StreamReader) -> None:
    """The server ends a raw connection, by an end or a reset."""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while await reader.read(4096):
                pass


async def counted_to(hub: RunningHub, reason: str) -> None:
    """Waits until one connection has ended for a reason."""
    async with asyncio.timeout(PATIENCE):
        while await hub.counted("ended_total", reason) < 1:
            await asyncio.sleep(0.02)
