"""The serving certificate: live replacement, a manager that restarts, one that is late, one that never comes."""

import asyncio
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import PeerUnavailable
from leafward.hub.certificate import ServingCertificate
from leafward.hub.metrics import HubMetrics
from leafward.hub.workload_client import WorkloadClient
from leafward.wire.workload_api import trust_bundle_response
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import HOST


async def serving(hub: RunningHub) -> ServingCertificate:
    """What a hub of this home would serve, without the hub."""
    client = await WorkloadClient.attached(hub.home, HOST, asyncio.Event())
    certificate = ServingCertificate(client, HubMetrics(), lambda: datetime.now(UTC))
    await certificate.begin()
    return certificate


async def test_the_whole_chain_is_presented(hub: RunningHub, server: Held) -> None:
    """localhost, workload CA, device CA, intermediate, root: what a leaf with the root alone can verify."""
    client = await hub.client()
    tls = client.writer.get_extra_info("ssl_object")
    assert tls.getpeercert(binary_form=True) == server.leaf.public_bytes(Encoding.DER)
    assert tls.version() == "TLSv1.3"


async def test_a_new_certificate_is_served_and_nobody_is_dropped(
    hub: RunningHub, workload_ca: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manager renews; the next connection sees it, the one that stands lives on."""
    from datetime import timedelta

    monkeypatch.setattr("leafward.hub.certificate.ASK_EVERY", timedelta(milliseconds=20))
    await hub.stop()
    await hub.start()
    hub.add("leaf1")
    old = await hub.connected("leaf1")
    hub.manager.server = make(HOST, workload_ca)
    async with asyncio.timeout(10):
        while await hub.counted("certificate_changes_total") < 1:
            await asyncio.sleep(0.01)
    assert await old.alive()
    tls = (await hub.client()).writer.get_extra_info("ssl_object")
    assert tls.getpeercert(binary_form=True) == hub.manager.server.leaf.public_bytes(Encoding.DER)


async def test_asking_again_changes_nothing(make_hub: StartHub, workload_ca: Held) -> None:
    """The same answer is no new certificate; another one is, once."""
    hub = await make_hub()
    certificate = await serving(hub)
    assert not await certificate.refresh()
    hub.manager.server = make(HOST, workload_ca)
    assert await certificate.refresh()
    assert not await certificate.refresh()
    assert certificate.leaf == hub.manager.server.leaf


async def test_a_certificate_that_cannot_be_served_is_not(make_hub: StartHub, workload_ca: Held) -> None:
    """A key of another certificate: the old one goes on."""
    hub = await make_hub()
    certificate = await serving(hub)
    before = certificate.leaf
    hub.manager.server = Held(make(HOST, workload_ca).certificates, make("x").key)
    with pytest.raises(Exception, match="key"):
        await certificate.refresh()
    assert certificate.leaf == before


async def test_a_manager_that_was_started_anew(make_hub: StartHub) -> None:
    """It has forgotten who we are: the hub attaches again by itself."""
    hub = await make_hub()
    certificate = await serving(hub)
    hub.manager.knows_hub = False
    hub.manager.generation_id = "g2"
    await certificate.refresh()
    assert hub.manager.attached == 2


async def test_a_manager_that_is_late(make_hub: StartHub) -> None:
    """The hub starts first and waits."""
    hub = await make_hub(manager=False)
    starting = asyncio.create_task(hub.start())
    await asyncio.sleep(0)
    assert not starting.done()
    async with hub.manager.running(hub.home):
        await starting
        await hub.stop()


async def test_a_manager_that_never_comes(make_hub: StartHub) -> None:
    """Told after a bounded time, with what to do."""
    hub = await make_hub(manager=False)
    with pytest.raises(PeerUnavailable, match="the manager does not answer"):
        await WorkloadClient.attached(hub.home, HOST, asyncio.Event(), patience=0.05)


async def test_stopping_while_waiting_for_the_manager(make_hub: StartHub) -> None:
    """Ctrl-C is not made to wait."""
    hub = await make_hub(manager=False)
    stop = asyncio.Event()
    waiting = asyncio.create_task(WorkloadClient.attached(hub.home, HOST, stop))
    stop.set()
    with pytest.raises(PeerUnavailable):
        async with asyncio.timeout(3):
            await waiting


async def test_a_large_trust_bundle(make_hub: StartHub, root: Held) -> None:
    """400 roots, 280 kB, more than one read of a socket gives."""
    hub = await make_hub()
    hub.manager.anchors = root.pem() * 400
    client = await WorkloadClient.attached(hub.home, HOST, asyncio.Event())
    assert len(await client.trust_bundle()) == 400


async def test_an_answer_that_comes_in_pieces(make_hub: StartHub, root: Held) -> None:
    """Head, some bytes, a pause, the rest."""
    hub = await make_hub(manager=False)
    hub.home.make_socket_folder()
    body = trust_bundle_response(root.pem())
    read = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:100])
        await writer.drain()
        await asyncio.wait([asyncio.ensure_future(read.wait())], timeout=0.1)
        writer.write(body[100:])
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(answer, str(hub.home.workload_socket))
    async with server:
        assert len(await WorkloadClient(hub.home, HOST).trust_bundle()) == 1


async def test_an_answer_without_end(make_hub: StartHub, monkeypatch: pytest.MonkeyPatch, root: Held) -> None:
    """Bounded, and told as what it is."""
    monkeypatch.setattr("leafward.wire.workload_api.MAX_RESPONSE_BODY", 1000)
    hub = await make_hub()
    hub.manager.anchors = root.pem() * 3
    client = await WorkloadClient.attached(hub.home, HOST, asyncio.Event())
    with pytest.raises(PeerUnavailable, match="the manager's answer is too long"):
        await client.trust_bundle()


def test_a_certificate_s_key_is_not_shown(server: Held) -> None:
    """repr goes to logs."""
    from leafward.hub.workload_client import ServerCertificate
    from leafward.pki.chain import Chain

    assert "key" not in repr(ServerCertificate(Chain(server.certificates), server.key))
