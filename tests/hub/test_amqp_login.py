"""AMQP: who comes in, by which way, for how long; and what becomes of who does not.

TLS -> SASL PLAIN | ANONYMOUS | MSSBCBS | EXTERNAL | none -> $cbs -> links
"""

import asyncio
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leafward.wire.amqp_sasl import AMQP_HEADER, SASL_HEADER
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import Held, make
from tests.hub.service_clients import operator

amqp = pytest.importorskip("tests.hub.amqp_client", reason="Qpid Proton is not installed (the extra amqp)")
LinkError, Message = amqp.LinkError, amqp.Message
device, raw, service, make_policy = amqp.device, amqp.raw, amqp.service, amqp.make_policy
policy_token, token = amqp.policy_token, amqp.token

LEAF = "hub.example/devices/leaf1"
EVENTS = "/devices/leaf1/messages/events"
SEND = "/messages/devicebound"
FAST = "[hub.limits]\nlogin_delay = 0.01\n"


@pytest.fixture
async def hub(make_hub: StartHub) -> RunningHub:
    """Refusals wait hardly at all."""
    hub = await (await make_hub(FAST)).start()
    hub.add("leaf1")
    return hub


async def test_a_token_by_cbs(hub: RunningHub) -> None:
    """The device is a client like any other: it is seen, its telemetry is kept."""
    async with device(hub, "leaf1") as client, operator(hub) as us:
        link = await client.attach(EVENTS, sends=True)
        assert await client.send(link, Message(b"{}", inferred=True)) == "ACCEPTED"
        (seen,) = (await us.call("GET", "/hub/status")).json["clients"]
        assert (seen["id"], seen["protocol"]) == ("leaf1", "AMQP 1.0")
    assert [m.body for m in hub.messages()] == [b"{}"]


async def test_plain(hub: RunningHub) -> None:
    """`{device}@sas.{hub}`; and a policy's, at `sas.root`."""
    async with raw(hub) as client:
        client.begin(user="leaf1@sas.hub", password=token(LEAF), mechanism="PLAIN")
        await client.attach(EVENTS, sends=True)
    async with operator(hub) as us:
        policy = await make_policy(us)
    async with raw(hub) as client:
        client.begin(user="service@sas.root.hub", password=policy_token(policy), mechanism="PLAIN")
        await client.attach(SEND, sends=True)


@pytest.mark.parametrize(
    ("user", "resource", "code"),
    [
        ("leaf1@sas.hub", "hub.example/devices/leaf2", "sas-audience-wrong"),
        ("nobody@sas.hub", "hub.example/devices/nobody", "device-unknown"),
        ("service@sas.root.hub", "hub.example", "policy-unknown"),
        ("leaf1", LEAF, "login-malformed"),
    ],
)
async def test_plain_refused(hub: RunningHub, user: str, resource: str, code: str) -> None:
    """SASL's own no, and the end; the reason is the operator's to see."""
    async with raw(hub) as client:
        name = "service" if "root" in user else None
        client.begin(user=user, password=token(resource, name=name), mechanism="PLAIN")
        assert await client.closed() == "amqp:unauthorized-access"
    assert await hub.counted("refused_total", code) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (lambda: token(LEAF, key=b"x" * 32), "sas-signature-wrong"),
        (lambda: token(LEAF, seconds=-5), "sas-expired"),
        (lambda: token("other.example/devices/leaf1"), "sas-audience-wrong"),
        (lambda: token("hub.example/devices/nobody"), "device-unknown"),
        (lambda: token("hub.example"), "sas-audience-wrong"),
        (lambda: token("hub.example", name="nobody"), "policy-unknown"),
        (lambda: "no token", "sas-malformed"),
    ],
)
async def test_a_wrong_token(hub: RunningHub, text: Any, code: str) -> None:
    """401 by $cbs, whatever the reason; the link after it is refused; a right token later is let in."""
    async with raw(hub) as client:
        client.begin()
        assert await client.put_token(text()) == 401
        assert await hub.counted("refused_total", code) == 1
        with pytest.raises(LinkError, match="unauthorized"):
            await client.attach(EVENTS, sends=True)
        assert await client.put_token(token(LEAF)) == 200
        await client.attach(EVENTS, sends=True)


async def test_other_claims_are_not_known(hub: RunningHub) -> None:
    """A token of Entra ID, or another operation: 400."""
    async with raw(hub) as client:
        client.begin()
        assert await client.put_token("x", kind="amqp:jwt") == 400
        assert await client.put_token(token(LEAF), operation="delete-token") == 400


