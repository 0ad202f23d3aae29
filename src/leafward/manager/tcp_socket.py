"""A TCP socket on the loopback address, bound before anything is told of it."""

import socket
from dataclasses import replace

from leafward.disk import told
from leafward.manager.listen_address import ListenAddress

_BACKLOG = 128


def listen_on_loopback(address: ListenAddress) -> tuple[socket.socket, ListenAddress]:
    """A listening socket, and the address with the port that it got. Raises `StoreError` naming the address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        with told(f"cannot listen on {address.uri}"):
            # Not on Windows, where it would let another program listen at the same port.
            if hasattr(socket, "AF_UNIX"):
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address.host, address.port))
            listening.listen(_BACKLOG)
            listening.setblocking(False)
            return listening, replace(address, port=listening.getsockname()[1])
    except BaseException:
        listening.close()
        raise
