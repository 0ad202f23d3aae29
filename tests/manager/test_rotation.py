"""Rotation with a hub and live connections: manager and hub in this process, clients over real TLS.

root -> intermediate -> device CA -> workload CA -> iotedgegw.local

The hub is told by an event, proves the new chain and serves it, or refuses it and everything goes back.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from leafward.errors import LeafwardError, NotFound, RuleViolation
from leafward.hub.daemon import HubAddresses, run_hub
from leafward.manager.daemon import Manager
from leafward.manager.events import Subscription
from leafward.pki.chain import fingerprint
from leafward.pki.names import common_name
from leafward.store.home import Home
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from tests.hub.hub_clients import KEY, Client, login

PATIENCE = 15.0
HOST = "iotedgegw.local"
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME: the certificates are of the test's time, not of today


@dataclass
class Edge:
    """A manager and a hub that run, with registered leaf devices."""

    manager: Manager
    at: HubAddresses
    root: Path
    connected: int = 0

    @property
    def hub_sha256(self) -> str:
        return fingerprint(self.manager.standing.hub.certificate)

    async def connect(self) -> Client:
        """Another leaf device, that trusts the root alone."""
        self.connected += 1
        context = ssl.create_default_context(cafile=str(self.root))
        context.verify_flags |= NO_CHECK_TIME
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.at.mqtt_port, ssl=context, server_hostname=HOST
        )
        client = Client(reader, writer)
        assert (await client.connect(login(f"leaf{self.connected}", host=HOST))).return_code == 0
        return client


def shown(client: Client) -> str:
    """The fingerprint of the certificate that a client was shown."""
    der = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return fingerprint(x509.load_der_x509_certificate(der))


@pytest.fixture
async def edge(home: Home, install: Any, clock: Any) -> AsyncIterator[Edge]:
    install()
    async with contextlib.AsyncExitStack() as stack:
        manager = await stack.enter_async_context(Manager(home, clock=clock, look_every=0.01, hub_seconds=PATIENCE))
        _register(home)
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        hub = asyncio.create_task(
            run_hub(
                home, bind="127.0.0.1", mqtt_port=0, https_ports=[0], clock=clock, stop=stop, ready=ready.set_result
            )
        )
        stack.push_async_callback(asyncio.wait_for, hub, PATIENCE)
        stack.callback(stop.set)
        at = await asyncio.wait_for(ready, PATIENCE)
        await _until(lambda: manager.standing.events.is_heard_by("$edgeHub"))
        yield Edge(manager, at, home.root_certificate)


def _register(home: Home) -> None:
    registry = Registry.open(home.registry)
    with contextlib.closing(registry):
        for number in range(1, 6):
            registry.add(
                Identity(
                    *(f"leaf{number}", None, "sas"),
                    enabled=True,
                    generation_id="g1",
                    primary_key=KEY,
                    secondary_key=None,
                    primary_thumbprint=None,
                    secondary_thumbprint=None,
                    created=datetime.now(UTC),
                )
            )


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


async def event(listening: Subscription, kind: str, **facts: Any) -> Any:
    """The next event of that kind with those facts."""
    async with asyncio.timeout(PATIENCE):
        async for one in listening:
            if one.kind == kind and facts.items() <= dict(one.facts).items():
                return one
    raise AssertionError("the events have ended")


async def _close(*clients: Client) -> None:
    for client in clients:
        await client.close()


async def test_a_session_lives_on_while_everything_above_it_is_made_anew(edge: Edge, home: Home, install: Any) -> None:
    """rotate hub, workload, device (another device CA was put in place): one session over all of them; each new
    connection is shown the new chain, and verifies with the root alone.
    """
    first = await edge.connect()
    seen = {shown(first)}
    for level in ("hub", "workload", "device"):
        if level == "device":
            edge.manager.standing.source._look = lambda: ()  # type: ignore[method-assign]
            install(common_name="another.ca")
        before = fingerprint(edge.manager.standing.workload_ca.certificate)
        outcome = await edge.manager.rotation.rotate(level)
        assert outcome.state == "done", outcome
        assert outcome.verdict is not None
        assert outcome.verdict.connections >= 1
        names = [one["name"] for one in outcome.changed]
        assert names == {"hub": ["hub_server"], "workload": ["workload_ca", "hub_server"]}.get(
            level, ["device_ca", "workload_ca", "hub_server"]
        )
        assert (fingerprint(edge.manager.standing.workload_ca.certificate) == before) == (level == "hub")
        second = await edge.connect()
        assert shown(second) == edge.hub_sha256
        assert shown(second) not in seen
        seen.add(shown(second))
        assert await first.alive()
        await second.close()
    assert await first.alive()
    assert common_name(edge.manager.standing.hub.pair.chain.issuers[1].subject) == "another.ca"
    assert len(list(home.manager.rglob("key.pem"))) == 3
    await first.close()


async def test_what_the_hub_cannot_prove_is_rolled_back(
    edge: Edge, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sabotage is on the hub's side alone: the manager's own proof was good."""
    held, before = await edge.connect(), edge.hub_sha256
    workload_ca = edge.manager.standing.workload_ca.certificate

    def refuse(*_: object, **__: object) -> None:
        raise RuleViolation("refused-in-handshake", "a client refuses it")

    with monkeypatch.context() as patched:
        patched.setattr("leafward.hub.certificate.prove", refuse)
        outcome = await edge.manager.rotation.rotate("workload")
    assert (outcome.state, outcome.reason) == ("rolled-back", "a client refuses it")
    assert edge.hub_sha256 == before
    assert edge.manager.standing.workload_ca.certificate == workload_ca
    fresh = await edge.connect()
    assert shown(fresh) == before
    assert await held.alive()
    again = await edge.manager.rotation.rotate("workload")
    assert again.state == "done"
    await _close(held, fresh)


