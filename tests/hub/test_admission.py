"""Who is let in: tokens, certificates of a CA, certificates by thumbprint; over TLS 1.2 and 1.3."""

import asyncio
import hashlib
import socket
import ssl

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Connect, Disconnect, Packet
from leafward.wire.sas import resource_of
from tests.hub.conftest import RunningHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import EDGE, HOST, KEY, PATIENCE, login


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_token_of_the_primary_key(hub: RunningHub, version: ssl.TLSVersion) -> None:
    """The Python SDK speaks nothing newer than TLS 1.2."""
    hub.add("leaf1")
    leaf = await hub.client(version=version)
    assert (await leaf.connect(login("leaf1"))).return_code == 0


async def test_a_token_of_the_secondary_key(hub: RunningHub) -> None:
    """A key is rolled by using the other one meanwhile."""
    hub.add("leaf1", secondary_key=b"s" * 32)
    await hub.connected("leaf1", key=b"s" * 32)


async def test_the_hub_s_own_name_in_the_token(hub: RunningHub) -> None:
    """The Node SDK drops GatewayHostName in places: then the gateway stands where the IoT hub does elsewhere."""
    hub.add("leaf1")
    await hub.connected("leaf1", host=HOST.upper())


async def test_a_module(hub: RunningHub) -> None:
    """The edge's own device need not be registered."""
    hub.add(EDGE, "filter")
    await hub.connected(EDGE, "filter")


async def test_a_module_with_its_device_s_key(hub: RunningHub) -> None:
    """As edgeHub allows; the token is the module's all the same."""
    hub.add("leaf1", primary_key=b"d" * 32)
    hub.add("leaf1", "part")
    await hub.connected("leaf1", "part", key=b"d" * 32)


async def test_a_certificate_of_the_device_ca(hub: RunningHub, device_ca: Held) -> None:
    """root -> intermediate -> device CA -> leaf2, all presented."""
    hub.add("leaf2", auth="x509-ca")
    await hub.connected("leaf2", key=None, held=make("leaf2", device_ca, client=True))


@pytest.mark.parametrize("name", ["sha256", "sha1"])
async def test_a_self_signed_certificate_by_its_thumbprint(hub: RunningHub, name: str) -> None:
    """leaf3, signed by itself: the thumbprint alone decides, in whatever case it was registered."""
    held = make("leaf3", client=True)
    thumbprint = hashlib.new(name, held.leaf.public_bytes(Encoding.DER)).hexdigest().upper()
    hub.add("leaf3", auth="x509-thumbprint", primary_thumbprint="0" * 40, secondary_thumbprint=thumbprint)
    await hub.connected("leaf3", key=None, held=held)


async def test_a_token_decides_over_a_certificate(hub: RunningHub) -> None:
    """With a password the client certificate is not looked at."""
    hub.add("leaf1")
    await hub.connected("leaf1", held=make("anything", client=True))


async def test_a_device_registered_now_connects_now(hub: RunningHub) -> None:
    """No cache stands between a registration and the first connection."""
    stranger = await hub.client()
    assert (await stranger.connect(login("leaf9"))).return_code == 5
    hub.add("leaf9", primary_key=KEY)
    await hub.connected("leaf9")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_is_still_who_it_was(hub: RunningHub, device_ca: Held, version: ssl.TLSVersion) -> None:
    """A ticket remembers the leaf and not the rest of the chain: such a client must get a full handshake again."""
    hub.add("leaf2", auth="x509-ca")
    context = hub.trusting(make("leaf2", device_ca, client=True), version=version)
    port, connect = hub.at.mqtt_port, login("leaf2", key=None)
    reused, session, answer = await asyncio.to_thread(blocking_connect, port, context, connect)
    assert (reused, answer) == (False, Connack(0))
    reused, session, answer = await asyncio.to_thread(blocking_connect, port, context, connect, session)
    assert (reused, answer) == (False, Connack(0))


def blocking_connect(
    port: int, context: ssl.SSLContext, connect: Connect, session: ssl.SSLSession | None = None
) -> tuple[bool | None, ssl.SSLSession | None, Packet]:
    """asyncio has no way to resume a session."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as raw,
        context.wrap_socket(raw, server_hostname=HOST, session=session) as tls,
    ):
        tls.sendall(encode(connect))
        (answer,) = Decoder().feed(tls.recv(1024))
        tls.sendall(encode(Disconnect()))
        return tls.session_reused, tls.session, answer


async def test_the_audience_is_compared_without_case(hub: RunningHub) -> None:
    """As edgeHub does."""
    hub.add("leaf1")
    await hub.connected("leaf1", audience=resource_of("HUB.example", "LEAF1"))
