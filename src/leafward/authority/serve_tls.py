"""The authority's connections over TLS: no transport between the socket's and the protocol.

    socket -> ciphertext -> OpenSSL -> HttpConnection.take        HttpConnection.send -> OpenSSL -> socket

An event loop's own TLS keeps a backlog, two buffers and two more objects for each connection, and passes each request
through all of them.
"""

import asyncio
import ssl
from typing import Any

from leafward.authority.connection_guard import ConnectionGuard
from leafward.authority.serve_connection import HttpConnection
from leafward.authority.serve_http import Handler, Writer
from leafward.wire.tls.connection import TlsConnection
from leafward.wire.tls.context import TlsContext

_RECORD = 16 * 1024


class _Ciphertext:
    """The two buffers of a `TlsConnection`, as one: what has come for it, and the way out for what it writes."""

    __slots__ = ("come", "out")

    # The end of the stream shows in `connection_lost`; a TLS peer has said close_notify before.
    eof = False

    def __init__(self) -> None:
        self.come = b""
        self.out: Any = None

    def read(self, size: int) -> bytes:
        """Up to `size` bytes of what has come."""
        come = self.come
        if len(come) <= size:
            self.come = b""
            return come
        self.come = come[size:]
        return come[:size]

    def write(self, data: Any) -> int:
        """To the socket. The buffer is the writer's, so it is copied."""
        self.out.write(bytes(data))
        return len(data)


class TlsHttpConnection(HttpConnection):
    """Over TLS."""

    __slots__ = ("_ciphertext", "_is_established", "_tls")

    def __init__(self, handler: Handler, guard: ConnectionGuard, writer: Writer, limit: int, tls: TlsContext) -> None:
        super().__init__(handler, guard, writer, limit)
        self._ciphertext = _Ciphertext()
        buffers: Any = self._ciphertext
        self._tls: TlsConnection = tls.wrap_bio(buffers, buffers, server_side=True)
        self._is_established = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake has a time of its own."""
        self._ciphertext.out = transport
        super().connection_made(transport)
        self.wait(self.guard.limits.handshake)

    def data_received(self, data: bytes) -> None:
        """Decrypts what has come."""
        ciphertext, tls = self._ciphertext, self._tls
        ciphertext.come = ciphertext.come + data if ciphertext.come else data
        if self.transport is None or not (self._is_established or self._shake_hands()):
            return
        try:
            while True:
                piece = tls.read(_RECORD)
                if not piece:
                    self._peer_has_left()
                    return
                self.take(piece)
                if not ciphertext.come and not tls.pending():
                    return
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._peer_has_left()
        except ssl.SSLError:
            # Not TLS any more, or an alert: nothing that comes later is to be trusted.
            self.abort()

    def eof_received(self) -> bool:
        """No half of a TLS connection is closed alone."""
        return False

    def _shake_hands(self) -> bool:
        """Takes the handshake on; whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            self.is_leaving = True
            if self.transport is not None:
                self.transport.close()  # what OpenSSL had to say about it goes out first
            return False
        self._is_established = True
        self.wait(self.guard.limits.request)
        return True

    def _peer_has_left(self) -> None:
        """Its close_notify has come: ours goes out behind what is being answered, and that is all."""
        self.is_last = True
        if self.busy or self.transport is None:
            return
        if not self.is_leaving:
            self.is_leaving = True
            self.say_goodbye()
        self.transport.close()

    def secured(self) -> TlsConnection | None:
        """This one."""
        return self._tls

    def send(self, data: bytes) -> None:
        """Encrypts and sends."""
        if self.transport is not None:
            self._tls.write(data)

    def say_goodbye(self) -> None:
        """close_notify."""
        if self._is_established and self.transport is not None:
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                return  # it waits for the client's, or the connection is broken: both show by themselves
