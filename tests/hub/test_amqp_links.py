"""AMQP: what the links do, of services and of devices.

service -> /messages/devicebound -> the device's queue -> /devices/{d}/messages/devicebound -> accepted -> feedback
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from leafward.wire.mqtt.packets import Publish
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_clients import EDGE
from tests.hub.service_clients import Operator, operator

amqp = pytest.importorskip("tests.hub.amqp_client", reason="Qpid Proton is not installed (the extra amqp)")
AmqpClient, annotated, device, make_policy, service = (
    amqp.AmqpClient,
    amqp.annotated,
    amqp.device,
    amqp.make_policy,
    amqp.service,
)
Delivery, Message, symbol = amqp.Delivery, amqp.Message, amqp.symbol

TO = "/devices/leaf1/messages/deviceBound"
EVENTS = "/devices/leaf1/messages/events"
INBOX = "/devices/leaf1/messages/devicebound"


@pytest.fixture
async def hub(make_hub: StartHub) -> RunningHub:
    hub = await (await make_hub("[hub.devicebound]\nqueue = 3\nlock = 1\n")).start()
    hub.add("leaf1")
    return hub


@contextlib.asynccontextmanager
async def sending(hub: RunningHub) -> AsyncIterator[tuple[AmqpClient, Any, Operator]]:
    """A service with its link to devices, and the operator."""
    async with operator(hub) as us, service(hub, await make_policy(us)) as client:
        yield client, await client.attach("/messages/devicebound", sends=True), us


def to_device(body: bytes = b"hello", *, to: str = TO, **properties: str) -> Message:
    message = Message(body, inferred=True, address=to, id=str(uuid4()))
    message.properties = dict(properties)
    return message


async def waiting(us: Operator) -> list[Any]:
    found: list[Any] = (await us.call("GET", "/hub/devices/leaf1/devicebound")).json["messages"]
    return found


async def test_a_message_to_a_device(hub: RunningHub) -> None:
    """Accepted once it waits on disk, with all that belongs to it."""
    async with sending(hub) as (client, link, us):
        message = to_device(colour="red", n="1")
        message.correlation_id, message.user_id, message.content_type = "c1", b"me", symbol("text/plain")
        message.properties = {"colour": "red", "n": 1, "good": True, "iothub-ack": "full"}
        assert await client.send(link, message) == "ACCEPTED"
        (kept,) = await waiting(us)
        assert kept["body"] == "hello"
        assert kept["properties"] == {"colour": "red", "n": "1", "good": "true"}
        assert kept["system"]["correlationId"] == "c1"
        assert kept["system"]["userId"] == "me"
        assert kept["system"]["contentType"] == "text/plain"
        assert kept["system"]["iothub-ack"] == "full"
        assert kept["system"]["messageId"] == message.id


async def test_what_cannot_be_sent(hub: RunningHub) -> None:
    """Each with IoT Hub's word for it, and the link goes on."""
    async with sending(hub) as (client, link, us):
        for message, condition in (
            (to_device(to="/devices/nobody/messages/deviceBound"), "amqp:not-found"),
            (to_device(to="/devices/leaf1/modules/m/messages/deviceBound"), "amqp:not-implemented"),
            (to_device(to="/anywhere"), "amqp:invalid-field"),
            (Message(b"x"), "amqp:invalid-field"),
            (to_device(bytes(65_537)), "amqp:link:message-size-exceeded"),
            (to_device(**{"iothub-x": "1"}), "amqp:invalid-field"),
            (to_device(a="\x1b"), "amqp:invalid-field"),
            (b"\xff\xff", "amqp:invalid-field"),
            (Message([1, 2], address=TO), "amqp:decode-error"),
        ):
            assert await client.send(link, message) == condition, message
        for _ in range(3):
            assert await client.send(link, to_device()) == "ACCEPTED"
        assert await client.send(link, to_device()) == "amqp:resource-limit-exceeded"
        assert len(await waiting(us)) == 3


async def test_the_device_takes_it_and_the_service_hears(hub: RunningHub) -> None:
    """accepted: completed. released: once more. rejected: rejected. Feedback as each sender wants it."""
    async with sending(hub) as (client, link, us), device(hub, "leaf1") as leaf:
        heard = await client.attach("/messages/serviceBound/feedback", sends=False)
        inbox = await leaf.attach(INBOX, sends=False)
        for body, ack in ((b"good", "positive"), (b"bad", "negative"), (b"quiet", "negative")):
            message = to_device(body)
            message.id = body.decode()
            message.properties = {"iothub-ack": ack, "p": "q"}
            assert await client.send(link, message) == "ACCEPTED"
        delivery, first = await leaf.receive(inbox)
        assert (first.body, first.id, first.properties) == (b"good", "good", {"iothub-ack": "positive", "p": "q"})
        # C#'s SDK asks for these very types.
        kinds = {str(name): type(value).__name__ for name, value in first.annotations.items()}
        assert kinds == {
            "x-opt-sequence-number": "ulong",
            "iothub-enqueuedtime": "timestamp",
            "iothub-deliverycount": "ubyte",
        }
        assert len(delivery.tag) == 16
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        for state in (Delivery.RELEASED, Delivery.REJECTED):
            delivery, second = await leaf.receive(inbox)
            while second.body != b"bad":
                delivery.update(Delivery.ACCEPTED)
                delivery.settle()
                delivery, second = await leaf.receive(inbox)
            delivery.update(state)
            delivery.settle()
        await leaf.write()
        records: list[Any] = []
        while len(records) < 2:
            told, batch = await client.receive(heard)
            assert batch.content_type == "application/vnd.microsoft.iothub.feedback.json"
            records += json.loads(bytes(batch.body))
            told.update(Delivery.ACCEPTED)
            told.settle()
        assert [(r["originalMessageId"], r["statusCode"]) for r in records] == [
            ("good", "Success"),
            ("bad", "Rejected"),
        ]
        assert records[0]["deviceGenerationId"] == "g-leaf1"
        assert await waiting(us) == [] or [m["body"] for m in await waiting(us)] == ["quiet"]


