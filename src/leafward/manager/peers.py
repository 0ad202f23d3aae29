"""The process behind an HTTP request: looked up once a connection, held as long as the connection lives."""

import asyncio
import socket
import weakref

from aiohttp import web

from leafward.errors import AccessDenied
from leafward.manager.callers import Peer

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


def _look_up(transport: asyncio.BaseTransport) -> Peer:
    # A duplicate, because the loops give out their socket in forms of their own.
    listening = transport.get_extra_info("socket")
    with socket.fromfd(listening.fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        return Peer.of(connection)
