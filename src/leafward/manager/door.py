"""A door is one listening socket, and what is known of whoever comes through it.

A unix socket: the kernel names the process. A TCP socket on the loopback address (Windows, where unix sockets name
nobody): nothing is known, and a caller has to show a token.
"""

import asyncio
import socket
from dataclasses import dataclass, field

from leafward.manager.callers import Peer

# What a TCP caller has: no process, and the user that the kernel gives to nobody.
_NOBODY = -1


@dataclass(frozen=True)
class Door:
    """`module_id`: the one module whose own socket this is, None for a common one. `hosts`: what a TCP caller may write
    into its Host header; a web page that was made to point its own name at the loopback address writes another.
    """

    name: str
    module_id: str | None = None
    hosts: frozenset[str] = field(default_factory=frozenset)

    @property
    def by_token(self) -> bool:
        """Whether callers are known by a token instead of their process."""
        return bool(self.hosts)

    def peer(self, transport: asyncio.BaseTransport) -> Peer:
        """The process at the other end. Raises `OSError` where the connection is gone already."""
        if self.by_token:
            return Peer(0, _NOBODY, None)
        # A duplicate, because the loops give out their socket in forms of their own.
        own = transport.get_extra_info("socket")
        with socket.fromfd(own.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            return Peer.of(connection)


def tcp_hosts(host: str, port: int) -> frozenset[str]:
    """What a client of a TCP door at `host` and `port` writes into its Host header."""
    shown = f"[{host}]" if ":" in host else host
    return frozenset(f"{name}:{port}" for name in (shown, "localhost")) | frozenset({shown, "localhost"})
