"""Unix sockets with the mode they are meant to have from the first instant.

Two sockets, two rules:

- `management.sock`, 0600: this user and root only; each request checks the peer's user again.
- `workload.sock`, 0666: any process may connect, since who it is decides what it gets, as in IoT Edge. The folder
  around it is the home's socket folder, 0700, so on the gateway itself only this user and root reach it; a module of
  another user or in a container gets the socket mounted or linked into a place of its own, and its mode lets it in.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from leafward.disk import told

MANAGEMENT_MODE = 0o600
WORKLOAD_MODE = 0o666
_BACKLOG = 128


async def listen(path: Path, mode: int, protocol: Callable[[], asyncio.Protocol]) -> asyncio.Server:
    """Serves `protocol` on the unix socket `path`; one left by a killed process is replaced.

    The caller holds a lock that makes sure that no living process listens there. Raises `StoreError` naming the path.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with told(f"cannot listen on {path}"):
            path.unlink(missing_ok=True)
            listening.bind(str(path))
            # A bound socket refuses connections until it listens: nobody gets in before the mode is right.
            path.chmod(mode)
            listening.setblocking(False)
            return await asyncio.get_running_loop().create_unix_server(protocol, sock=listening, backlog=_BACKLOG)
    except BaseException:
        listening.close()
        raise


def identity_of(path: Path) -> tuple[int, int] | None:
    """Which file stands at `path`: what `remove` compares. None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def remove(path: Path, identity: tuple[int, int] | None) -> None:
    """Removes the socket file after its server was closed, if it is still the same one.

    A home may be deleted and made anew while we run: its new manager's socket has the same path.
    """
    if identity is not None and identity_of(path) == identity:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