async def test_a_device_ca_that_is_put_in_place_is_taken_by_itself(edge: Edge, install: Any) -> None:
    """Nobody asks: the files are seen to be others, judged, and everything is re-issued below the new one."""
    held = await edge.connect()
    with edge.manager.standing.events.subscribe() as listening:
        install(common_name="another.ca")
        await event(listening, "rotation", state="done", level="device")
    fresh = await edge.connect()
    assert shown(fresh) == edge.hub_sha256 != shown(held)
    assert await held.alive()
    await _close(held, fresh)


async def test_a_reload_looks_at_once(home: Home, install: Any, clock: Any) -> None:
    """SIGHUP: the files are read anew now, not at the next look."""
    install()
    async with Manager(home, clock=clock, look_every=1000) as manager:
        with manager.standing.events.subscribe() as listening:
            install(common_name="another.ca")
            manager.reload()
            told = await event(listening, "certificate", name="device_ca")
        assert told.facts["sha256"] == fingerprint(manager.standing.device_ca.chain.leaf)


async def test_a_bad_device_ca_is_refused_loudly_and_the_old_one_serves_on(
    edge: Edge, install: Any, clock: Any
) -> None:
    """A path length of 0 leaves no room for the workload CA; then the right one comes."""
    before = edge.hub_sha256
    with edge.manager.standing.events.subscribe() as listening:
        install(common_name="another.ca", path_length=0)
        failed = await event(listening, "rotation", state="failed", level="device")
        assert "device CA" in failed.facts["reason"]
        assert edge.hub_sha256 == before
        await edge.manager.rotation.renew("hub", "the old one still signs")
        await event(listening, "rotation", state="done", level="hub")
        install(common_name="third.ca")
        await event(listening, "rotation", state="done", level="device")
    assert common_name(edge.manager.standing.device_ca.chain.leaf.subject) == "third.ca"


