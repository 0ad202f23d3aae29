"""A leaf device of MQTT 5 on the SDKs' topics: aiomqtt, which knows nothing of IoT Hub, does all that an SDK does.

leaf (MQTT 5) -> telemetry -> hub;  hub -> message to the device, direct method, desired properties -> leaf
"""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qs

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.clients.mqtt_client import password, username
from tests.edge import Edge

LEAF = "leaf-five"
EVENTS = f"devices/{LEAF}/messages/events/"
DEVICEBOUND = f"devices/{LEAF}/messages/devicebound/#"
METHODS = "$iothub/methods/POST/#"
TWIN_ANSWERS, DESIRED = "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#"
PATIENCE = 30.0


@pytest.fixture(scope="module")
def connection_string(edge: Edge) -> str:
    return str(edge.json("device", "add", LEAF)["connection_string"])


Connect = Callable[..., contextlib.AbstractAsyncContextManager[aiomqtt.Client]]


@pytest.fixture
def connect(edge: Edge, connection_string: str, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Connects the leaf, as a context; `expiry`: seconds for which its session waits for it."""
    ask = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: ask(edge.address if host == edge.hostname else host, *rest, **more),
    )

    @contextlib.asynccontextmanager
    async def connected(*filters: str, expiry: int = 0, clean: bool = True) -> AsyncIterator[aiomqtt.Client]:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry
        async with aiomqtt.Client(
            edge.hostname,
            8883,
            identifier=LEAF,
            username=username(edge.hostname, LEAF),
            password=password(connection_string),
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=clean,
            properties=properties,
            tls_context=ssl.create_default_context(cafile=str(edge.root)),
            timeout=PATIENCE,
        ) as client:
            for text in filters:
                await client.subscribe(text, qos=1)
            yield client

    return connected


async def next_on(client: aiomqtt.Client, prefix: str) -> tuple[str, dict[str, str], bytes]:
    """(topic, its fields, payload) of the next message on a topic that begins so."""
    async with asyncio.timeout(PATIENCE):
        async for message in client.messages:
            topic = str(message.topic)
            if topic.startswith(prefix):
                assert isinstance(message.payload, bytes)
                fields = parse_qs(topic.rpartition("?" if "?" in topic else "/")[2], keep_blank_values=True)
                return topic, {name: values[0] for name, values in fields.items()}, message.payload
    raise AssertionError("the connection has ended")


async def command(edge: Edge, *arguments: str) -> Any:
    """What a command prints with --json; it must succeed."""
    return await asyncio.to_thread(edge.json, *arguments)


async def test_telemetry_with_user_properties(edge: Edge, connect: Connect) -> None:
    """Properties of the topic and of the packet are one."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = [("line", "3"), ("unicode", "grüße")]
    properties.ContentType = "application/json"
    properties.CorrelationData = b"c1"
    async with connect() as leaf:
        await leaf.publish(f"{EVENTS}%24.mid=m1&colour=red", b'{"n": 1}', qos=1, properties=properties)
    (message,) = [json.loads(line) for line in edge.run("messages", "--json").stdout.splitlines() if '"m1"' in line]
    assert message["body"] == {"n": 1}
    assert message["properties"] == {"line": "3", "unicode": "grüße", "colour": "red"}
    assert message["system"]["messageId"] == "m1"
    assert message["system"]["contentType"] == "application/json"
    assert message["system"]["correlationId"] == "c1"


async def test_twin(edge: Edge, connect: Connect) -> None:
    """GET, reported with a version that fits and one that does not, and desired properties as they change."""
    async with connect(TWIN_ANSWERS, DESIRED) as leaf:

        async def ask(topic: str, payload: bytes) -> tuple[str, dict[str, str], Any]:
            await leaf.publish(topic, payload, qos=1)
            found, fields, answer = await next_on(leaf, "$iothub/twin/res/")
            return found.split("/")[3], fields, json.loads(answer) if answer else None

        status, fields, twin = await ask("$iothub/twin/GET/?$rid=1", b"")
        assert (status, fields) == ("200", {"$rid": "1"})
        assert twin == {"desired": {"$version": 1}, "reported": {"$version": 1}}
        report = "$iothub/twin/PATCH/properties/reported/?$rid=2&$version=1"
        assert await ask(report, b'{"on": true}') == ("204", {"$rid": "2", "$version": "2"}, None)
        status, _, refused = await ask(report, b'{"on": false}')
        assert (status, refused["errorCode"]) == ("412", 412001)
        await command(edge, "device", "twin", "set", LEAF, "--desired", '{"interval": 5}')
        _, fields, patch = await next_on(leaf, DESIRED[:-1])
        assert (fields, json.loads(patch)) == ({"$version": "2"}, {"interval": 5, "$version": 2})


async def test_a_message_waits_for_the_device(edge: Edge, connect: Connect) -> None:
    """Its session outlives its connection: what was sent meanwhile is there when it comes back, and only once."""
    async with connect(DEVICEBOUND, expiry=300):
        pass
    await command(edge, "device", "send", LEAF, "open the valve", "--property", "priority=high", "--message-id", "m7")
    async with connect(expiry=300, clean=False) as leaf:
        _, fields, payload = await next_on(leaf, DEVICEBOUND[:-1])
    assert payload == b"open the valve"
    assert (fields["priority"], fields["$.mid"]) == ("high", "m7")
    assert (await command(edge, "device", "send", LEAF, "--list"))["messages"] == []


async def test_direct_method(edge: Edge, connect: Connect) -> None:
    async with connect(METHODS) as leaf:

        async def answer() -> Any:
            topic, fields, payload = await next_on(leaf, METHODS[:-1])
            assert topic.split("/")[3] == "set-speed"
            body = json.dumps({"was": json.loads(payload)})
            await leaf.publish(f"$iothub/methods/res/200/?$rid={fields['$rid']}", body, qos=1)

        result, _ = await asyncio.gather(
            command(edge, "device", "method", LEAF, "set-speed", "--payload", '{"rpm": 900}'), answer()
        )
    assert result == {"status": 200, "payload": {"was": {"rpm": 900}}}


async def test_anothers_topics_are_refused_with_a_reason(edge: Edge, connect: Connect) -> None:
    """MQTT 5 can say so, for a PUBLISH too, and the connection stays: 0x87, not authorized. Nothing of it is kept."""
    async with connect() as leaf:
        (reason,) = await leaf.subscribe("devices/other/messages/devicebound/#", qos=1)
        assert reason.value == 0x87
        await leaf.publish("devices/other/messages/events/", b"not mine", qos=1)
        await leaf.publish(EVENTS, b"mine", qos=1)
    assert "not mine" not in edge.run("messages", "--json").stdout
