"""What a TLS server presents, read from the leaf's side: the whole chain as sent, whether it verifies or not."""

import select
import socket
import time
from dataclasses import dataclass

from cryptography import x509
from OpenSSL import SSL

from leafward.errors import PeerUnavailable, UsageError
from leafward.pki.names import HostName, parse_host

DEFAULT_PORT = 8883
TIMEOUT = 10.0


@dataclass(frozen=True)
class Target:
    """A server to look at: where it is, and the name a leaf would use."""

    host: str
    port: int
    name: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(text: str, *, name: str | None = None) -> Target:
    """`gateway.local:8883`, `192.0.2.1:8883`, `[2001:db8::1]:8883`. Raises `UsageError` for anything else.

    >>> parse_target("[2001:db8::1]:8883").host
    '2001:db8::1'
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r} is neither a file nor HOST:PORT", hint=f"for a server write HOST:{DEFAULT_PORT}")
    return Target(host, int(port), name or host)


def presented_chain(target: Target, *, timeout: float = TIMEOUT) -> tuple[x509.Certificate, ...]:
    """The certificates that the server sends, in its own order. `timeout` in seconds bounds every step.

    Raises `PeerUnavailable` when the name does not resolve, nobody listens, or no TLS handshake comes about.
    """
    try:
        with socket.create_connection((target.host, target.port), timeout=timeout) as connection:
            return _handshake(connection, target, timeout)
    except socket.gaierror as error:
        raise PeerUnavailable(f"{target.host} does not resolve", why=error.strerror, hint="check the name") from error
    except TimeoutError as error:
        raise PeerUnavailable(f"{target} does not answer", why=f"waited {timeout:.0f} s") from error
    except OSError as error:
        raise PeerUnavailable(f"{target} cannot be reached", why=error.strerror or str(error)) from error
    except SSL.Error as error:
        raise PeerUnavailable(f"no TLS handshake with {target}", why=_reason(error)) from error


def _handshake(connection: socket.socket, target: Target, timeout: float) -> tuple[x509.Certificate, ...]:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    connection.setblocking(False)
    tls = SSL.Connection(context, connection)
    host = parse_host(target.name)
    if isinstance(host, HostName):
        tls.set_tlsext_host_name(str(host).encode())
    tls.set_connect_state()
    _complete(tls, connection, time.monotonic() + timeout)
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
