"""The commands that talk to a running hub: `device method`, `device send`, `hub status`, `hub disconnect`."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from leafward.cli.main import run
from leafward.wire.mqtt.packets import Puback, Publish
from leafward.wire.property_bag import read_pairs
from tests.hub.conftest import RunningHub
from tests.hub.hub_clients import EDGE, Client
from tests.hub.service_clients import METHODS, answered, question, request_id

# Nothing here depends on the loop.
pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])

Capture = pytest.CaptureFixture[str]


def command(hub: RunningHub, *arguments: str) -> "asyncio.Task[int]":
    """A command that runs beside the hub; its exit code."""
    return asyncio.create_task(asyncio.to_thread(run, [*arguments, "--home", str(hub.home.root)]))


async def listening(hub: RunningHub, device: str = "leaf1", module: str | None = None) -> Client:
    """A client that takes methods, and a device its messages."""
    hub.add(device, module)
    client = await hub.connected(device, module)
    await client.subscribe(METHODS, *([f"devices/{device}/messages/devicebound/#"] if module is None else []))
    return client


async def test_a_method(hub: RunningHub, capsys: Capture) -> None:
    """What the device answered, and 0; as JSON too."""
    leaf = await listening(hub)
    for options, said in (((), '204  {"was": 7}\n'), (("--json",), '{"status": 204, "payload": {"was": 7}}\n')):
        done = command(hub, "device", "method", "leaf1", "set-speed", "--payload", '{"rpm": 9}', *options)
        asked = await question(leaf)
        assert json.loads(asked.payload) == {"rpm": 9}
        await answered(leaf, request_id(asked), b'{"was":7}', status=204)
        assert await done == 0
        assert capsys.readouterr().out == said


async def test_a_method_of_a_module_that_says_no(hub: RunningHub, capsys: Capture) -> None:
    """A status of 400 and more is a "no"."""
    module = await listening(hub, EDGE, "filter")
    done = command(hub, "device", "method", EDGE, "reset", "--module", "filter", "--timeout", "5")
    await answered(module, request_id(await question(module)), b"", status=404)
    assert (await done, capsys.readouterr().out) == (1, "404  null\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("method", "leaf1", "m"), 3, "Timed out waiting for device to connect. (404103)"),
        (("method", "nobody", "m"), 3, "nobody is not registered (404001)"),
        (("method", "leaf1", "a/b"), 2, "this is no name of a method"),
        (("method", "leaf1", "m", "--payload", "text"), 2, "the payload is not JSON"),
        (("method", "leaf1", "m", "--timeout", "1"), 2, "--timeout"),
        (("send", "nobody", "x"), 3, "Device nobody not registered (404001)"),
        (("send", "leaf1"), 2, "a message needs one body"),
        (("send", "leaf1", "x", "--property", "novalue"), 2, "'novalue' is no property"),
        (("send", "leaf1", "x", "--property", "$.mid=1"), 2, "is no name of a property"),
        (("send", "leaf1", "x", "--expires", "soon"), 2, "'soon' is no time"),
        (("send", "leaf1", "x", "--expires", "2020-01-01T00:00:00Z"), 3, "the message has expired already"),
        (("send", "leaf1", "x", "--file", "/nowhere"), 2, "a message needs one body"),
        (("send", "leaf1", "--file", "/nowhere"), 3, "cannot read /nowhere"),
        (("send", "leaf1", "x" * 65_537), 2, "the message is too large"),
        (("send", "leaf1", "x", "--list"), 2, "--list and --purge send nothing"),
    ],
)
async def test_what_cannot_be_done(
    hub: RunningHub, capsys: Capture, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """What, why, and nothing on standard output."""
    hub.add("leaf1")
    assert await command(hub, "device", *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


async def test_without_a_hub(hub: RunningHub, capsys: Capture) -> None:
    """Said with what to do."""
    await hub.stop()
    for arguments in (("hub", "status"), ("device", "send", "leaf1", "x"), ("device", "method", "leaf1", "m")):
        assert await command(hub, *arguments) == 3
        err = capsys.readouterr().err
        assert "the hub does not answer" in err
        assert "leafward up" in err


async def test_a_message_with_everything(hub: RunningHub, capsys: Capture, tmp_path: Path) -> None:
    """From a file, followed to its end."""
    leaf = await listening(hub)
    path = tmp_path / "plan.json"
    path.write_bytes(b'{"n": 1}')
    options = ("--property", "a b=c=d", "--content-type", "application/json", "--message-id", "m1", "--ack", "full")
    sending = command(
        hub, "device", "send", "leaf1", "--file", str(path), *options, "--expires", "2h", "--wait", "20", "--json"
    )
    packet = await leaf.receive()
    assert isinstance(packet, Publish)
    await leaf.send(Puback(packet.packet_id or 0))
    assert await sending == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts == {"device_id": "leaf1", "id": facts["id"], "message_id": "m1", "state": "completed"}
    pairs = read_pairs(packet.topic.rpartition("/")[2])
    expiry = datetime.fromisoformat(pairs.pop("$.exp"))
    assert timedelta(minutes=119) < expiry - datetime.now(UTC) <= timedelta(hours=2)
    assert pairs == {
        "$.mid": "m1",
        "$.ct": "application/json",
        "$.to": "/devices/leaf1/messages/devicebound",
        "iothub-ack": "full",
        "a b": "c=d",
    }


async def listed(hub: RunningHub, capsys: Capture) -> list[dict[str, Any]]:
    """What waits, by the command."""
    capsys.readouterr()
    assert await command(hub, "device", "send", "leaf1", "--list", "--json") == 0
    return list(json.loads(capsys.readouterr().out)["messages"])


async def test_what_waits_and_its_end(hub: RunningHub, capsys: Capture) -> None:
    """Shown to people and to programs; taken away only when it is meant."""
    hub.add("leaf1")
    assert await command(hub, "device", "send", "leaf1", "first\x1b[31m") == 0
    assert "waits for leaf1" in capsys.readouterr().out
    assert await command(hub, "device", "send", "leaf1", "second", "--wait", "1") == 1
    assert capsys.readouterr().out.endswith("  waiting\n")
    assert [one["body"] for one in await listed(hub, capsys)] == ["first\x1b[31m", "second"]
    assert await command(hub, "device", "send", "leaf1", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("tried 0  first\\x1b[31m")
    assert await command(hub, "device", "send", "leaf1", "--purge", "--dry-run") == 0
    assert len(await listed(hub, capsys)) == 2
    assert await command(hub, "device", "send", "leaf1", "--purge", "--yes") == 0
    assert capsys.readouterr().out == "taken away: 2\n"
    assert await listed(hub, capsys) == []


async def test_status_and_disconnect(hub: RunningHub, capsys: Capture) -> None:
    leaf = await listening(hub)
    assert await command(hub, "hub", "status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 connected, 0 sessions wait for their client"
    assert "leaf1  since 2" in lines[1]
    assert "MQTT 3.1.1 over tls  from 127.0.0.1:" in lines[1]
    assert "accepted  1" in lines
    assert await command(hub, "hub", "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["clients"][0]["id"] == "leaf1"
    assert await command(hub, "hub", "disconnect", "leaf1") == 0
    assert capsys.readouterr().out == "disconnected leaf1\n"
    assert await leaf.closed()
    assert await command(hub, "hub", "disconnect", "leaf1", "--module", "none") == 3
    assert "leaf1/none is not connected" in capsys.readouterr().err
