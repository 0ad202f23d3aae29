"""What a new pyOpenSSL must still do for the one room that reaches below its surface."""

import ssl
from typing import Any

import pytest

from leafward.wire.tls import lowlevel


@pytest.fixture
def pair(hub: Any, context: Any, kit: Any) -> Any:
    """A standard client and our server, shaken hands, in memory; the server's incoming buffer."""
    return _pair(kit.client_context(hub.root), context, kit.HOST)


def _pair(trusting: ssl.SSLContext, context: Any, name: str) -> Any:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client, server, to_server


def test_pending_counts_what_is_not_decrypted(pair: Any) -> None:
    """Ten records taken in at once: after the first is read, the other nine are pending, and after the last none."""
    client, server, incoming = pair
    for _ in range(10):
        client.write(b"12345")
    assert server.pending() == 0
    assert incoming.pending > 0
    for left in range(10, 0, -1):
        assert server.read(262144) == b"12345"
        assert incoming.pending == 0
        assert bool(server.pending()) is (left > 1)


def test_pending_after_a_handshake_with_data_behind_it(hub: Any, context: Any, kit: Any) -> None:
    """The trap that hangs a connection: uvloop asks `pending` and reads only when there is some."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = kit.client_context(hub.root).wrap_bio(to_client, to_server, server_hostname=kit.HOST)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    client.do_handshake()
    client.write(b"CONNECT")
    server.do_handshake()
    assert to_server.pending == 0
    assert server.pending() > 0
    assert server.read(100) == b"CONNECT"
    assert server.pending() == 0


def test_read_gives_one_record_at_most(pair: Any) -> None:
    client, server, _ = pair
    client.write(b"x" * 16384)
    client.write(b"y" * 10)
    assert server.read(262144) == b"x" * 16384
    assert server.read(4) == b"yyyy"
    assert server.pending() == 6
    buffer = bytearray(100)
    assert server.read(100, memoryview(buffer)[10:]) == 6
    assert buffer[10:16] == b"yyyyyy"
    assert server.read(0) == b""
    with pytest.raises(ssl.SSLWantReadError):
        server.read(1)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_write_takes_any_buffer(pair: Any, kind: Any) -> None:
    client, server, _ = pair
    assert server.write(kind(b"z" * 40000)) == 40000
    assert server.write(kind(b"")) == 0
    received = b""
    while len(received) < 40000:
        received += client.read(65536)
    assert received == b"z" * 40000


def test_buffers_stay_small(pair: Any) -> None:
    """5 MB through both directions leaves no 5 MB behind in OpenSSL's own buffers."""
    client, server, incoming = pair
    server.write(bytes(5_000_000))
    client.write(bytes(5_000_000))
    received = 0
    most = 0
    while received < 5_000_000:
        received += len(server.read(262144))
        most = max(most, server.pending())
    assert incoming.pending == 0
    assert most < 64 * 1024


def test_end_of_the_stream(pair: Any) -> None:
    """Without close_notify it is an error, after what came before it."""
    client, server, incoming = pair
    client.write(b"last")
    incoming.write_eof()
    assert server.read(100) == b"last"
    with pytest.raises(ssl.SSLEOFError):
        server.read(100)


def test_close_notify_both_ways(pair: Any) -> None:
    client, server, _ = pair
    server.write(b"tickets before this")
    client.read(100)
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    assert server.read(100) == b""
    assert server.read(100, bytearray(100)) == 0
    server.unwrap()
    client.unwrap()
    with pytest.raises(ssl.SSLZeroReturnError):
        server.read(100)
    with pytest.raises(ssl.SSLError, match="PROTOCOL_IS_SHUTDOWN"):
        server.write(b"too late")


def test_errors_of_others_are_not_blamed_on_us(pair: Any) -> None:
    """Something else in this thread leaves an error in OpenSSL's queue: reading still says it wants more."""
    client, server, _ = pair
    lowlevel._lib.ERR_put_error(20, 0, 294, b"elsewhere", 1)
    with pytest.raises(ssl.SSLWantReadError):
        server.read(100)
    lowlevel._lib.ERR_put_error(20, 0, 294, b"elsewhere", 1)
    server.write(b"fine")
    assert client.read(4) == b"fine"


def test_renegotiation_is_refused(hub: Any, context: Any, kit: Any) -> None:
    """TLS 1.2: a client that asks for another handshake on the same connection gets none."""
    from OpenSSL import SSL

    asking = SSL.Context(SSL.TLS_CLIENT_METHOD)
    asking.set_max_proto_version(SSL.TLS1_2_VERSION)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = lowlevel.Engine(asking, to_client, to_server, server_side=False)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for step in (client.handshake, server.do_handshake):
            try:
                step()
            except ssl.SSLWantReadError:
                continue
    assert client.connection.renegotiate()
    with pytest.raises(ssl.SSLWantReadError):
        client.handshake()
    with pytest.raises(ssl.SSLWantReadError):
        server.read(1)
    with pytest.raises(ssl.SSLError, match="NO_RENEGOTIATION"):
        client.handshake()


def test_connections_do_not_share_a_buffer(hub: Any, context: Any, kit: Any, monkeypatch: Any) -> None:
    """OpenSSL decrypts without the interpreter's lock: in the middle of one read another thread reads too."""
    first, mine, _ = _pair(kit.client_context(hub.root), context, kit.HOST)
    second, others, _ = _pair(kit.client_context(hub.root), context, kit.HOST)
    first.write(b"mine")
    second.write(b"not yours")
    seen = []

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(lib, name)

        def SSL_read(self, *arguments: Any) -> Any:  # noqa: N802 - OpenSSL's name
            count = lib.SSL_read(*arguments)
            if count > 0 and not seen:
                seen.append(b"")
                seen.append(others.read(100))
            return count

    lib = lowlevel._lib
    monkeypatch.setattr(lowlevel, "_lib", Interrupted())
    assert mine.read(100) == b"mine"
    assert seen[-1] == b"not yours"


def test_connections_are_given_back(hub: Any, context: Any, kit: Any) -> None:
    """No cycle keeps a closed connection: its memory goes with the last reference."""
    import gc
    import weakref

    _, server, _ = _pair(kit.client_context(hub.root), context, kit.HOST)
    alive = weakref.ref(server._engine.connection)
    gc.disable()
    try:
        del server, _
        assert alive() is None
    finally:
        gc.enable()
