"""A hub that runs: who is cut when what was proved does not hold any more, who waits, what is shown to whom.

root -> intermediate -> device CA -> leaf devices
"""

import asyncio
import contextlib
import socket
import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL

from leafward.hub import named_certificates, revocation_watch
from leafward.wire.mqtt.packets import Connack
from leafward.wire.sas import resource_of, sign
from leafward.wire.tls import lowlevel_context
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import HOST, KEY, PATIENCE, login
from tests.hub.test_admission import blocking_connect
from tests.hub.test_revocation import crl

REFUSED = Connack(5)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at each twentieth of a second."""
    monkeypatch.setattr(revocation_watch, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setattr(named_certificates, "INTERVAL_SECONDS", 0.05)


@pytest.fixture
async def listing(make_hub: StartHub, device_ca: Held) -> tuple[RunningHub, Path]:
    """A hub with a list of its device CA, empty as yet."""
    hub = await make_hub('[hub]\ncrls = ["line.crl"]\n')
    path = hub.home.root / "line.crl"
    path.write_bytes(crl(device_ca))
    return await hub.start(), path


async def failure(hub: RunningHub) -> str:
    """The code of the latest refused login."""
    from tests.hub.service_clients import operator

    async with operator(hub) as asking:
        return str((await asking.call("GET", "/hub/failures")).json["failures"][0]["code"])


# ---- revoked, and wiped


async def test_a_revoked_certificate_ends_its_connection(listing: tuple[RunningHub, Path], device_ca: Held) -> None:
    """Its own, within seconds; its neighbour stays; it does not come back, and the list says why."""
    hub, path = listing
    pump, other = make("pump-7", device_ca, client=True), make("pump-8", device_ca, client=True)
    for name in ("pump-7", "pump-8"):
        hub.add(name, auth="x509-ca")
    revoked = await hub.connected("pump-7", key=None, held=pump)
    bystander = await hub.connected("pump-8", key=None, held=other)
    path.write_bytes(crl(device_ca, pump))
    async with asyncio.timeout(5):
        assert await revoked.closed()
    assert await bystander.alive()
    assert await (await hub.client(pump)).connect(login("pump-7", key=None)) == REFUSED
    assert await failure(hub) == "certificate-revoked"
    assert await hub.counted("ended_total", "no-longer-admitted") == 1
    assert await hub.counted("ticket_keys_total") == 1
    assert await hub.counted("revoked_certificates") == 1


async def test_a_wipe_ends_what_it_took_back(hub: RunningHub, device_ca: Held) -> None:
    """The manager publishes trust/retired.pem while the hub runs."""
    pump = make("pump-7", device_ca, client=True)
    hub.add("pump-7", auth="x509-ca")
    wiped = await hub.connected("pump-7", key=None, held=pump)
    hub.home.trust.mkdir(exist_ok=True)
    hub.home.published_retired.write_bytes(crl(device_ca, pump))
    async with asyncio.timeout(5):
        assert await wiped.closed()


async def test_a_pinned_certificate_is_revoked_too(listing: tuple[RunningHub, Path], device_ca: Held) -> None:
    """x509-thumbprint of a certificate that a CA signed: the CA's word counts against the pin."""
    hub, path = listing
    pump = make("pump-7", device_ca, client=True)
    hub.add("pump-7", auth="x509-thumbprint", primary_thumbprint=pump.leaf.fingerprint(SHA256()).hex())
    pinned = await hub.connected("pump-7", key=None, held=pump)
    path.write_bytes(crl(device_ca, pump))
    async with asyncio.timeout(5):
        assert await pinned.closed()
    assert await (await hub.client(pump)).connect(login("pump-7", key=None)) == REFUSED


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tickets_do_not_outlive_a_revocation(
    listing: tuple[RunningHub, Path], device_ca: Held, version: ssl.TLSVersion
) -> None:
    """A self-signed device takes its session up; once anything is revoked it gets a full handshake first."""
    hub, path = listing
    pump = make("pump-7", client=True)
    hub.add("pump-7", auth="x509-thumbprint", primary_thumbprint=pump.leaf.fingerprint(SHA256()).hex())
    context, connect = hub.trusting(pump, version=version), login("pump-7", key=None)
    visit = lambda session=None: asyncio.to_thread(  # noqa: E731
        blocking_connect, hub.at.mqtt_port, context, connect, session
    )
    _, session, _ = await visit()
    reused, session, answer = await visit(session)
    assert (reused, answer) == (True, Connack(0))
    path.write_bytes(crl(device_ca, make("somebody", device_ca, client=True)))
    async with asyncio.timeout(PATIENCE):
        while await hub.counted("ticket_keys_total") < 1:
            await asyncio.sleep(0.02)
    reused, _, answer = await visit(session)
    assert (reused, answer) == (False, Connack(0))


