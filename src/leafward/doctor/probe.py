"""What a TLS server presents, read from the leaf's side: the whole chain as sent, whether it verifies or not."""

import select
import socket
import time

from cryptography import x509
from OpenSSL import SSL

from leafward.doctor.live_handshake import GOODBYE
from leafward.doctor.target_kinds import DEFAULT_PORT, Target, parse_target
from leafward.errors import PeerUnavailable
from leafward.pki.names import HostName, parse_host

__all__ = ["DEFAULT_PORT", "Target", "parse_target", "presented_chain"]

TIMEOUT = 10.0


def presented_chain(
    target: Target, *, timeout: float = TIMEOUT, farewell: bytes = GOODBYE
) -> tuple[x509.Certificate, ...]:
    """The certificates that the server sends, in its own order. `timeout` in seconds bounds every step.

    `farewell` is sent before the connection is closed: to a server that is asked nothing, a client that leaves after
    the handshake looks like one that did not trust it.

    Raises `PeerUnavailable` when the name does not resolve, nobody listens, or no TLS handshake comes about.
    """
    try:
        with socket.create_connection((target.host, target.port), timeout=timeout) as connection:
            return _handshake(connection, target, timeout, farewell)
    except socket.gaierror as error:
        raise PeerUnavailable(f"{target.host} does not resolve", why=error.strerror, hint="check the name") from error
    except TimeoutError as error:
        raise PeerUnavailable(f"{target} does not answer", why=f"waited {timeout:.0f} s") from error
    except OSError as error:
        raise PeerUnavailable(f"{target} cannot be reached", why=error.strerror or str(error)) from error
    except SSL.Error as error:
        raise PeerUnavailable(f"no TLS handshake with {target}", why=_reason(error)) from error


def _handshake(
    connection: socket.socket, target: Target, timeout: float, farewell: bytes
) -> tuple[x509.Certificate, ...]:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    connection.setblocking(False)
    tls = SSL.Connection(context, connection)
    host = parse_host(target.name)
    if isinstance(host, HostName):
        tls.set_tlsext_host_name(str(host).encode())
    tls.set_connect_state()
    _complete(tls, connection, time.monotonic() + timeout)
    if farewell:
        tls.send(farewell)
    return tuple(tls.get_peer_cert_chain(as_cryptography=True) or ())


def _complete(tls: SSL.Connection, connection: socket.socket, deadline: float) -> None:
    """The handshake, whatever the network splits it into. Raises `TimeoutError` at `deadline` (monotonic seconds)."""
    while True:
        try:
            return tls.do_handshake()
        except SSL.WantReadError:
            wanted = select.POLLIN
        except SSL.WantWriteError:
            wanted = select.POLLOUT
        poll = select.poll()
        poll.register(connection, wanted)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError


def _reason(error: SSL.Error) -> str:
    stack = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return "; ".join(entry[-1] for entry in stack) or "the connection was closed during the handshake"
