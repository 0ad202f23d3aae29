"""A connection under asyncio and uvloop: every way in which bytes, and their end, can arrive."""

import socket
import ssl
import struct
from typing import Any

import pytest

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
BIG = bytes(range(256)) * (5 * 1024 * 4)  # 5 MB


@pytest.fixture(params=VERSIONS, ids=["tls12", "tls13"])
def connect(request: pytest.FixtureRequest, kit: Any, hub: Any) -> Any:
    """connect(served, **options of Client) -> Client, before its handshake."""
    trusting = kit.client_context(hub.root, version=request.param)
    return lambda served, **options: kit.Client(served.port, trusting, **options)


def test_first_message_in_the_segment_of_the_last_handshake_record(serve: Any, context: Any, connect: Any) -> None:
    """Finished and CONNECT arrive together, and nothing after them: the message is delivered and answered."""
    served = serve(context)
    with connect(served) as client:
        client.handshake(hold=True).send(b"CONNECT")
        assert served.next().wait_bytes(7) == b"CONNECT"
        assert client.read(7) == b"CONNECT"


def test_a_thousand_small_records_in_one_segment(serve: Any, context: Any, connect: Any) -> None:
    served = serve(context)
    with connect(served) as client:
        client.handshake()
        for number in range(1000):
            client.tls.write(b"%06d" % number)
        client.flush()
        expected = b"".join(b"%06d" % number for number in range(1000))
        assert served.next().wait_bytes(6000) == expected
        assert client.read(6000) == expected


def test_a_record_in_single_bytes(serve: Any, context: Any, connect: Any) -> None:
    served = serve(context)
    with connect(served) as client:
        client.handshake().tls.write(b"slow writer")
        for byte in client.outgoing.read():
            client.socket.sendall(bytes([byte]))
        assert client.read(11) == b"slow writer"


def test_five_megabytes_there_and_back(serve: Any, context: Any, connect: Any) -> None:
    """Records of the largest size, more than any buffer holds."""
    served = serve(context)
    with connect(served) as client:
        client.handshake().send(BIG)
        assert client.read(len(BIG)) == BIG


def test_close_notify_of_the_client_ends_its_half(kit: Any, serve: Any, context: Any, connect: Any) -> None:
    """client: data, close_notify -> server: data, eof, one more message, close_notify -> client: reads both."""

    class Polite(kit.Recorder):
        echo = False
        farewell = b"good bye"

    served = serve(context, Polite)
    with connect(served) as client:
        client.handshake().send(b"last words")
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.unwrap()
        client.flush()
        protocol = served.next()
        assert protocol.wait_bytes(10) == b"last words"
        protocol.wait("eof")
        assert client.read(100) == b"good bye"  # and then close_notify, or this would be an SSLEOFError
        assert protocol.wait("lost") is None


def test_close_notify_of_the_server(serve: Any, context: Any, connect: Any) -> None:
    served = serve(context)
    with connect(served) as client:
        client.handshake()
        protocol = served.next()
        protocol.wait("made")
        served.call(protocol.transport.close)
        assert client.read(1) == b""
        client.until_done(client.tls.unwrap)
        client.flush()
        assert protocol.wait("lost") is None


def test_end_of_the_stream_without_close_notify(serve: Any, context: Any, connect: Any) -> None:
    """TCP half-close in the middle of a record: the connection ends, and its server serves the next one."""
    served = serve(context)
    with connect(served) as client:
        client.handshake().tls.write(b"cut off")
        client.socket.sendall(client.outgoing.read()[:-3])
        client.socket.shutdown(socket.SHUT_WR)
        served.next().wait("lost")
    with connect(served) as client:
        client.handshake().send(b"next")
        assert client.read(4) == b"next"


def test_reset(serve: Any, context: Any, connect: Any) -> None:
    served = serve(context)
    with connect(served) as client:
        client.handshake()
        protocol = served.next()
        protocol.wait("made")
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert isinstance(protocol.wait("lost"), ConnectionResetError | None)


def test_damaged_record(serve: Any, context: Any, connect: Any) -> None:
    """A flipped bit: nothing of that record is delivered, and the connection ends."""
    served = serve(context)
    with connect(served) as client:
        client.handshake().tls.write(b"secret")
        record = bytearray(client.outgoing.read())
        record[-1] ^= 1
        client.socket.sendall(record)
        protocol = served.next()
        error = protocol.wait("lost")
        assert protocol.events.empty()
        assert isinstance(error, ssl.SSLError)
        assert error.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"


def test_paused_reading(serve: Any, context: Any, connect: Any) -> None:
    """Data that arrives while the application does not read is delivered when it does, in order."""
    served = serve(context)
    with connect(served) as client:
        client.handshake().send(b"begin")
        protocol = served.next()
        assert protocol.wait_bytes(5) == b"begin"
        served.call(protocol.transport.pause_reading)
        client.send(b"first ")
        client.send(b"second")
        served.call(protocol.transport.resume_reading)
        assert protocol.wait_bytes(12) == b"first second"


def test_buffered_protocol(kit: Any, serve: Any, context: Any, connect: Any) -> None:
    """The event loop reads straight into the application's buffer."""
    served = serve(context, _buffered(kit.Recorder))
    with connect(served) as client:
        client.handshake(hold=True).send(BIG[:100_000])
        assert served.next().wait_bytes(100_000) == BIG[:100_000]
        assert client.read(100_000) == BIG[:100_000]


def _buffered(recorder: Any) -> Any:
    import asyncio

    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.inner = recorder()
            self.buffer = bytearray(50_000)
            self.connection_made = self.inner.connection_made
            self.connection_lost = self.inner.connection_lost
            self.wait_bytes = self.inner.wait_bytes

        def get_buffer(self, _: int) -> memoryview:
            return memoryview(self.buffer)

        def buffer_updated(self, count: int) -> None:
            self.inner.data_received(bytes(self.buffer[:count]))

        @property
        def transport(self) -> Any:
            return self.inner.transport

        @property
        def gone(self) -> Any:
            return self.inner.gone

    return Buffered