async def test_a_resumed_session_is_judged_anew(hub: RunningHub) -> None:
    """TLS remembers the certificate; whether it may come in is asked at each CONNECT."""
    pump = make("pump-7", client=True)
    hub.add("pump-7", auth="x509-thumbprint", primary_thumbprint=pump.leaf.fingerprint(SHA256()).hex())
    context, connect = hub.trusting(pump), login("pump-7", key=None)
    _, session, answer = await asyncio.to_thread(blocking_connect, hub.at.mqtt_port, context, connect)
    assert answer == Connack(0)
    with hub.registry() as registry:
        registry.set_enabled("pump-7", None, False)
    reused, _, answer = await asyncio.to_thread(blocking_connect, hub.at.mqtt_port, context, connect, session)
    assert (reused, answer) == (True, REFUSED)


async def test_tickets_do_not_outlive_a_certificate_or_the_hub(hub: RunningHub, workload_ca: Held) -> None:
    """Another certificate is served, or the hub starts anew: a full handshake."""
    hub.add("leaf1")
    context = hub.trusting()
    visit = lambda session=None: asyncio.to_thread(  # noqa: E731
        blocking_connect, hub.at.mqtt_port, context, login("leaf1"), session
    )
    _, session, _ = await visit()
    hub.manager.server = make(HOST, workload_ca)
    await hub.manager.tell()
    async with asyncio.timeout(PATIENCE):
        while await hub.counted("certificate_changes_total") < 1:
            await asyncio.sleep(0.02)
    reused, session, _ = await visit(session)
    assert reused is False
    await hub.stop()
    await hub.start()
    reused, _, _ = await visit(session)
    assert reused is False


# ---- through a child gateway


def chained(device: str, *gateways: str, actor: str | None = None, key: bytes = KEY) -> Any:
    """A CONNECT on behalf of `device`, with the token of the last gateway's $edgeHub."""
    actor = actor or gateways[-1]
    token = sign(resource_of("hub.example", actor, "$edgeHub"), key, int(time.time()) + 3600)
    connect = login(device)
    username = f"{connect.username}&auth-chain={';'.join((device, *gateways))}"
    return replace(connect, username=username, password=token.encode())


async def test_a_leaf_behind_a_child_gateway(hub: RunningHub) -> None:
    """leaf1 behind line-3; when it is put elsewhere its connection ends."""
    hub.add("line-3")
    hub.add("line-3", "$edgeHub")
    hub.add("leaf1", auth="x509-ca", parent="line-3")
    behind = await hub.client()
    assert await behind.connect(chained("leaf1", "line-3")) == Connack(0)
    with hub.registry() as registry:
        registry.set_parent("leaf1", None)
    async with asyncio.timeout(5):
        assert await behind.closed()
    assert await (await hub.client()).connect(chained("leaf1", "line-3")) == REFUSED
    assert await failure(hub) == "not-a-child"


# ---- guessing


async def test_a_refusal_comes_late_and_nobody_else_waits(hub: RunningHub) -> None:
    """The first at once, the third after half a second; a right login beside it is not concerned."""
    hub.add("leaf1")
    wrong = login("leaf1", key=b"w" * 32)
    answered = []
    for _ in range(3):
        client, began = await hub.client(), time.monotonic()
        await client.send(wrong)
        if len(answered) == 2:
            # Meanwhile: whatever else it says is not read, and the right device comes in.
            await client.send(login("leaf1"))
            await hub.connected("leaf1")
            assert time.monotonic() - began < 0.4
            assert await hub.counted("refusals_waiting") == 1
        assert await client.receive() == REFUSED
        assert await client.closed()
        answered.append(time.monotonic() - began)
    assert answered[0] < 0.25
    assert answered[1] >= 0.24
    assert answered[2] >= 0.49
    assert await hub.counted("refusals_delayed_total") == 2
    assert await hub.counted("refusals_waiting") == 0


async def test_a_refused_request_comes_late(hub: RunningHub) -> None:
    """HTTPS is no way around it."""
    hub.add("leaf1")
    path = "/devices/leaf1/messages/events?api-version=2020-03-13"
    token = sign(resource_of(HOST, "leaf1"), b"w" * 32, int(time.time()) + 3600)
    began = time.monotonic()
    async with hub.http() as http:
        for _ in range(2):
            async with http.request("POST", path, headers={"Authorization": token}, data=b"{}") as answer:
                assert answer.status == 401
    assert time.monotonic() - began >= 0.24


async def test_a_client_that_does_not_wait_for_its_refusal(hub: RunningHub) -> None:
    """It is counted out when its time comes, and nothing is left of it."""
    for _ in range(3):
        client = await hub.client()
        await client.send(login("nobody"))
        client.writer.close()
    async with asyncio.timeout(PATIENCE):
        while await hub.counted("refused_total", "device-unknown") < 3 or await hub.counted("refusals_waiting"):
            await asyncio.sleep(0.05)


