"""The hub's listening sockets: bound in the order asked for, reported as they really are."""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence

from leafward.errors import Busy, LeafwardError, StoreError
from leafward.hub.settings import Limits
from leafward.wire.tls.context import TlsContext

# Connections that wait for accept: a thousand devices that come back after a power cut.
BACKLOG = 1024


async def listen(
    protocol: Callable[[], asyncio.Protocol],
    *,
    bind: str,
    ports: Sequence[int],
    tls: TlsContext,
    limits: Limits,
    option: str,
) -> asyncio.Server:
    """A TLS listener on the first of `ports` that can be bound; 0 lets the system choose one.

    Raises the last port's error: `Busy` where another process has it, `StoreError` where we may not. `option` is the
    command line's name for the port, for the hint.
    """
    failure: LeafwardError | None = None
    for port in ports:
        try:
            return await asyncio.get_running_loop().create_server(
                protocol,
                bind,
                port,
                ssl=tls,
                backlog=BACKLOG,
                reuse_address=True,
                ssl_handshake_timeout=limits.handshake_timeout,
                ssl_shutdown_timeout=limits.shutdown_timeout,
            )
        except OSError as error:
            failure = _told(error, bind, port, option)
    raise failure or StoreError("no port to listen on", hint=f"give {option}")


def port_of(server: asyncio.Server) -> int:
    """The port a listener really has."""
    port: int = server.sockets[0].getsockname()[1]
    return port


def _told(error: OSError, bind: str, port: int, option: str) -> LeafwardError:
    what = f"cannot listen on {bind} port {port}"
    why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
    if error.errno == errno.EADDRINUSE:
        return Busy(what, why=why, hint=f"end what listens there, or choose another port with {option}")
    if error.errno in {errno.EACCES, errno.EPERM}:
        return StoreError(what, why=why, hint=f"choose a port above 1023 with {option}, or run with that right")
    return StoreError(what, why=why, hint="the address must be one of this machine's")