async def test_what_is_not_settled_comes_again(hub: RunningHub) -> None:
    """After its lock, and at once where the connection is gone."""
    async with sending(hub) as (client, link, _us):
        assert await client.send(link, to_device()) == "ACCEPTED"
        async with device(hub, "leaf1") as leaf:
            inbox = await leaf.attach(INBOX, sends=False)
            for attempt in (1, 2):
                _, message = await leaf.receive(inbox)
                assert message.annotations[symbol("iothub-deliverycount")] == attempt
        async with device(hub, "leaf1") as leaf:
            _, message = await leaf.receive(await leaf.attach(INBOX, sends=False))
            assert message.body == b"hello"


async def test_telemetry(hub: RunningHub) -> None:
    """Properties and annotations are what MQTT's topic would have said; a wrong message does not stop the next."""
    async with device(hub, "leaf1") as client:
        link = await client.attach(EVENTS, sends=True)
        message = annotated(b'{"t":21}', **{"iothub-interface-id": "i1", "dt-subject": "s"})
        message.id, message.correlation_id = UUID(int=5), "c1"
        message.content_type, message.content_encoding = symbol("application/json"), symbol("utf-8")
        message.properties = {"a b": "x/y", "n": 2.5, "iothub-message-schema": "v1", "$.cdid": "other"}
        assert await client.send(link, message) == "ACCEPTED"
        assert await client.send(link, annotated(b"", **{"x-opt-output-name": "out"})) == "ACCEPTED"
        assert await client.send(link, Message("text")) == "ACCEPTED"
        assert await client.send(link, Message(bytes(10), properties={"x": ["a"]})) == "amqp:invalid-field"
    first, second, third = hub.messages()
    assert (first.device_id, first.properties) == ("leaf1", {"a b": "x/y", "n": "2.5"})
    assert first.system == {
        "messageId": str(UUID(int=5)),
        "correlationId": "c1",
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "interfaceId": "i1",
        "subject": "s",
        "messageSchema": "v1",
    }
    assert second.system == third.system == {}
    # A leaf device has no outputs.
    assert (second.output, second.body, third.body) == (None, b"", b"text")


async def test_many_at_once(hub: RunningHub) -> None:
    """Credit bounds what is under way; every message is accepted, and is on disk."""
    async with device(hub, "leaf1") as client:
        link = await client.attach(EVENTS, sends=True)
        assert link.credit == 256
        deliveries = []
        while len(deliveries) < 600:
            await client.until(lambda: link.credit > 0)
            while link.credit > 0 and len(deliveries) < 600:
                deliveries.append(link.delivery(str(len(deliveries))))
                link.send(Message(b"x", inferred=True).encode())
                link.advance()
        await client.until(lambda: all(one.remote_state == Delivery.ACCEPTED for one in deliveries))
    assert len(hub.messages()) == 600


async def ask(client: AmqpClient, there: Any, back: Any, body: bytes = b" ", **annotations: Any) -> tuple[int, Any]:
    request = annotated(body, **annotations)
    request.correlation_id = str(uuid4())
    assert await client.send(there, request) == "ACCEPTED"
    _, answer = await client.receive(back)
    assert answer.correlation_id == request.correlation_id
    return int(answer.annotations[symbol("status")]), answer


