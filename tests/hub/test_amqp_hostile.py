"""AMQP: peers that do not read, say nothing, guess many at once, or send what they may not.

Each costs itself its connection, and nobody else anything.
"""

import asyncio
from typing import Any

import pytest

from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import PATIENCE
from tests.hub.service_clients import operator

amqp = pytest.importorskip("tests.hub.amqp_client", reason="Qpid Proton is not installed (the extra amqp)")
Message, device, raw, token = amqp.Message, amqp.device, amqp.raw, amqp.token

EVENTS = "/devices/leaf1/messages/events"
LEAF = "hub.example/devices/leaf1"


async def counted(hub: RunningHub, code: str) -> None:
    """Returns when a connection has ended for this reason."""
    async with asyncio.timeout(PATIENCE):
        while not await hub.counted("ended_total", code):
            await asyncio.sleep(0.02)


async def test_a_peer_that_does_not_read(make_hub: StartHub, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent what fits, then nothing; then its time is over. What it did not settle waits for it."""
    # More than the kernel keeps for both of them.
    monkeypatch.setattr("leafward.hub.amqp.device_links.MOST_OUT", 200)
    settings = "[hub.limits]\nstall_timeout = 0.3\n[hub.devicebound]\nqueue = 200\n"
    hub = await (await make_hub(settings)).start()
    hub.add("leaf1")
    async with operator(hub) as us, raw(hub, receive_buffer=16_384) as client:
        client.begin()
        assert await client.put_token(token(LEAF)) == 200
        count = 120
        for _ in range(count):
            await us.call("POST", "/devices/leaf1/messages/deviceBound", data=bytes(65_000))
        client.reader._limit = 1024  # the stream stops reading from the socket
        link = client.session.receiver("inbox")
        link.source.address = "/devices/leaf1/messages/devicebound"
        link.open()
        link.flow(count)
        await client.write()
        await counted(hub, "slow-reader")
        waiting = (await us.call("GET", "/hub/devices/leaf1/devicebound")).json["messages"]
        assert len(waiting) == count


async def test_a_peer_that_says_nothing_any_more(make_hub: StartHub) -> None:
    """It is told how long it may be silent, and held to it."""
    hub = await (await make_hub("[hub.amqp]\nidle_timeout = 10\n")).start()
    hub.add("leaf1")
    async with device(hub, "leaf1") as client:
        await client.attach(EVENTS, sends=True)
        # Half of it, so that a peer that sends as often as it is told is never late (2.4.5).
        assert client.transport.remote_idle_timeout == 5


async def test_many_guesses_in_one_breath(make_hub: StartHub) -> None:
    """They are judged one after the other, each as late as if it had come alone."""
    hub = await (await make_hub("[hub.limits]\nlogin_delay = 0.2\n")).start()
    hub.add("leaf1")
    async with raw(hub) as client:
        client.begin()
        there, back = await client.attach("$cbs", sends=True), await client.attach("$cbs", sends=False)
        client._cbs = there, back
        before = asyncio.get_running_loop().time()
        for number in range(4):
            wrong = Message(token(LEAF, key=b"x" * 32), id=f"{number}")
            wrong.properties = {"operation": "put-token", "type": amqp.TOKEN_TYPE, "name": "x"}
            there.delivery(str(number))
            there.send(wrong.encode())
            there.advance()
        answers = [(await client.receive(back))[1] for _ in range(4)]
        assert [one.correlation_id for one in answers] == ["0", "1", "2", "3"]
        assert {one.properties["status-code"] for one in answers} == {401}
        # The first is free.
        assert asyncio.get_running_loop().time() - before > 3 * 0.2 - 0.05
        assert await client.put_token(token(LEAF)) == 200


async def test_a_message_without_credit(make_hub: StartHub) -> None:
    """The window is what was granted; who goes beyond it breaks the protocol."""
    hub = await (await make_hub("[hub.amqp]\nunsettled = 2\n")).start()
    hub.add("leaf1")
    async with device(hub, "leaf1") as client:
        link = await client.attach(EVENTS, sends=True)
        assert link.credit == 2
        raw_bytes = transfer_frames(client, link, 40)
        client.writer.write(raw_bytes)
        await client.closed()
    assert await hub.counted("ended_total", "protocol-error") == 1
    assert len(hub.messages()) <= 4


def transfer_frames(client: Any, link: Any, count: int) -> bytes:
    """Transfers on the client's second channel-0 session as it is, one frame each, whatever the credit says."""
    handle = 2  # after the two links of $cbs
    frames = b""
    body = Message(b"x", inferred=True).encode()
    for number in range(count):
        delivery = 1 + number
        tag = b"%d" % number
        fields = (
            b"\x52" + bytes([handle]) + b"\x52" + bytes([delivery]) + b"\xa0" + bytes([len(tag)]) + tag + b"\x43\x42"
        )
        performative = b"\x00\x53\x14\xc0" + bytes([len(fields) + 1, 5]) + fields
        payload = performative + body
        frames += (len(payload) + 8).to_bytes(4, "big") + b"\x02\x00\x00\x00" + payload
    return frames
