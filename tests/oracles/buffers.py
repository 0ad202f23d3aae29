"""Handshakes without sockets, for judges that live in this process."""

import ssl
from collections.abc import Callable
from typing import Protocol

from OpenSSL import SSL

from tests.oracles.case import ACCEPTED, Case
from tests.oracles.stand import presenting

MOST_FLIGHTS = 10
_PIECE = 64 * 1024


class End(Protocol):
    """One side of a handshake."""

    def step(self) -> bool:
        """Goes on as far as the bytes at hand allow; True when done. Raises what the library raises."""

    def take(self) -> bytes:
        """What is to be sent to the other side."""

    def give(self, data: bytes) -> None:
        """What came from the other side."""


class StandardEnd:
    """A side by the standard library's `ssl`."""

    def __init__(self, context: ssl.SSLContext, host: str | None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=host is None, server_hostname=host)

    def step(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def take(self) -> bytes:
        return self._out.read()

    def give(self, data: bytes) -> None:
        self._in.write(data)


class NewerEnd:
    """A side by pyOpenSSL, with the newer OpenSSL that `cryptography` brings."""

    def __init__(self, context: SSL.Context, *, server: bool) -> None:
        self.connection = SSL.Connection(context)
        if server:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    def step(self) -> bool:
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def take(self) -> bytes:
        try:
            return self.connection.bio_read(_PIECE)
        except SSL.WantReadError:
            return b""

    def give(self, data: bytes) -> None:
        if data:
            self.connection.bio_write(data)


def shake_hands(case: Case, judging: Callable[[Case], End]) -> str:
    """The verdict of a judge that is shown the case's chain."""
    judge, presenter = judging(case), NewerEnd(presenting(case), server=case.purpose == "server")
    for _ in range(MOST_FLIGHTS):
        try:
            if judge.step():
                return ACCEPTED
        except (ssl.SSLError, SSL.Error) as refused:
            return str(refused) or "refused"
        presenter.give(judge.take())
        presenter.step()
        judge.give(presenter.take())
    raise AssertionError(f"the handshake does not come to an end: {case.label}")