async def test_twin(hub: RunningHub) -> None:
    """Read, report, be told; what is no request is rejected."""
    async with device(hub, "leaf1") as client, operator(hub) as us:
        there = await client.attach("/devices/leaf1/twin", sends=True)
        back = await client.attach("/devices/leaf1/twin", sends=False, credit=20)
        status, answer = await ask(client, there, back, operation="GET")
        assert (status, json.loads(bytes(answer.body))["desired"]) == (200, {"$version": 1})
        status, answer = await ask(client, there, back, b'{"x":1}', operation="PATCH", resource="/properties/reported")
        assert (status, answer.annotations[symbol("version")]) == (204, 2)
        status, answer = await ask(client, there, back, b"no", operation="PATCH", resource="/properties/reported")
        assert (status, json.loads(bytes(answer.body))["errorCode"]) == (400, 400004)
        status, _ = await ask(client, there, back, operation="PUT", resource="/notifications/twin/properties/desired")
        assert status == 200
        assert await client.send(there, annotated(b"", operation="EAT")) == "amqp:invalid-field"
        await us.call("PATCH", "/twins/leaf1", json={"properties": {"desired": {"k": 1}}})
        _, told = await client.receive(back)
        assert (told.correlation_id, json.loads(bytes(told.body))) == (None, {"k": 1, "$version": 2})
        status, _ = await ask(
            client, there, back, operation="DELETE", resource="/notifications/twin/properties/desired"
        )
        await us.call("PATCH", "/twins/leaf1", json={"properties": {"desired": {"k": 2}}})
        status, answer = await ask(client, there, back, operation="GET")
        assert json.loads(bytes(answer.body))["desired"]["k"] == 2


async def test_methods(hub: RunningHub) -> None:
    """Asked by the operator, answered by its correlation id, which is a UUID; a device without the link is not here."""
    async with device(hub, "leaf1") as client, operator(hub) as us:
        back = await client.attach("/devices/leaf1/methods/devicebound", sends=True)
        assert (await us.invoke("echo")).code == "DeviceNotOnline"
        asked = await client.attach("/devices/leaf1/methods/devicebound", sends=False)
        call = asyncio.create_task(us.invoke("reboot", payload={"q": 1}))
        _, question = await client.receive(asked)
        assert question.properties == {"IoThub-methodname": "reboot"}
        assert json.loads(bytes(question.body)) == {"q": 1}
        assert isinstance(question.correlation_id, UUID)
        answer = Message(b'{"ok":true}', inferred=True, correlation_id=question.correlation_id)
        answer.properties = {"IoThub-status": 207}
        assert await client.send(back, answer) == "ACCEPTED"
        assert (await call).json == {"status": 207, "payload": {"ok": True}}
        assert await client.send(back, answer) == "ACCEPTED"
        answer.properties = {}
        assert await client.send(back, answer) == "amqp:invalid-field"


ROUTES = """[hub.routes]
in1 = 'FROM /messages/* WHERE NOT IS_DEFINED($connectionModuleId) INTO BrokeredEndpoint("/modules/m/inputs/in1")'
up = 'FROM /messages/modules/m/outputs/out INTO $upstream'
"""


async def test_a_module(make_hub: StartHub) -> None:
    """What a route leads to it comes on its link for events; what it sends has an output."""
    hub = await (await make_hub(ROUTES)).start()
    hub.add("leaf1")
    hub.add(EDGE, "m")
    address = f"/devices/{EDGE}/modules/m/messages/events"
    async with device(hub, EDGE, "m") as module, device(hub, "leaf1") as leaf:
        link = await leaf.attach(EVENTS, sends=True)
        inputs = await module.attach(address, sends=False)
        for body in (b"1", b"2"):
            assert await leaf.send(link, Message(body, inferred=True, properties={"a": "b"})) == "ACCEPTED"
        for state in (Delivery.RELEASED, Delivery.ACCEPTED):
            delivery, message = await module.receive(inputs)
            assert message.annotations[symbol("x-opt-input-name")] == "in1"
            assert message.annotations[symbol("iothub-connection-device-id")] == "leaf1"
            assert message.properties == {"a": "b"}
            delivery.update(state)
            delivery.settle()
        outputs = await module.attach(address, sends=True)
        assert await module.send(outputs, annotated(b"3", **{"x-opt-output-name": "out"})) == "ACCEPTED"
    assert [(m.module_id, m.output, m.body) for m in hub.messages()] == [("m", "out", b"3")]


async def test_mqtt_and_amqp_meet(hub: RunningHub) -> None:
    """A message that a service sent by AMQP comes to a device by MQTT."""
    async with sending(hub) as (client, link, _us):
        assert await client.send(link, to_device(a="b")) == "ACCEPTED"
        leaf = await hub.connected("leaf1")
        await leaf.subscribe("devices/leaf1/messages/devicebound/#")
        packet = await leaf.receive()
        assert isinstance(packet, Publish)
        assert packet.payload == b"hello"
        assert "a=b" in packet.topic


async def test_what_is_being_settled_is_not_sent_again(hub: RunningHub) -> None:
    """The device accepts a message and asks for the next in one breath."""
    async with sending(hub) as (client, link, us), device(hub, "leaf1") as leaf:
        inbox = await leaf.attach(INBOX, sends=False, credit=1)
        for number in range(12):
            assert await client.send(link, to_device(b"%d" % number)) == "ACCEPTED"
            delivery, message = await leaf.receive(inbox)
            assert (message.body, message.annotations[symbol("iothub-deliverycount")]) == (b"%d" % number, 1)
            delivery.update(Delivery.ACCEPTED)
            delivery.settle()
            inbox.flow(1)
            await leaf.write()
        assert await client.send(link, to_device(b"last")) == "ACCEPTED"
        _, message = await leaf.receive(inbox)
        assert message.body == b"last"
        assert [one["body"] for one in await waiting(us)] == ["last"]
