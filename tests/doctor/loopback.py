"""Servers on loopback for the doctor to look at: TLS as asked for, and such as nobody would wish to meet."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

from leafward.wire.tls import lowlevel_context
from tests.doctor.stack_cases import Shown

Handler = Callable[[socket.socket], None]
ADDRESS = "127.0.0.1"


@contextmanager
def serving(handler: Handler) -> Iterator[int]:
    """The port of a server that gives each connection to `handler`, in a thread of its own."""
    listener = socket.create_server((ADDRESS, 0))

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError, SSL.Error):
            connection.settimeout(5)
            handler(connection)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def tls(shown: Shown, alter: Callable[[SSL.Context], object] = lambda _: None, answer: bytes = b"") -> Handler:
    """A TLS server with a chain; `alter` changes its context; `answer` is said after the first bytes that come."""

    def handle(connection: socket.socket) -> None:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")
        context.use_certificate(shown.chain[0])
        for certificate in shown.chain[1:]:
            context.add_extra_chain_cert(certificate)
        key = shown.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        lowlevel_context.use_key(context, key)
        alter(context)
        connection.settimeout(None)
        server = SSL.Connection(context, connection)
        server.set_accept_state()
        server.do_handshake()
        server.recv(4096)
        if answer:
            server.sendall(answer)
        server.shutdown()

    return handle


def insisting(context: SSL.Context) -> None:
    """A client certificate or nothing."""
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)


def record(kind: int, body: bytes) -> bytes:
    """A TLS record in the clear."""
    return bytes([kind, 3, 3]) + len(body).to_bytes(2, "big") + body


def message(kind: int, body: bytes) -> bytes:
    """A handshake message."""
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


SERVER_HELLO = message(2, b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2b" + b"\x00" + b"\x00\x00")


def certificates(*ders: bytes) -> bytes:
    """A Certificate message of TLS 1.2."""
    body = b"".join(len(one).to_bytes(3, "big") + one for one in ders)
    return message(11, len(body).to_bytes(3, "big") + body)