async def test_anothers_address(hub: RunningHub) -> None:
    """A device has its own links and nobody else's; and none of a service's."""
    hub.add("leaf2")
    async with device(hub, "leaf1") as client:
        for address, sends in (
            ("/devices/leaf2/messages/events", True),
            ("/devices/leaf2/messages/devicebound", False),
            ("/devices/leaf1/modules/m/twin", False),
            (SEND, True),
            ("/messages/serviceBound/feedback", False),
        ):
            with pytest.raises(LinkError, match=r"not-allowed|unauthorized"):
                await client.attach(address, sends=sends)
        for address, sends in (("/anything", True), ("/devices/leaf1/files", True), ("", True)):
            with pytest.raises(LinkError, match="not-found"):
                await client.attach(address, sends=sends)
        for address, sends in ((EVENTS, False), ("/devices/leaf1/messages/devicebound", True)):
            with pytest.raises(LinkError, match="not-allowed"):
                await client.attach(address, sends=sends)


async def test_a_policy_that_does_not_allow_it(hub: RunningHub) -> None:
    """RegistryRead is no ServiceConnect."""
    async with operator(hub) as us:
        policy = await make_policy(us, "reader", "RegistryRead")
    async with service(hub, policy) as client:
        with pytest.raises(LinkError, match="unauthorized"):
            await client.attach(SEND, sends=True)


async def test_a_policy_taken_away(hub: RunningHub) -> None:
    """Its connections end at once: by delete, and by a rotation of either key."""
    async with operator(hub) as us:
        for change in (("POST", "/hub/policies/service/rotate"), ("DELETE", "/hub/policies/service")):
            policy = await make_policy(us, f"p-{change[0].lower()}")
            async with service(hub, policy) as client:
                await client.attach(SEND, sends=True)
                assert (await us.call(change[0], change[1].replace("service", policy["name"]))).status in {200, 204}
                assert await client.closed() == "amqp:unauthorized-access"


async def test_a_client_certificate(hub: RunningHub, device_ca: Held) -> None:
    """By EXTERNAL, and without SASL at all; a stranger's certificate opens nothing."""
    hub.add("cert1", auth="x509-ca")
    held = make("cert1", device_ca, client=True)
    for mechanism in ("EXTERNAL", None):
        async with raw(hub, held) as client:
            client.begin(mechanism=mechanism)
            await client.attach("/devices/cert1/messages/events", sends=True)
    async with raw(hub, make("cert1", client=True)) as client:
        client.begin(mechanism="EXTERNAL")
        with pytest.raises(LinkError, match="unauthorized"):
            await client.attach("/devices/cert1/messages/events", sends=True)
    assert await hub.counted("refused_total", "root-not-trusted") == 1


async def test_external_without_a_certificate(hub: RunningHub) -> None:
    """It is not offered."""
    async with raw(hub) as client:
        init = b"\x00\x53\x41\xc0\x0b\x01\xa3\x08EXTERNAL"
        client.writer.write(SASL_HEADER + struct.pack(">IBBH", 8 + len(init), 2, 1, 0) + init)
        said = b""
        while data := await asyncio.wait_for(client.reader.read(4096), 5):
            said += data
        assert b"EXTERNAL" not in said
        assert said.endswith(b"\x00\x53\x44\xc0\x03\x01\x50\x01")
    assert await hub.counted("refused_total", "authentication-method") == 1


async def test_a_token_is_renewed_and_expires(hub: RunningHub) -> None:
    """A new token keeps the connection; without one it ends when the last token does."""
    async with device(hub, "leaf1", seconds=2) as client:
        link = await client.attach(EVENTS, sends=True)
        assert await client.put_token(token(LEAF, seconds=3)) == 200
        before = datetime.now(UTC)
        assert await client.ended(link) == "amqp:unauthorized-access"
        assert datetime.now(UTC) - before > timedelta(seconds=1.9)
        assert await client.closed() == "amqp:unauthorized-access"
    assert await hub.counted("ended_total", "credential-expired") == 1


async def test_disabled(hub: RunningHub) -> None:
    """Whoever is disabled in the registry is cut off as an MQTT client is."""
    async with device(hub, "leaf1") as client:
        link = await client.attach(EVENTS, sends=True)
        with hub.registry() as registry:
            registry.set_enabled("leaf1", None, False)
        assert await client.ended(link) == "amqp:unauthorized-access"
        assert await client.closed() == "amqp:unauthorized-access"


async def test_one_connection_each(hub: RunningHub) -> None:
    """A second connection of the same device takes over, whichever protocol the first speaks."""
    async with device(hub, "leaf1") as first, device(hub, "leaf1") as second:
        link = await first.attach(EVENTS, sends=True)
        await second.attach(EVENTS, sends=True)
        assert await first.ended(link) == "amqp:link:stolen"
        await first.closed()
        mqtt = await hub.connected("leaf1")
        await second.closed()
        async with device(hub, "leaf1") as third:
            await third.attach(EVENTS, sends=True)
            assert await mqtt.closed()