# ---- what is shown


def shown(port: int, name: str | None, *, groups: tuple[str, ...] = ()) -> tuple[list[x509.Certificate], str | None]:
    """The chain that the newer OpenSSL is shown, and the key exchange. Blocking."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if groups:
        assert lowlevel_context.set_groups(context, groups)
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as raw:
        raw.setblocking(True)
        client = SSL.Connection(context, raw)
        if name is not None:
            client.set_tlsext_host_name(name.encode())
        client.set_connect_state()
        client.do_handshake()
        chain = client.get_peer_cert_chain(as_cryptography=True) or []
        return chain, client.get_group_name()


async def test_the_root_is_shown_or_not(make_hub: StartHub, server: Held) -> None:
    """As the article says, unless the operator leaves it out."""
    hub = await (await make_hub()).start()
    chain, _ = await asyncio.to_thread(shown, hub.at.mqtt_port, HOST)
    assert chain == list(server.certificates)
    await hub.stop()
    hub.home.settings.write_text(f'[device]\nhostname = "{HOST}"\n[hub]\npresent_root = false\n')
    await hub.start()
    chain, _ = await asyncio.to_thread(shown, hub.at.mqtt_port, HOST)
    assert chain == list(server.certificates[:-1])
    hub.add("leaf1")
    await hub.connected("leaf1")


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(("X25519MLKEM768", "X25519"), "X25519MLKEM768"), (("X25519", "X25519MLKEM768"), "X25519MLKEM768"),
     (("X25519",), "x25519")],
)  # fmt: skip
async def test_post_quantum_key_exchange(hub: RunningHub, offered: tuple[str, ...], agreed: str) -> None:
    """X25519MLKEM768 where the client offers it, even where it likes another one better; and it is counted."""
    _, group = await asyncio.to_thread(shown, hub.at.mqtt_port, HOST, groups=offered)
    assert group == agreed
    assert await hub.counted("key_exchanges_total", agreed) >= 1


async def test_further_names(make_hub: StartHub, server: Held, caplog: pytest.LogCaptureFixture) -> None:
    """public.example has a certificate of its own, renewed under the running hub; half a renewal changes nothing."""
    first, second = make("public.example"), make("public.example")
    hub = await make_hub('[[hub.certificates]]\nchain = "public.pem"\nkey = "public.key"\n')
    chain_file, key_file = hub.home.root / "public.pem", hub.home.root / "public.key"
    chain_file.write_bytes(first.pem())
    key_file.write_bytes(first.key_pem())
    await hub.start()
    port = hub.at.https_port
    assert (await asyncio.to_thread(shown, port, "public.example"))[0] == list(first.certificates)
    for name in (HOST, "nobody.example", None):
        assert (await asyncio.to_thread(shown, port, name))[0] == list(server.certificates)
    chain_file.write_bytes(second.pem())
    async with asyncio.timeout(PATIENCE):
        while "the certificates of before are served" not in caplog.text:
            await asyncio.sleep(0.02)
    assert (await asyncio.to_thread(shown, port, "public.example"))[0] == list(first.certificates)
    key_file.write_bytes(second.key_pem())
    async with asyncio.timeout(PATIENCE):
        while (await asyncio.to_thread(shown, port, "public.example"))[0] != list(second.certificates):
            await asyncio.sleep(0.02)


async def test_unknown_names_are_refused(make_hub: StartHub) -> None:
    """`unknown_names = "refuse"`: unrecognized_name, on the list; our own name and no name are served."""
    hub = await (await make_hub('[hub]\nunknown_names = "refuse"\n')).start()
    with pytest.raises(SSL.Error, match="unrecognized name"):
        await asyncio.to_thread(shown, hub.at.mqtt_port, "nobody.example")
    await asyncio.to_thread(shown, hub.at.mqtt_port, HOST)
    await asyncio.to_thread(shown, hub.at.mqtt_port, None)
    assert await hub.counted("handshakes_failed_total", "unrecognized_name") == 1


async def test_certificates_that_cannot_be_served(make_hub: StartHub) -> None:
    """The start says which file."""
    from leafward.errors import SettingsError

    hub = await make_hub('[[hub.certificates]]\nchain = "public.pem"\nkey = "public.key"\n')
    for told in (r"public\.pem", "is not the key"):
        with pytest.raises(SettingsError, match=told):
            await hub.start()
        hub._task = None
        (hub.home.root / "public.pem").write_bytes(make("public.example").pem())
        (hub.home.root / "public.key").write_bytes(make("public.example").key_pem())
