"""The hub's listening sockets: bound in the order asked for, reported as they really are.

We accept by ourselves: an event loop's own server knows nothing of a connection before its TLS handshake is done, and
until then nobody would count it.

    accept -> Gate: too many? reset -> TLS handshake, with a deadline -> the protocol -> closed: out of the Gate
                                       `-> it fails: `HandshakeWatch` notes who it was and why
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import struct
from collections.abc import Sequence

from leafward.errors import Busy, LeafwardError, StoreError
from leafward.hub.arrivals import Arrival, Arrivals, NewProtocol
from leafward.hub.failures_handshakes import HandshakeWatch
from leafward.hub.gate import Gate
from leafward.hub.log_budget import LogBudget
from leafward.hub.settings import Limits
from leafward.hub.sockets import Sockets
from leafward.hub.tls_transport import TlsTransport
from leafward.wire.tls.context import TlsContext

logger = logging.getLogger(__name__)

# Connections that wait for accept: a thousand devices that come back after a power cut.
BACKLOG = 1024
# Accepted in one go, before others have their turn.
AT_ONCE = 64
# The process or the system is out of descriptors or memory: accepting again at once would fail at once.
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
REST_SECONDS = 1.0
_RESET = struct.pack("ii", 1, 0)


class Listener:
    """One bound socket, accepting until `close`. Made by `listen`."""

    def __init__(
        self,
        listening: socket.socket,
        protocol: NewProtocol,
        *,
        tls: TlsContext,
        limits: Limits,
        gate: Gate,
        watch: HandshakeWatch,
    ) -> None:
        self._listening = listening
        self._tls = tls
        self._limits = limits
        self._gate = gate
        self._watch = watch
        self._loop = asyncio.get_running_loop()
        self._arrivals = Arrivals(protocol, limits.handshake_timeout)
        self._resting: asyncio.TimerHandle | None = None
        self._budget = LogBudget(1, 60.0)
        self._sockets = Sockets()
        self._loop.add_reader(listening, self._accept)

    @property
    def port(self) -> int:
        """The port it really has."""
        port: int = self._listening.getsockname()[1]
        return port

    async def close(self) -> None:
        """Nobody new; handshakes that are not done are given up."""
        if self._resting is not None:
            self._resting.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        self._arrivals.close()
        self._sockets.close()

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._failed(error)
                return
            host = str(address[0])
            ticket = self._gate.enter(host)
            if ticket is None:
                _reset(connection)
                continue
            connection.setblocking(False)
            arrival = Arrival(self._arrivals, ticket, self._watch.begin(host))
            arrival.begin(
                TlsTransport(
                    connection,
                    address,
                    self._tls,
                    self._sockets,
                    arrival,
                    shutdown_timeout=self._limits.shutdown_timeout,
                )
            )

    def _failed(self, error: OSError) -> None:
        """The kernel gives no connection; it keeps those that wait."""
        if self._budget.take():
            logger.error("cannot accept connections: %s", error.strerror)
        if error.errno in _EXHAUSTED:
            self._loop.remove_reader(self._listening)
            self._resting = self._loop.call_later(REST_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._listening, self._accept)


def listen(
    protocol: NewProtocol,
    *,
    bind: str,
    ports: Sequence[int],
    tls: TlsContext,
    limits: Limits,
    gate: Gate,
    watch: HandshakeWatch,
    option: str,
) -> Listener:
    """A TLS listener on address `bind` and the first of `ports` that can be bound; 0 lets the system choose one.

    Raises the last port's error: `Busy` where another process has it, `StoreError` where we may not. `option` is the
    command line's name for the port, for the hint.
    """
    failure: LeafwardError | None = None
    for port in ports:
        try:
            listening = _bound(bind, port)
        except OSError as error:
            failure = _told(error, bind, port, option)
        else:
            return Listener(listening, protocol, tls=tls, limits=limits, gate=gate, watch=watch)
    raise failure or StoreError("no port to listen on", hint=f"give {option}")


def _bound(bind: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in bind else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # What is accepted inherits it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.setblocking(False)
        listening.bind((bind, port))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _reset(connection: socket.socket) -> None:
    """Closes without a farewell and without a TIME_WAIT of ours."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def _told(error: OSError, bind: str, port: int, option: str) -> LeafwardError:
    what = f"cannot listen on {bind} port {port}"
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    if error.errno == errno.EADDRINUSE:
        return Busy(what, why=why, hint=f"end what listens there, or choose another port with {option}")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return StoreError(what, why=why, hint=f"choose a port above 1023 with {option}, or run with that right")
    return StoreError(what, why=why, hint="the address must be one of this machine's")