async def test_rotate_device_needs_another_device_ca(edge: Edge) -> None:
    before = edge.hub_sha256
    with pytest.raises(NotFound, match="no other device CA"):
        await edge.manager.rotation.rotate("device")
    assert edge.hub_sha256 == before


async def test_a_refused_device_ca_is_not_tried_again_and_again(
    edge: Edge, install: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's proof fails: the device CA in memory is the old one again, the files are left as they are."""
    before, old = edge.hub_sha256, edge.manager.standing.device_ca.chain

    def refuse(*_: object, **__: object) -> None:
        raise RuleViolation("refused-in-handshake", "a client refuses it")

    with monkeypatch.context() as patched, edge.manager.standing.events.subscribe() as listening:
        patched.setattr("leafward.hub.certificate.prove", refuse)
        install(common_name="another.ca")
        await event(listening, "rotation", state="rolled-back", level="device")
    assert edge.manager.standing.device_ca.chain == old
    assert edge.hub_sha256 == before
    assert not edge.manager.standing.source.was_replaced()
    assert (await edge.manager.rotation.rotate("device")).state == "done"


async def test_a_hub_that_starts_later_proves_what_was_made_before(home: Home, install: Any, clock: Any) -> None:
    """No hub listens: the rotation says so, and the old one is kept; the hub's start settles it."""
    install()
    async with Manager(home, clock=clock) as manager:
        outcome = await manager.rotation.rotate("workload")
        assert outcome.state == "unproved"
        assert "no hub listens" in (outcome.reason or "")
        assert manager.standing.hub.on_probation
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        hub = asyncio.create_task(
            run_hub(
                home, bind="127.0.0.1", mqtt_port=0, https_ports=[0], clock=clock, stop=stop, ready=ready.set_result
            )
        )
        await asyncio.wait_for(ready, PATIENCE)
        assert not manager.standing.hub.on_probation
        assert not manager.standing.workload_ca.on_probation
        stop.set()
        await asyncio.wait_for(hub, PATIENCE)


async def test_a_hub_that_starts_on_what_it_cannot_prove_gets_the_one_before(
    home: Home, install: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    async with Manager(home, clock=clock) as manager:
        before = manager.standing.hub.pair.chain
        await manager.rotation.rotate("hub")
        new = manager.standing.hub.certificate
        from leafward.hub import certificate as hub_certificate

        real = hub_certificate.prove

        def refuse(chain: Any, *rest: Any, **options: Any) -> None:
            if chain.leaf == new:
                raise RuleViolation("refused-in-handshake", "a client refuses it")
            real(chain, *rest, **options)

        monkeypatch.setattr(hub_certificate, "prove", refuse)
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        hub = asyncio.create_task(
            run_hub(
                home, bind="127.0.0.1", mqtt_port=0, https_ports=[0], clock=clock, stop=stop, ready=ready.set_result
            )
        )
        await asyncio.wait_for(ready, PATIENCE)
        assert manager.standing.hub.pair.chain == before
        stop.set()
        await asyncio.wait_for(hub, PATIENCE)


async def test_a_dry_run_changes_nothing(edge: Edge) -> None:
    before = edge.hub_sha256
    outcome = await edge.manager.rotation.rotate("workload", dry_run=True)
    assert (outcome.state, [one["name"] for one in outcome.changed]) == ("dry-run", ["workload_ca", "hub_server"])
    assert edge.hub_sha256 == before
    assert edge.manager.standing.events.recent() == []


async def test_a_failure_on_the_way_changes_nothing(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    before = edge.hub_sha256

    def fail(_pair: object) -> None:
        raise LeafwardError("the disk is full")

    monkeypatch.setattr(edge.manager.standing.hub, "prove", fail)
    with pytest.raises(LeafwardError, match="the disk is full"):
        await edge.manager.rotation.rotate("workload")
    assert edge.hub_sha256 == before
    assert not edge.manager.standing.workload_ca.on_probation
