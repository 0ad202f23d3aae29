"""Which sockets have something to read, or take more: a set of our own that the event loop watches as one file.

An event loop's stream transport costs a new connection a third of what its cryptography does, and its way to watch a
bare socket is no way with uvloop, which never hears of a connection that was reset (libuv takes that for a file that
cannot be watched). An epoll set is a file that can be waited for like any other, so one of them stands for all
connections of a listener: to join and to leave it are system calls and nothing else.
"""

import asyncio
import logging
import select
from collections.abc import Callable
from typing import Final

from leafward.wire.tls.lowlevel import pinned

logger = logging.getLogger(__name__)

READABLE: Final = select.EPOLLIN
WRITABLE: Final = select.EPOLLOUT

# Read at once: four large TLS records.
READ_ROOM: Final = 65_536
# Served in one go, before others of the loop have their turn.
_AT_ONCE: Final = 64

# Called with what a socket is ready for, and not again before the loop has looked anew.
Handler = Callable[[int], None]


class Sockets:
    """Sockets by descriptor, each with its handler. For the loop's thread.

    `room` is where all of them read into: what has been read is decrypted before anybody else reads. `ciphertext` is
    the same as OpenSSL takes it.
    """

    def __init__(self) -> None:
        self.room = bytearray(READ_ROOM)
        self.ciphertext = pinned(self.room)
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._closing = False
        self._loop.add_reader(self._epoll.fileno(), self._ready)

    def __len__(self) -> int:
        return len(self._handlers)

    def add(self, descriptor: int, handler: Handler) -> None:
        """Begins to watch a socket for something to read."""
        self._epoll.register(descriptor, READABLE)
        self._handlers[descriptor] = handler

    def change(self, descriptor: int, before: int, after: int) -> None:
        """Watches a socket for other events. For none of them, nothing is heard of it, not even that it was reset."""
        if not before:
            self._epoll.register(descriptor, after)
        elif after:
            self._epoll.modify(descriptor, after)
        else:
            self._epoll.unregister(descriptor)

    def remove(self, descriptor: int, events: int) -> None:
        """Forgets a socket, before it is closed. `events` it is watched for now."""
        if events:
            self._epoll.unregister(descriptor)
        del self._handlers[descriptor]
        if self._closing:
            self.close()

    def close(self) -> None:
        """Nothing more is watched, once the sockets that are here are gone."""
        self._closing = True
        if not self._handlers and not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _ready(self) -> None:
        for descriptor, events in self._epoll.poll(0, _AT_ONCE):
            handler = self._handlers.get(descriptor)
            # Another's handler may have closed it just now.
            if handler is not None:
                handler(events)
