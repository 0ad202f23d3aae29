"""The seams around one connection: what it needs of its transport, and what a conversation may ask of it."""

import asyncio
import enum
from collections.abc import Sequence
from typing import Any, Protocol

from cryptography import x509


class Link(Protocol):
    """What a connection needs of its transport; `asyncio.Transport` has all of it, so has our WebSocket."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...


class Hold(enum.IntFlag):
    """Why a connection is not read from just now."""

    STORE_FULL = 1  # the queue of messages waiting for the disk is full
    UNSTORED = 2  # this peer has too many of them
    OUTPUT_FULL = 4  # the peer does not read our answers
    STOPPING = 8  # the hub is being stopped
    REFUSED = 16  # its login is refused, and the answer waits
    SUBSCRIBER_SLOW = 32  # who gets its messages does not keep up, and too many of them are set aside


class Connection(Protocol):
    """What a conversation may ask of its connection. The docstrings are at `MqttConnection`."""

    address: str

    @property
    def ended(self) -> bool: ...
    @property
    def writable(self) -> bool: ...
    @property
    def roomy(self) -> bool: ...
    def presented(self) -> Sequence[x509.Certificate]: ...
    def established(self, keep_alive: int, lifetime: float) -> None: ...
    def refuse(self, answer: bytes, code: str, seconds: float) -> None: ...
    def send(self, data: bytes) -> None: ...
    def hold(self, why: Hold) -> None: ...
    def release(self, why: Hold) -> None: ...
    def end(self, code: str, why: str | None = None, *, abort: bool = False, graceful: bool = False) -> None: ...


def presented_by(link: Link | asyncio.BaseTransport | None) -> Sequence[x509.Certificate]:
    """The client certificates of a TLS transport, leaf first; empty when the client brought none.

    Raises `EncodingError` for certificates that cannot be read.
    """
    tls = None if link is None else link.get_extra_info("ssl_object")
    chain: Sequence[x509.Certificate] = () if tls is None else tls.peer_chains()
    return chain
