"""TLS between a socket and a protocol: what an event loop's two transports do, in a third of the memory and the time.

The loops keep a read buffer, two memory BIOs and a backlog for each connection: 256 KiB in uvloop, of which an idle
connection has touched two pages. Here all connections of a listener read into one buffer, because what has been read is
decrypted before anybody else reads; and what is written goes to the socket at once. Only what it does not take waits.

    socket <-> Sockets (one epoll set, one buffer) <-> TlsTransport <-> protocol
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterable
from typing import Any, Final, Protocol

from leafward.hub.sockets import READABLE, WRITABLE, Sockets
from leafward.wire.tls.connection import TlsConnection
from leafward.wire.tls.context import TlsContext

_HIGH_WATER = 65_536


# What a transport does. Plain numbers: they are looked at with each record.
_HANDSHAKE: Final = 0
_OPEN: Final = 1
_LEAVING: Final = 2  # close_notify is sent; the peer's is awaited
_CLOSING: Final = 3  # nothing more is read; what waits is sent
_CLOSED: Final = 4


class Newcomer(Protocol):
    """Who waits for a handshake: one of the two is called, once."""

    def established(self) -> asyncio.Protocol:
        """The handshake is done: whose the connection is from now on."""

    def failed(self, error: BaseException | None) -> None:
        """The connection has ended before; None where the peer has closed it."""


class _Outlet:
    """Both buffers of a `TlsConnection`: what comes is given to it directly, what it writes goes out."""

    __slots__ = ("write",)

    eof = False

    def __init__(self, write: Any) -> None:
        self.write = write

    def read(self, _size: int) -> bytes:
        """Nothing."""
        return b""


class TlsTransport(asyncio.Transport):
    """The server's end of one connection. `start` begins the handshake; `tls` is its TLS.

    `address` is the peer's, as `accept` gives it. `shutdown_timeout`: seconds for a peer to answer our goodbye and to
    take what waits for it.
    """

    __slots__ = (
        "_address",
        "_app",
        "_backlog",
        "_descriptor",
        "_events",
        "_high",
        "_low",
        "_newcomer",
        "_outlet",
        "_paused",
        "_seconds",
        "_socket",
        "_sockets",
        "_state",
        "_timer",
        "tls",
    )

    def __init__(
        self,
        connection: socket.socket,
        address: Any,
        context: TlsContext,
        sockets: Sockets,
        newcomer: Newcomer,
        *,
        shutdown_timeout: float,
    ) -> None:
        self._socket = connection
        self._descriptor = connection.fileno()
        self._address = address
        self._sockets = sockets
        self._newcomer: Newcomer | None = newcomer
        self._app: Any = None
        self._seconds = shutdown_timeout
        self._state = _HANDSHAKE
        self._events = 0
        self._backlog: bytearray | None = None
        self._paused = False
        self._high, self._low = _HIGH_WATER, _HIGH_WATER // 4
        self._timer: asyncio.TimerHandle | None = None
        self._outlet = _Outlet(self._send)
        buffers: Any = self._outlet
        self.tls: TlsConnection = context.wrap_bio(buffers, buffers, server_side=True)

    def start(self) -> None:
        """Waits for the peer's first word."""
        self._events = READABLE
        self._sockets.add(self._descriptor, self._on_events)

    def give_up(self, error: BaseException) -> None:
        """Ends a handshake that is not done."""
        if self._newcomer is not None:
            self._finish(error)

    # -- the socket's side -------------------------------------------------------------------------------------------

    def _on_events(self, events: int) -> None:
        try:
            if events & WRITABLE or not self._events & READABLE:
                self._send_backlog()
            if events & ~WRITABLE and self._events & READABLE:
                self._read()
        except Exception as error:
            self._fault(error)

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._sockets.room)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        if not size:
            # The peer has closed its half: TLS knows no half-open connection, and that is the end.
            self._close_socket()
            return
        try:
            pieces = self.tls.take_in(self._sockets.ciphertext, size)
        except ssl.SSLError as error:
            # It may come right behind the end of the handshake.
            self._established()
            self._broken(error)
            return
        if self._newcomer is not None and not self._established():
            return
        if pieces and self._state == _OPEN:
            self._app.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if self.tls.ended:
            self._peer_has_left()

    def _established(self) -> bool:
        """Whether the handshake is done; then the protocol has the connection."""
        newcomer = self._newcomer
        if newcomer is None or not self.tls.established:
            return False
        self._state, self._newcomer = _OPEN, None
        self._app = newcomer.established()
        self._app.connection_made(self)
        return True

    def _peer_has_left(self) -> None:
        """Its close_notify has come: ours goes out, then what waits to be sent, and that is all."""
        if self._state == _OPEN:
            self._app.eof_received()
        if self._state == _OPEN:
            self._state = _LEAVING
            with contextlib.suppress(ssl.SSLError):
                self.tls.say_goodbye()
        self._close_socket()

    def _broken(self, error: BaseException) -> None:
        """Not TLS any more, or an alert: nothing that comes later is to be trusted. What we have to say goes out."""
        self._told(error)
        self._close_socket()

    def _fault(self, error: BaseException) -> None:
        """A fault of ours, or of the protocol's, ends this connection and no other."""
        if self._newcomer is None:
            what = {"message": "a fault ends a TLS connection", "exception": error, "transport": self}
            asyncio.get_running_loop().call_exception_handler(what)
        self._finish(error)

    def _told(self, error: BaseException | None) -> None:
        """Tells whose the connection is that it has ended."""
        newcomer, self._newcomer = self._newcomer, None
        app, self._app = self._app, None
        if newcomer is not None:
            newcomer.failed(error)
        elif app is not None:
            app.connection_lost(error)

    def _close_socket(self) -> None:
        """Reads no more; closes as soon as nothing waits to be sent."""
        if self._state == _CLOSED:
            return
        if self._backlog is None:
            self._finish(None)
            return
        self._state = _CLOSING
        self._watch(WRITABLE)
        self._abort_in_time()

    def _finish(self, error: BaseException | None = None) -> None:
        """Closes the socket, now."""
        self._release()
        self._told(error)

    def _release(self) -> None:
        """The socket and what OpenSSL needs to write to it; more than once does no harm."""
        if self._state == _CLOSED:
            return
        self._state = _CLOSED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._sockets.remove(self._descriptor, self._events)
        self._events, self._backlog = 0, None
        self._socket.close()
        # No circle shall wait for the garbage collector.
        self._outlet.write = _drop

    def _abort_in_time(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._finish)

    def _watch(self, events: int) -> None:
        if events != self._events:
            self._sockets.change(self._descriptor, self._events, events)
            self._events = events

    # -- ciphertext on its way out -----------------------------------------------------------------------------------

    def _send(self, data: Any) -> int:
        """Called by OpenSSL's engine: the buffer is its own, so what the socket does not take is copied."""
        size = len(data)
        if self._state == _CLOSED:
            return size
        if self._backlog is not None:
            self._backlog += data
        else:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._cannot_send(error)
                return size
            if sent == size:
                return size
            self._backlog = bytearray(memoryview(data)[sent:])
            self._watch(self._events | WRITABLE)
        if not self._paused and len(self._backlog) > self._high and self._app is not None:
            self._paused = True
            self._app.pause_writing()
        return size

    def _cannot_send(self, error: OSError) -> None:
        """The peer is gone. Who writes just now hears of it later: what has come from it is read first."""
        if not self._events & READABLE and self._state in (_OPEN, _LEAVING):
            asyncio.get_running_loop().call_soon(self._finish, error)

    def _send_backlog(self) -> None:
        if self._backlog is None:
            return
        try:
            sent = self._socket.send(self._backlog)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finish(error)
            return
        del self._backlog[:sent]
        waits = len(self._backlog)
        if not waits:
            self._backlog = None
            if self._state == _CLOSING:
                self._finish()
                return
            self._watch(self._events & ~WRITABLE)
        if self._paused and waits <= self._low:
            self._paused = False
            if self._app is not None:
                self._app.resume_writing()

    # -- the protocol's side: a transport ----------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """Encrypts and sends."""
        if self._state == _OPEN:
            self.tls.write(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Encrypts and sends, in as few records as may be."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Raises `NotImplementedError`: no half of a TLS connection is closed alone here."""
        raise NotImplementedError("TLS here closes both halves at once")

    def can_write_eof(self) -> bool:
        """No."""
        return False

    def close(self) -> None:
        """Sends what waits, says goodbye, and waits a while for the peer's: closed at once, with bytes unread, the
        system would have the peer lose what we have sent last (RFC 1122 4.2.2.13).
        """
        if self._state != _OPEN:
            return
        self._state = _LEAVING
        self._abort_in_time()
        try:
            both = self.tls.say_goodbye()
        except ssl.SSLError:
            both = True
        if both:
            asyncio.get_running_loop().call_soon(self._close_socket)
        else:
            self._watch(self._events | READABLE)

    def abort(self) -> None:
        """Closes now, whatever waits to be sent."""
        if self._state != _CLOSED:
            self._release()
            asyncio.get_running_loop().call_soon(self._told, None)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._state != _OPEN

    def pause_reading(self) -> None:
        """The protocol has had enough."""
        if self._state == _OPEN:
            self._watch(self._events & ~READABLE)

    def resume_reading(self) -> None:
        """The protocol takes more."""
        if self._state == _OPEN:
            self._watch(self._events | READABLE)

    def is_reading(self) -> bool:
        """Whether the protocol takes more."""
        return bool(self._events & READABLE)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """ "ssl_object", "sslcontext", "peername", "sockname" and "socket"."""
        if name == "ssl_object":
            return self.tls
        if name == "peername":
            return self._address
        if name == "sslcontext":
            return self.tls.context
        if name == "socket":
            return self._socket
        if name == "sockname" and self._state != _CLOSED:
            return self._socket.getsockname()
        return default

    def get_protocol(self) -> Any:
        """Whom the connection belongs to."""
        return self._app

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Gives the connection to another."""
        self._app = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Bytes of ciphertext that wait, at which writing is paused and goes on."""
        self._high = (_HIGH_WATER if low is None else low * 4) if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Bytes of ciphertext that wait."""
        return 0 if self._backlog is None else len(self._backlog)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """(low, high), of ciphertext."""
        return self._low, self._high


def _drop(data: Any) -> int:
    """What OpenSSL says when nobody can hear it any more."""
    return len(data)
