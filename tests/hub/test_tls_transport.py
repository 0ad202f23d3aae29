"""TLS of our own between socket and protocol: one buffer for all, nothing lost, nobody waits for ever.

client (memory BIOs: the test decides what goes into one segment) <-> TlsTransport <-> a protocol that echoes
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from leafward.hub.sockets import Sockets
from leafward.hub.tls_transport import TlsTransport
from leafward.pki.chain import Chain
from leafward.wire.tls.context import TlsContext
from tests.hub.hub_certificates import Held
from tests.hub.hub_clients import PATIENCE


class Echo(asyncio.Protocol):
    """Sends back what comes; `farewell` makes it close, `lost` is set with why at the end."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        if data.endswith(b"farewell"):
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


class Waits:
    """A newcomer: `done` when its handshake is, with what ended it where it fails."""

    def __init__(self, echo: Echo) -> None:
        self.echo = echo
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def established(self) -> asyncio.Protocol:
        self.done.set_result(None)
        return self.echo

    def failed(self, error: BaseException | None) -> None:
        self.done.set_exception(error or ConnectionResetError("the peer has left"))


class Peer:
    """A TLS client that sends just what it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing)
        self.socket = connection

    async def until(self, step: Any, *arguments: Any) -> Any:
        """The step, with as many bytes from the server as it needs. What it writes is not sent yet."""
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                await self.send()
                await self.take()

    async def take(self) -> None:
        data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, 65_536), PATIENCE)
        self._incoming.write(data) if data else self._incoming.write_eof()

    async def send(self, most: int = -1) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, self._outgoing.read(most))


@pytest.fixture
async def world(server: Held) -> AsyncIterator[Any]:
    """Accepts a connection: (the client, the echo, its handshake as a future, the transport)."""
    key = load_pem_private_key(server.key_pem(), None)
    context = TlsContext.server(Chain(x509.load_pem_x509_certificates(server.pem())), key, client_certificates=False)
    sockets, peers, handshakes = Sockets(), [], []

    def accept(*, shutdown_timeout: float = PATIENCE) -> Any:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        echo = Echo()
        waits = Waits(echo)
        transport = TlsTransport(ours, "", context, sockets, waits, shutdown_timeout=shutdown_timeout)
        transport.start()
        peers.append(theirs)
        handshakes.append((waits.done, echo))
        return Peer(theirs), echo, waits.done, transport

    yield accept
    for one in peers:
        one.close()
    for done, echo in handshakes:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(done, PATIENCE)
            await asyncio.wait_for(echo.lost, PATIENCE)
    assert len(sockets) == 0
    sockets.close()


async def test_data_in_one_segment_with_the_handshakes_end_is_served(world: Any) -> None:
    peer, _echo, task, _ = world()
    await peer.until(peer.tls.do_handshake)
    peer.tls.write(b"hello")  # behind Finished, in the same segment
    await peer.send()
    assert await peer.until(peer.tls.read, 100) == b"hello"
    await asyncio.wait_for(task, PATIENCE)


async def test_records_in_pieces_of_two_connections_do_not_mix(world: Any) -> None:
    """Both read into the one buffer, each half a record at a time."""
    peers = [world()[0], world()[0]]
    for peer in peers:
        await peer.until(peer.tls.do_handshake)
        await peer.send()
    for letter, peer in zip((b"a", b"b"), peers, strict=True):
        peer.tls.write(letter * 10_000)
    for most in (4000, 3000, -1):
        for peer in peers:
            await peer.send(most)
    for letter, peer in zip((b"a", b"b"), peers, strict=True):
        got = b""
        while len(got) < 10_000:
            got += await peer.until(peer.tls.read, 20_000)
        assert got == letter * 10_000


async def test_what_is_written_before_the_close_arrives_and_then_the_goodbye(world: Any) -> None:
    peer, echo, _, _ = world()
    await peer.until(peer.tls.do_handshake)
    peer.tls.write(b"x" * 50_000 + b"farewell")
    await peer.send()
    got = b""
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while piece := await peer.until(peer.tls.read, 20_000):
            got += piece
    # It echoes in pieces, so all of the last piece came before the close.
    assert got.endswith(b"farewell")
    await peer.until(peer.tls.unwrap)
    await peer.send()
    assert await asyncio.wait_for(echo.lost, PATIENCE) is None


async def test_a_peer_that_does_not_answer_the_goodbye_is_cut(world: Any) -> None:
    peer, echo, task, _ = world(shutdown_timeout=0.05)
    await peer.until(peer.tls.do_handshake)
    await peer.send()
    await asyncio.wait_for(task, PATIENCE)
    echo.transport.close()
    echo.transport.write(b"too late")
    await asyncio.wait_for(echo.lost, PATIENCE)


async def test_a_handshake_that_never_ends_is_given_up(world: Any) -> None:
    _peer, echo, task, transport = world()
    transport.give_up(ConnectionAbortedError("it takes too long"))
    with pytest.raises(ConnectionAbortedError, match="too long"):
        await asyncio.wait_for(task, PATIENCE)
    assert echo.transport is None
    assert not echo.lost.done()


async def test_garbage_after_the_handshake_ends_the_connection_with_the_reason(world: Any) -> None:
    peer, echo, _, _ = world()
    await peer.until(peer.tls.do_handshake)
    await peer.send()
    await asyncio.get_running_loop().sock_sendall(peer.socket, b"GET / HTTP/1.1\r\n\r\n")
    assert isinstance(await asyncio.wait_for(echo.lost, PATIENCE), ssl.SSLError)


async def test_an_idle_connection_holds_no_buffer_of_its_handshake(world: Any) -> None:
    """OpenSSL's memory BIOs never shrink: those of the handshake are replaced when it is done."""
    peer, echo, task, _ = world()
    await peer.until(peer.tls.do_handshake)
    await peer.send()
    await asyncio.wait_for(task, PATIENCE)
    engine = echo.transport.get_extra_info("ssl_object")._engine
    assert engine.waiting() == 0
    assert engine._into == engine.connection._into_ssl
    assert engine._from == engine.connection._from_ssl
