"""A child gateway's hub forwards to its parent's, in one process.

leaf1, line-3/filter -- hub of line-3 -- TLS, SAS of line-3/$edgeHub --> hub of edge-device: whose messages are they?
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.cli import hub_client
from leafward.store.home import Home
from leafward.wire.connection_string import ConnectionString
from leafward.wire.mqtt.packets import Puback
from tests.hub.conftest import FakeManager, RunningHub
from tests.hub.hub_certificates import Held
from tests.hub.hub_clients import EDGE, HOST, KEY, PATIENCE, events

pytestmark = pytest.mark.asyncio(loop_factories=["uvloop"])
CHILD = "line-3"


def string(key: bytes = KEY) -> str:
    """What `leafward manager child --register line-3` writes on the stick."""
    return ConnectionString(HOST, CHILD, "$edgeHub", key, HOST).text()


@pytest.fixture
async def hubs(
    hub: RunningHub, server: Held, root: Held, tmp_path: Path
) -> AsyncIterator[tuple[RunningHub, RunningHub]]:
    """The child, not started, and the parent, which runs and knows it."""
    parent = hub
    parent.add(CHILD)
    parent.add(CHILD, "$edgeHub")
    home = Home(tmp_path / "child")
    home.root.mkdir()
    manager = FakeManager(server, root.leaf.public_bytes(Encoding.PEM))
    home.settings.write_text(
        f'[device]\nhostname = "{HOST}"\ndevice_id = "{CHILD}"\n[hub.upstream]\nkind = "leafward"\n'
        f'connection_string_file = "upstream"\nport = {parent.at.mqtt_port}\nfirst_pause = 0.02\nlongest_pause = 0.1\n'
    )
    (home.root / "upstream").write_text(string() + "\n")
    (home.root / "upstream").chmod(0o600)
    child = RunningHub(home, manager, parent.root_pem, tmp_path)
    async with manager.running(home):
        yield child, parent
        await child.close()


async def arrived(hub: RunningHub, count: int) -> list[Any]:
    """The messages of the parent, once there are so many."""
    async with asyncio.timeout(PATIENCE):
        while len(found := hub.messages()) < count:
            await asyncio.sleep(0.02)
    return found


async def test_messages_are_whose_they_were(hubs: tuple[RunningHub, RunningHub]) -> None:
    """A leaf device's, and an output of a module's; with properties, and the time they were made."""
    child, parent = hubs
    await child.start()
    child.add("leaf1")
    child.add(CHILD, "filter")
    leaf = await child.connected("leaf1")
    packet_id = await leaf.publish(events("leaf1", bag="%24.mid=m1&%24.ct=application%2Fjson&a%20b=x%2Fy"), b'{"t":21}')
    assert await leaf.receive() == Puback(packet_id)
    module = await child.connected(CHILD, "filter")
    packet_id = await module.publish(events(CHILD, "filter", "%24.on=out1"), b"x")
    assert await module.receive() == Puback(packet_id)
    first, second = await arrived(parent, 2)
    assert (first.device_id, first.module_id, first.output, first.body) == ("leaf1", None, None, b'{"t":21}')
    assert first.properties == {"a b": "x/y"}
    made = child.messages()[0].enqueued.isoformat().replace("+00:00", "Z")
    assert first.system == {"messageId": "m1", "contentType": "application/json", "creationTimeUtc": made}
    assert (second.device_id, second.module_id, second.output) == (CHILD, "filter", "out1")


async def test_a_parent_that_comes_and_goes(hubs: tuple[RunningHub, RunningHub]) -> None:
    """What the child acknowledged while the parent was away is there when it is back, in order."""
    child, parent = hubs
    child.add("leaf1")
    await child.start()
    leaf = await child.connected("leaf1")
    port = parent.at.mqtt_port
    for number in range(60):
        if number in {20, 40}:
            await parent.stop()
        packet_id = await leaf.publish(events("leaf1"), b"%d" % number)
        assert await leaf.receive() == Puback(packet_id)
        if number in {30, 50}:
            await _start_at(parent, port)
    found = await arrived(parent, 60)
    assert list(dict.fromkeys(int(message.body) for message in found)) == list(range(60))
    assert {message.device_id for message in found} == {"leaf1"}


async def _start_at(hub: RunningHub, port: int) -> None:
    from leafward.hub.daemon import run_hub

    hub._stop = asyncio.Event()
    ready: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    running = run_hub(
        hub.home,
        bind="127.0.0.1",
        mqtt_port=port,
        https_ports=[0],
        clock=hub.clock,
        stop=hub._stop,
        ready=ready.set_result,
    )
    hub._task = asyncio.create_task(running)
    hub.addresses = await asyncio.wait_for(ready, PATIENCE)


async def test_for_whom_a_child_does_not_speak(hubs: tuple[RunningHub, RunningHub]) -> None:
    """For a device before the parent, or behind another child: the message is kept as the child's own, and told."""
    _child, parent = hubs
    parent.add("direct")
    parent.add("line-4")
    parent.add("below", parent=CHILD)
    parent.add("elsewhere", parent="line-4")
    hub = await parent.connected(CHILD, "$edgeHub")
    claims = ["direct", "elsewhere", "below", EDGE, "bad id", "direct&%24.cmid=m", "new", f"{CHILD}&%24.cmid=m"]
    for claim in claims:
        packet_id = await hub.publish(
            events(CHILD, "$edgeHub", f"%24.cdid={claim.replace(' ', '%20')}"), claim.encode()
        )
        assert await hub.receive() == Puback(packet_id)
    found = {message.body.decode(): message for message in parent.messages()}
    believed = {name for name, one in found.items() if one.module_id != "$edgeHub"}
    assert believed == {"below", "new", f"{CHILD}&%24.cmid=m"}
    assert found["direct"].device_id == CHILD
    assert found["direct"].properties == {"leafward-claimed-origin": "direct"}
    assert found["direct&%24.cmid=m"].properties == {"leafward-claimed-origin": "direct/m"}
    assert all("$.cdid" not in message.system for message in found.values())
    assert await parent.counted("refused_total", "origin-not-believed") == 5


