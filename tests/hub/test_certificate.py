"""The serving certificate: live replacement, a manager that restarts, one that is late, one that never comes."""

import asyncio
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import PeerUnavailable
from leafward.hub.certificate import ServingCertificate
from leafward.hub.metrics import HubMetrics
from leafward.hub.workload_client import WorkloadClient
from leafward.hub.x509_authenticator import ca_identity
from leafward.pki.chain import fingerprint
from leafward.pki.names import parse_host
from leafward.wire.workload_api import trust_bundle_response
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import HOST


async def serving(hub: RunningHub) -> ServingCertificate:
    """What a hub of this home would serve, without the hub."""
    client = await WorkloadClient.attached(hub.home, HOST, asyncio.Event())
    certificate = ServingCertificate(client, HubMetrics(), lambda: datetime.now(UTC), host=parse_host(HOST))
    await certificate.begin()
    return certificate


async def test_the_whole_chain_is_presented(hub: RunningHub, server: Held) -> None:
    """localhost, workload CA, device CA, intermediate, root: what a leaf with the root alone can verify."""
    client = await hub.client()
    tls = client.writer.get_extra_info("ssl_object")
    assert tls.getpeercert(binary_form=True) == server.leaf.public_bytes(Encoding.DER)
    assert tls.version() == "TLSv1.3"


async def until(hub: RunningHub, changes: int) -> None:
    async with asyncio.timeout(10):
        while await hub.counted("certificate_changes_total") < changes:
            await asyncio.sleep(0.01)


async def listening(hub: RunningHub) -> None:
    async with asyncio.timeout(10):
        while not hub.manager.listening:
            await asyncio.sleep(0.005)


async def test_a_new_certificate_is_served_and_nobody_is_dropped(hub: RunningHub, workload_ca: Held) -> None:
    """The manager tells: the next connection sees the new one, the one that stands lives on. Nobody polls."""
    hub.add("leaf1")
    old = await hub.connected("leaf1")
    await listening(hub)
    hub.manager.server = make(HOST, workload_ca)
    await hub.manager.tell()
    await until(hub, 1)
    assert await old.alive()
    tls = (await hub.client()).writer.get_extra_info("ssl_object")
    assert tls.getpeercert(binary_form=True) == hub.manager.server.leaf.public_bytes(Encoding.DER)
    verdict = hub.manager.verdicts[-1]
    assert (verdict.accepted, verdict.connections) == (True, 1)
    assert verdict.sha256 == fingerprint(hub.manager.server.leaf)


async def test_what_was_missed_while_the_stream_was_broken_is_asked_for(hub: RunningHub, workload_ca: Held) -> None:
    """The manager restarts: the hub attaches and listens again, and looks at once."""
    await listening(hub)
    attached = hub.manager.attached
    hub.manager.server = make(HOST, workload_ca)
    await hub.manager.hang_up()
    await until(hub, 1)
    assert hub.manager.attached > attached


async def test_a_manager_without_events_is_asked_now_and_then(
    hub: RunningHub, workload_ca: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The safety net."""
    from datetime import timedelta

    monkeypatch.setattr("leafward.hub.certificate.ASK_EVERY", timedelta(milliseconds=20))
    monkeypatch.setattr("leafward.hub.workload_client.server_sent_events.PATH", "/nothing-here")
    await hub.stop()
    await hub.start()
    hub.manager.server = make(HOST, workload_ca)
    await until(hub, 1)


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
    """A key of another certificate: the old one goes on, and the manager is told why."""
    hub = await make_hub()
    certificate = await serving(hub)
    before = certificate.leaf
    hub.manager.server = Held(make(HOST, workload_ca).certificates, make("x").key)
    assert not await certificate.refresh()
    assert certificate.leaf == before
    verdict = hub.manager.verdicts[-1]
    assert not verdict.accepted
    assert "key" in (verdict.reason or "")


@pytest.mark.parametrize("fault", ["name", "expired", "root"])
async def test_what_leaf_devices_would_refuse_is_not_served(
    make_hub: StartHub, workload_ca: Held, root: Held, fault: str
) -> None:
    """Another name, an end in the past, a chain to a root that is not in the bundle: the hub proves it first."""
    hub = await make_hub()
    certificate = await serving(hub)
    before = certificate.leaf
    stranger = make("Stranger", make("Other Root", ca=True), ca=True, path_length=0)
    faulty = {"name": make("other.example", workload_ca), "expired": make(HOST, workload_ca, days=(-9, -1))}
    hub.manager.server = faulty.get(fault) or make(HOST, stranger)
    assert not await certificate.refresh()
    assert certificate.leaf == before
    assert [verdict.accepted for verdict in hub.manager.verdicts] == [True, False]


async def test_leaf_devices_of_the_device_ca_before_still_reconnect(
    make_hub: StartHub, device_ca: Held, intermediate: Held
) -> None:
    """Another device CA: certificates of the old one are accepted for as long as the hub runs; its modules' are not."""
    hub = await make_hub()
    certificate = await serving(hub)
    other = make("other.ca", intermediate, ca=True)
    hub.manager.server = make(HOST, make("iotedge workload ca", other, ca=True, path_length=0))
    assert await certificate.refresh()
    assert certificate.trust().through == {ca_identity(device_ca.leaf), ca_identity(other.leaf)}


async def test_a_start_with_a_certificate_that_does_not_prove_serves_all_the_same(
    make_hub: StartHub, workload_ca: Held, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no other one: some leaf devices may take it, and the log says what is wrong."""
    hub = await make_hub()
    hub.manager.server = make("other.example", workload_ca)
    certificate = await serving(hub)
    assert certificate.leaf == hub.manager.server.leaf
    assert "does not prove" in caplog.text
    assert "served all the same" in caplog.text
    assert not hub.manager.verdicts[-1].accepted


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
