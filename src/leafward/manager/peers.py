"""The process behind an HTTP request: looked up once a connection, held as long as the connection lives."""

import asyncio
import socket
import weakref

from aiohttp import web

from leafward.errors import AccessDenied
from leafward.manager.callers import Peer, credentials

_peers: weakref.WeakKeyDictionary[asyncio.BaseTransport, Peer] = weakref.WeakKeyDictionary()


def peer_of(request: web.Request) -> Peer:
    """The peer of the request's connection. Raises `AccessDenied` where the connection is gone already."""
    transport = request.transport
    if transport is None:
        raise AccessDenied("forbidden")
    peer = _peers.get(transport)
    if peer is None:
        peer = _peers[transport] = _look_up(transport)
        weakref.finalize(transport, peer.close)
    return peer


def peer_pid(transport: asyncio.BaseTransport) -> int:
    """The process at the other end of a connection."""
    with _socket(transport) as connection:
        return credentials(connection)[0]


def _look_up(transport: asyncio.BaseTransport) -> Peer:
    with _socket(transport) as connection:
        return Peer.of(connection)


def _socket(transport: asyncio.BaseTransport) -> socket.socket:
    """A duplicate, because the loops give out their socket in forms of their own; close it."""
    own = transport.get_extra_info("socket")
    return socket.fromfd(own.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