async def test_only_a_hub_passes_on(hubs: tuple[RunningHub, RunningHub]) -> None:
    """A module's or a leaf device's word about whose a message is does not count."""
    _child, parent = hubs
    parent.add("direct")
    parent.add(EDGE, "filter")
    for name, module in (("direct", None), (EDGE, "filter")):
        client = await parent.connected(name, module)
        packet_id = await client.publish(events(name, module, "%24.cdid=other&%24.cmid=m"), b"x")
        assert await client.receive() == Puback(packet_id)
    assert [(one.device_id, one.module_id) for one in parent.messages()] == [("direct", None), (EDGE, "filter")]


async def test_how_it_stands(hubs: tuple[RunningHub, RunningHub]) -> None:
    """A wrong key: told, with what to do; the right one is taken without a restart. The operator sees it all."""
    child, parent = hubs
    (child.home.root / "upstream").write_text(string(b"w" * 32))
    child.add("leaf1")
    await child.start()
    leaf = await child.connected("leaf1")
    await leaf.publish(events("leaf1"), b"1")
    await leaf.receive()
    status = await _until(child, lambda facts: facts["last_error"])
    assert "not authorised; check the credential" in status["last_error"]
    assert (status["connected"], status["waiting"], status["kind"]) == (False, 1, "leafward")
    assert status["queues"] == [{"priority": None, "waiting": 1, "oldest": status["oldest"]}]
    (child.home.root / "upstream").write_text(string())
    status = await _until(child, lambda facts: facts["forwarded"] == 1 and not facts["waiting"])
    assert status["connected"]
    assert status["to"] == f"{HOST}:{parent.at.mqtt_port}"
    assert status["store"]["messages"] == 1
    assert await child.counted("upstream_forwarded_total") == 1
    assert await child.counted("upstream_connected") == 1


async def _until(hub: RunningHub, reached: Any) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await asyncio.to_thread(hub_client.ask, hub.home, "GET", "/hub/upstream", what="")
            if reached(facts := answer.json()):
                return facts
            await asyncio.sleep(0.02)


async def test_what_was_refused_is_sent_once_more(hub: RunningHub) -> None:
    """Without an upstream as well: the operator sees what is set aside, and puts it back."""
    from datetime import UTC, datetime

    from leafward.store.messages import REFUSED, Message, MessageStore

    await hub.stop()
    with MessageStore.open(hub.home.messages) as store:
        store.append([(Message("leaf1", None, None, {}, {}, b"x", datetime.now(UTC)), [REFUSED])])
    await hub.start()

    def ask(method: str, path: str) -> dict[str, Any]:
        return hub_client.ask(hub.home, method, path, what="").json()

    status = await asyncio.to_thread(ask, "GET", "/hub/upstream")
    assert (status["configured"], status["waiting"], status["refused"]) == (False, 0, 1)
    found = await asyncio.to_thread(ask, "GET", "/hub/upstream/refused")
    assert [(one["device_id"], one["body"]) for one in found["messages"]] == [("leaf1", "x")]
    assert await asyncio.to_thread(ask, "POST", "/hub/upstream/retry") == {"messages": 1}
    status = await asyncio.to_thread(ask, "GET", "/hub/upstream")
    assert (status["waiting"], status["refused"]) == (1, 0)
