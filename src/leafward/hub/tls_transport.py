"""TLS between a socket's transport and a protocol: what an event loop's own does, in a third of the memory.

The loops keep a read buffer, two memory BIOs and a backlog for each connection: 256 KiB in uvloop, of which an idle
connection has touched two pages. Here all connections of a listener read into one buffer, because what has been read is
decrypted before anybody else reads; and what is written goes to the socket's transport, whose backlog and limits are
the only ones.

    socket <-> the loop's transport <-> TlsTransport (a protocol to that, a transport to this) <-> protocol
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from leafward.wire.tls.connection import TlsConnection
from leafward.wire.tls.context import TlsContext

# Read at once, of all connections of a listener: four large records.
READ_ROOM = 65_536
_RECORD = 16_384


class _State(Enum):
    HANDSHAKE = "handshake"
    OPEN = "open"
    LEAVING = "leaving"  # close_notify is sent; the peer's is awaited
    CLOSED = "closed"


async def accept_tls(
    connection: socket.socket,
    new_protocol: Callable[[], asyncio.Protocol],
    context: TlsContext,
    room: bytearray,
    *,
    handshake_timeout: float,
    shutdown_timeout: float,
) -> None:
    """Takes an accepted socket through its handshake; then it is its protocol's.

    `room` is the buffer to read into, which connections of one loop may share. Times are in seconds. Raises what ended
    the handshake: `ssl.SSLError`, `ConnectionError`, and `ConnectionAbortedError` where it took too long.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    transport = TlsTransport(new_protocol, context, room, done, shutdown_timeout=shutdown_timeout)
    timer: asyncio.TimerHandle | None = None
    try:
        await loop.connect_accepted_socket(lambda: transport, connection)
        timer = loop.call_later(handshake_timeout, transport.give_up)
        await done
    except BaseException:
        transport.abort()
        raise
    finally:
        if timer is not None:
            timer.cancel()


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


class TlsTransport(asyncio.BufferedProtocol, asyncio.Transport):
    """Made by `accept_tls`."""

    __slots__ = ("_app", "_ciphertext", "_done", "_new_app", "_raw", "_room", "_seconds", "_state", "_timer", "_tls")

    def __init__(
        self,
        new_protocol: Callable[[], asyncio.Protocol],
        context: TlsContext,
        room: bytearray,
        done: asyncio.Future[None],
        *,
        shutdown_timeout: float,
    ) -> None:
        self._new_app: Callable[[], asyncio.Protocol] | None = new_protocol
        self._app: Any = None
        self._room = room
        self._done: asyncio.Future[None] | None = done
        self._seconds = shutdown_timeout
        self._state = _State.HANDSHAKE
        self._timer: asyncio.TimerHandle | None = None
        self._raw: Any = None
        self._ciphertext = _Ciphertext()
        buffers: Any = self._ciphertext
        self._tls: TlsConnection = context.wrap_bio(buffers, buffers, server_side=True)

    # -- the socket's side: a protocol -------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The socket has its transport."""
        self._raw = self._ciphertext.out = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the next bytes go."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Ciphertext has come."""
        if self._state is _State.CLOSED:
            return
        self._ciphertext.come += memoryview(self._room)[:nbytes].tobytes()
        if self._state is not _State.HANDSHAKE or self._shake_hands():
            self._take_in()

    def eof_received(self) -> None:
        """The peer has closed its half: the socket is closed, and that is the end."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """The socket is closed."""
        self._state = _State.CLOSED
        if self._timer is not None:
            self._timer.cancel()
        self._handshake_over(exc or ConnectionResetError("the peer has left in the handshake"))
        app, self._app = self._app, None
        if app is not None:
            app.connection_lost(exc)

    def pause_writing(self) -> None:
        """The peer reads slower than we write."""
        if self._app is not None:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        """The peer has read."""
        if self._app is not None:
            self._app.resume_writing()

    # -- TLS ---------------------------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """The handshake has taken too long."""
        self._handshake_over(ConnectionAbortedError("the TLS handshake takes too long"))

    def _shake_hands(self) -> bool:
        """Takes the handshake on; whether it is done, and the protocol has the connection."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except Exception as error:
            self._state = _State.CLOSED
            # What OpenSSL had to say about it goes out first.
            self._raw.close()
            self._handshake_over(error)
            return False
        assert self._new_app is not None
        self._state, self._app, self._new_app = _State.OPEN, self._new_app(), None
        self._handshake_over(None)
        self._app.connection_made(self)
        return True

    def _handshake_over(self, error: BaseException | None) -> None:
        done, self._done = self._done, None
        if done is None or done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def _take_in(self) -> None:
        """Decrypts what has come, and hands it on in one piece."""
        tls, pieces, ended = self._tls, [], False
        try:
            while True:
                piece = tls.read(_RECORD)
                if not piece:
                    ended = True
                    break
                pieces.append(piece)
                if not self._ciphertext.come and not tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            ended = True
        except ssl.SSLError as error:
            self._broken(error)
            return
        if pieces and self._state is _State.OPEN:
            self._app.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended:
            self._peer_has_left()

    def _peer_has_left(self) -> None:
        """Its close_notify has come: ours goes out, then what waits to be sent, and that is all."""
        if self._state is _State.OPEN:
            self._app.eof_received()
            self.close()
        self._raw.close()

    def _broken(self, error: ssl.SSLError) -> None:
        """Not TLS any more, or an alert: nothing that comes later is to be trusted."""
        app, self._app = self._app, None
        self._state = _State.CLOSED
        self._raw.close()
        self._abort_in_time()
        if app is not None:
            app.connection_lost(error)

    def _abort_in_time(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._raw.abort)

    # -- the protocol's side: a transport ----------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """Encrypts and sends."""
        if self._state is _State.OPEN:
            self._tls.write(data)

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
        if self._state is not _State.OPEN:
            return
        self._state = _State.LEAVING
        try:
            self._tls.unwrap()
        except ssl.SSLWantReadError:
            if not self._raw.is_closing():
                self._raw.resume_reading()
        except ssl.SSLError:
            self._raw.close()
        else:
            self._raw.close()
        self._abort_in_time()

    def abort(self) -> None:
        """Closes now, whatever waits to be sent."""
        self._state = _State.CLOSED
        if self._raw is not None:
            self._raw.abort()

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._state is not _State.OPEN

    def pause_reading(self) -> None:
        """The protocol has had enough."""
        if self._state is _State.OPEN and not self._raw.is_closing():
            self._raw.pause_reading()

    def resume_reading(self) -> None:
        """The protocol takes more."""
        if self._state is _State.OPEN and not self._raw.is_closing():
            self._raw.resume_reading()

    def is_reading(self) -> bool:
        """Whether the protocol takes more."""
        return bool(self._raw.is_reading())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """ "ssl_object" and "sslcontext"; everything else is the socket's."""
        if name == "ssl_object":
            return self._tls
        if name == "sslcontext":
            return self._tls.context
        return self._raw.get_extra_info(name, default)

    def get_protocol(self) -> Any:
        """Whom the connection belongs to."""
        return self._app

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Gives the connection to another."""
        self._app = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Bytes of ciphertext that wait, at which writing is paused and goes on."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Bytes of ciphertext that wait."""
        return int(self._raw.get_write_buffer_size())

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """(low, high), of ciphertext."""
        low, high = self._raw.get_write_buffer_limits()
        return low, high