async def test_not_in_time(make_hub: StartHub) -> None:
    """Who proves nothing is sent away, whatever it does meanwhile."""
    hub = await (await make_hub("[hub.limits]\nconnect_timeout = 0.3\n")).start()
    async with raw(hub) as client:
        client.begin()
        await client.attach("$cbs", sends=True)
        assert await client.closed() == "amqp:unauthorized-access"
    async with raw(hub) as silent:
        assert await silent.closed() is None
    assert await hub.counted("ended_total", "connect-timeout") == 2


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x10\x20\x00\x04MQTT",
        b"AMQP\x00\x00\x09\x01",
        SASL_HEADER + struct.pack(">IBBH", 100_000, 2, 1, 0),
        SASL_HEADER + struct.pack(">IBBH", 12, 2, 1, 0) + b"\x00\x53\x41\xc0",
        SASL_HEADER + struct.pack(">IBBH", 9, 2, 0, 0) + b"\x00",
        AMQP_HEADER + struct.pack(">IBBH", 0x7FFFFFFF, 2, 0, 0),
        AMQP_HEADER + struct.pack(">IBBH", 70_000, 2, 0, 0) + bytes(70_000),
        AMQP_HEADER + SASL_HEADER,
    ],
)
async def test_garbage(hub: RunningHub, data: bytes) -> None:
    """Ends this connection and no other; nothing of it is a fault of ours."""
    async with device(hub, "leaf1") as honest:
        link = await honest.attach(EVENTS, sends=True)
        async with raw(hub) as client:
            client.writer.write(data)
            while await client.reader.read(4096):
                pass
        assert await honest.send(link, Message(b"1", inferred=True)) == "ACCEPTED"
    assert await hub.counted("ended_total", "protocol-error") == 1
    assert await hub.counted("ended_total", "internal-error") == 0


async def test_too_many_links(make_hub: StartHub) -> None:
    """Refused one by one, and the connection goes on; who never tires is sent away."""
    hub = await (await make_hub("[hub.amqp]\nlinks = 4\n")).start()
    hub.add("leaf1")
    async with device(hub, "leaf1") as client:
        await client.attach(EVENTS, sends=True)
        await client.attach(EVENTS, sends=True)
        with pytest.raises(LinkError, match="resource-limit"):
            await client.attach(EVENTS, sends=True)
        for number in range(100):
            link = client.session.sender(str(number))
            link.target.address = "/nothing"
            link.open()
        assert await client.closed() == "amqp:resource-limit-exceeded"


async def test_too_many_sessions(make_hub: StartHub) -> None:
    """The bound is said in the opening, and kept."""
    hub = await (await make_hub("[hub.amqp]\nsessions = 2\n")).start()
    async with raw(hub) as client:
        client.begin()
        await client.attach("$cbs", sends=True)
        assert client.transport.remote_channel_max == 1


async def test_too_large(make_hub: StartHub) -> None:
    """A message beyond the bound ends its link, before the whole of it is in memory."""
    hub = await (await make_hub("[hub.limits]\npacket_size = 4096\n")).start()
    hub.add("leaf1")
    async with device(hub, "leaf1") as client:
        link = await client.attach(EVENTS, sends=True)
        assert link.remote_max_message_size == 4096
        link.delivery("1")
        link.send(Message(bytes(100_000), inferred=True).encode())
        link.advance()
        assert await client.ended(link) == "amqp:link:message-size-exceeded"


async def test_several_devices_on_one_connection(hub: RunningHub) -> None:
    """Each by its own token; when one is cut off, the other stays."""
    hub.add("leaf2")
    async with device(hub, "leaf1") as client:
        assert await client.put_token(token("hub.example/devices/leaf2")) == 200
        one = await client.attach(EVENTS, sends=True)
        two = await client.attach("/devices/leaf2/messages/events", sends=True)
        with hub.registry() as registry:
            registry.set_enabled("leaf1", None, False)
        assert await client.ended(one) == "amqp:unauthorized-access"
        assert await client.send(two, Message(b"2", inferred=True)) == "ACCEPTED"


async def test_guessing_is_slow(make_hub: StartHub) -> None:
    """As for MQTT: the second wrong token of an identity waits, and nothing is read meanwhile."""
    hub = await (await make_hub("[hub.limits]\nlogin_delay = 0.3\n")).start()
    hub.add("leaf1")
    async with raw(hub) as client:
        client.begin()
        wrong = token(LEAF, key=b"x" * 32)
        assert await client.put_token(wrong) == 401
        before = asyncio.get_running_loop().time()
        assert await client.put_token(wrong) == 401
        assert asyncio.get_running_loop().time() - before > 0.2
    assert await hub.counted("refusals_delayed_total") == 1


async def test_closed_by_settings(make_hub: StartHub) -> None:
    """No port where the operator wants none."""
    hub = await (await make_hub("[hub.amqp]\nenabled = false\n")).start()
    assert hub.at.amqp_port is None


async def test_the_hub_stops(hub: RunningHub) -> None:
    """What is taken is accepted; then goodbye."""
    async with device(hub, "leaf1") as client:
        await client.attach(EVENTS, sends=True)
        await hub.stop()
        assert await client.closed() == "amqp:connection:forced"
