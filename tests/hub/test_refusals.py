"""Clients that must fail. The peer hears "no" and nothing else; the reason is counted on our side."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from tests.hub.conftest import RunningHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import EDGE, HOST, PATIENCE, Client, login

NOT_AUTHORISED = 5
PAST = 1_600_000_000


@pytest.mark.parametrize(
    ("arguments", "options", "code"),
    [
        (["leaf1"], {"key": b"x" * 32}, "sas-signature-wrong"),
        (["leaf1"], {"expiry": PAST}, "sas-expired"),
        (["nobody"], {}, "device-unknown"),
        (["LEAF1"], {}, "device-unknown"),
        (["off"], {}, "device-disabled"),
        (["leaf1"], {"client_id": "leaf2"}, "login-malformed"),
        (["leaf1"], {"client_id": ""}, "login-malformed"),
        (["leaf1"], {"key": None}, "credential-missing"),
        (["leaf1"], {"host": "other.example"}, "sas-audience-wrong"),
        (["leaf1"], {"audience": "hub.example/devices/leaf2"}, "sas-audience-wrong"),
        ([EDGE, "filter"], {"audience": f"hub.example/devices/{EDGE}"}, "sas-audience-wrong"),
        ([EDGE, "unknown"], {}, "device-unknown"),
        (["by-ca"], {}, "credential-of-other-type"),
        (["off", "part"], {}, "device-disabled"),
    ],
)
async def test_a_token_that_is_not_good_enough(
    hub: RunningHub, arguments: list[str], options: dict[str, Any], code: str
) -> None:
    """CONNACK 5, the connection closed, the reason counted."""
    hub.add("leaf1")
    hub.add("off", enabled=False)
    hub.add("off", "part")
    hub.add("by-ca", auth="x509-ca")
    hub.add(EDGE, "filter")
    await refused(hub, await hub.client(), login(*arguments, **options), code)


CERTIFICATES: dict[str, tuple[Callable[[Held], Held], str]] = {
    "common name of another device": (lambda ca: make("leaf1", ca, client=True), "common-name-not-device-id"),
    "common name in another case": (lambda ca: make("BY-CA", ca, client=True), "common-name-not-device-id"),
    "another root": (lambda _: make("by-ca", make("R", ca=True), client=True), "root-not-trusted"),
    "self-signed": (lambda _: make("by-ca", client=True), "root-not-trusted"),
    "expired": (lambda ca: make("by-ca", ca, client=True, days=(-9, -1)), "certificate-expired"),
    "not yet valid": (lambda ca: make("by-ca", ca, client=True, days=(1, 9)), "certificate-not-yet-valid"),
    "a CA itself": (lambda ca: make("by-ca", ca, ca=True), "leaf-is-a-ca"),
    "a server's": (lambda ca: make("by-ca", ca), "eku-missing-client-auth"),
    "without the intermediates": (
        lambda ca: Held(make("by-ca", ca, client=True).certificates[:1], None),
        "client-chain-incomplete",
    ),
}


@pytest.mark.parametrize("name", CERTIFICATES)
async def test_a_certificate_that_is_not_good_enough(hub: RunningHub, device_ca: Held, name: str) -> None:
    """root -> intermediate -> device CA -> leaf with one fault."""
    make_certificate, code = CERTIFICATES[name]
    hub.add("by-ca", auth="x509-ca")
    held = make_certificate(device_ca)
    if held.key is None:
        whole = make("by-ca", device_ca, client=True)
        held = Held(whole.certificates[:1], whole.key)
    await refused(hub, await hub.client(held), login("by-ca", key=None), code)


async def test_a_certificate_made_for_a_module(hub: RunningHub, workload_ca: Held) -> None:
    """A module names itself: its certificate, though below the same root, must not open a device's door."""
    hub.add("by-ca", auth="x509-ca")
    held = make("by-ca", workload_ca, client=True)
    await refused(hub, await hub.client(held), login("by-ca", key=None), "issued-for-a-module")


async def test_another_thumbprint(hub: RunningHub) -> None:
    """A self-signed certificate of the right name and another key."""
    hub.add("by-print", auth="x509-thumbprint", primary_thumbprint="ab" * 32)
    held = make("by-print", client=True)
    await refused(hub, await hub.client(held), login("by-print", key=None), "thumbprint-mismatch")


async def test_a_module_with_a_certificate(hub: RunningHub, device_ca: Held) -> None:
    """Modules sign in with their key."""
    hub.add(EDGE, "filter")
    held = make("filter", device_ca, client=True)
    await refused(hub, await hub.client(held), login(EDGE, "filter", key=None), "module-with-certificate")


async def test_a_certificate_for_a_device_with_a_key(hub: RunningHub, device_ca: Held) -> None:
    """The registry says which kind of credential counts."""
    hub.add("leaf1")
    held = make("leaf1", device_ca, client=True)
    await refused(hub, await hub.client(held), login("leaf1", key=None), "credential-of-other-type")


async def test_another_version_of_mqtt(hub: RunningHub) -> None:
    """MQTT 6 hears that its version is not spoken (3.1.2-2)."""
    client = await hub.client()
    await client.send_bytes(bytes.fromhex("100f00044d5154540602003c0000016161")[:17])
    answer = await client.receive()
    assert getattr(answer, "return_code", None) == 1
    assert await client.closed()


@pytest.mark.parametrize("trusted", ["another root", "the device CA only", "an intermediate only"])
async def test_a_client_that_does_not_trust_us(hub: RunningHub, device_ca: Held, trusted: str) -> None:
    """The client ends the handshake and says why; who is connected notices nothing."""
    hub.add("leaf1")
    bystander = await hub.connected("leaf1")
    anchor = {
        "another root": make("Other Root", ca=True).leaf,
        "the device CA only": device_ca.certificates[0],
        "an intermediate only": device_ca.certificates[1],
    }[trusted]
    context = ssl.create_default_context(cadata=Held((anchor,), None).pem().decode())
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(handshake, hub.at.mqtt_port, context, HOST)
    assert await hub.counted("handshakes_failed_total", "unknown_ca") == 1
    assert await bystander.alive()


async def test_a_client_that_uses_another_name(hub: RunningHub) -> None:
    """localhost is in the certificate, gateway.local is not."""
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(handshake, hub.at.mqtt_port, hub.trusting(), "gateway.local")
    assert await hub.counted("handshakes_failed_total", "bad_certificate") == 1


def handshake(port: int, context: ssl.SSLContext, name: str) -> None:
    """By a blocking socket: asyncio's client fails without saying why to the server."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw,
        context.wrap_socket(raw, server_hostname=name),
    ):
        pass


async def refused(hub: RunningHub, client: Client, connect: Any, code: str) -> None:
    """One negative answer and the end; the reason in the counters."""
    answer = await client.connect(connect)
    assert answer.return_code == NOT_AUTHORISED
    assert await client.closed()
    assert await hub.counted("refused_total", code) == 1
