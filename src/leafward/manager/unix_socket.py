"""Unix sockets with the mode they are meant to have from the first instant.

Two sockets, two rules:

- `management.sock`, 0600: this user and root only (0660 where a group shares the home); each request checks the peer's
  user again.
- `workload.sock`, 0666: any process may connect, since who it is decides what it gets, as in IoT Edge. The folder
  around it may be passed by anybody and listed by nobody, and only this user may put something into it. Where the home
  around that is closed, as it is by default, a module of another user gets a socket of its own choosing
  (`[manager] workload_uri`), or has one mounted or linked into a place of its own.
"""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from leafward.disk import make_folder, told
from leafward.errors import StoreError

MANAGEMENT_MODE = 0o600
WORKLOAD_MODE = 0o666
# A folder for sockets outside of the home: modules of every user pass through it.
_WAY_MODE = 0o755
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


def make_way(path: Path) -> None:
    """Makes the folder of a socket outside of the home, and proves that nobody else can put another in its place.

    Raises `StoreError` where others may write into it: they could take the socket away and listen there themselves.
    """
    make_folder(path.parent, _WAY_MODE)
    refuse_foreign(path.parent)


def refuse_foreign(folder: Path) -> None:
    """Raises `StoreError` for a folder of somebody else, or into which others may write."""
    with told(f"cannot look at {folder}"):
        status = folder.stat()
    others = status.st_mode & 0o002 and not status.st_mode & stat.S_ISVTX
    if status.st_uid not in (0, os.geteuid()) or others or _is_written_by_a_foreign_group(status):
        raise StoreError(
            f"the folder {folder} cannot hold a socket",
            why=f"got owner {status.st_uid} and mode {stat.filemode(status.st_mode)}, expected owner {os.geteuid()} "
            "and no other who may write",
            hint=f"chmod 755 {folder}, or choose another path",
        )


def _is_written_by_a_foreign_group(status: os.stat_result) -> bool:
    """A sticky folder keeps what is ours."""
    return bool(status.st_mode & 0o020) and not status.st_mode & stat.S_ISVTX


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
