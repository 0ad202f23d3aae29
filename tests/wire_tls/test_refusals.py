"""Handshakes that fail: the connection ends, whoever can use the reason is told, the next client is served."""

import queue
import socket
import ssl
import warnings
from typing import Any

import pytest

from leafward.wire.tls.alerts import alert_of
from leafward.wire.tls.context import TlsContext


@pytest.fixture
def failures() -> queue.Queue[Any]:
    """What `handshake_failed` was told."""
    return queue.Queue()


@pytest.fixture
def served(serve: Any, hub: Any, failures: queue.Queue[Any]) -> Any:
    """A server that notes failed handshakes; it must still serve after the test."""
    context = TlsContext.server(
        hub, hub.key, client_certificates=True, handshake_failed=lambda _, error: failures.put(error)
    )
    return serve(context)


@pytest.fixture
def still_serves(kit: Any, hub: Any, served: Any) -> Any:
    def still_serves() -> None:
        with kit.Client(served.port, kit.client_context(hub.root)) as client:
            client.handshake().send(b"next")
            assert client.read(4) == b"next"

    return still_serves


def _plain(served: Any, data: bytes) -> bytes:
    """Sends `data` on a plain connection and reads until the server closes it."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        try:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(4096), b""))
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04dev1",
        b"\xff" * 70000,
    ],
    ids=["zeros", "http", "plain-mqtt", "much"],
)
def test_garbage(served: Any, failures: Any, still_serves: Any, garbage: bytes) -> None:
    """Something that speaks no TLS is cut off at once: no time-out has to do it."""
    _plain(served, garbage)
    assert isinstance(failures.get(timeout=20), ssl.SSLError)
    still_serves()


@pytest.mark.parametrize("hello", [True, False], ids=["after-hello", "silent"])
def test_handshake_never_finished(kit: Any, serve: Any, hub: Any, context: Any, hello: bool) -> None:
    """Silence after a ClientHello, or from the start: others are served, and the event loop's time-out ends it."""
    served = serve(context, ssl_handshake_timeout=1)
    with kit.Client(served.port, kit.client_context(hub.root)) as client:
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        if hello:
            client.flush()
        with kit.Client(served.port, kit.client_context(hub.root)) as other:
            other.handshake().send(b"next")
            assert other.read(4) == b"next"
        while client.socket.recv(4096):
            pass


def test_client_goes_in_the_middle(kit: Any, served: Any, hub: Any, still_serves: Any) -> None:
    with kit.Client(served.port, kit.client_context(hub.root)) as client:
        with pytest.raises(ssl.SSLWantReadError):
            client.tls.do_handshake()
        client.socket.sendall(client.outgoing.read()[:50])
    still_serves()


def test_tls_1_1_is_refused(kit: Any, served: Any, hub: Any, failures: Any, still_serves: Any) -> None:
    """An old client is told why: protocol_version."""
    old = kit.client_context(hub.root)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with kit.Client(served.port, old) as client, pytest.raises(ssl.SSLError) as caught:
        client.handshake()
    assert alert_of(caught.value).name == "protocol_version"
    _check_our_alert(failures.get(timeout=20), "protocol_version", "UNSUPPORTED_PROTOCOL")
    still_serves()


def test_no_shared_cipher(kit: Any, served: Any, hub: Any, failures: Any, still_serves: Any) -> None:
    """A client without forward secrecy is told: handshake_failure."""
    weak = kit.client_context(hub.root, version=ssl.TLSVersion.TLSv1_2)
    weak.set_ciphers("AES128-SHA")
    with kit.Client(served.port, weak) as client, pytest.raises(ssl.SSLError) as caught:
        client.handshake()
    assert alert_of(caught.value).name == "handshake_failure"
    _check_our_alert(failures.get(timeout=20), "handshake_failure", "NO_SHARED_CIPHER")
    still_serves()


def _check_our_alert(error: ssl.SSLError, name: str, reason: str) -> None:
    alert = alert_of(error)
    assert alert is not None
    assert (alert.name, alert.from_peer, error.reason) == (name, False, reason)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
def refuse(request: pytest.FixtureRequest, kit: Any, serve: Any, failures: Any) -> Any:
    """refuse(shown, root, name) -> what the server learns when a client does not accept `shown`."""

    def refuse(shown: Any, root: Any, name: str) -> ssl.SSLError:
        context = TlsContext.server(
            shown, shown.key, client_certificates=True, handshake_failed=lambda _, error: failures.put(error)
        )
        trusting = kit.client_context(root, version=request.param)
        with kit.Client(serve(context).port, trusting, name=name) as client:
            with pytest.raises(ssl.SSLCertVerificationError):
                client.handshake()
            return failures.get(timeout=20)

    return refuse


@pytest.mark.parametrize("fault", ["unknown_ca", "bad_certificate", "certificate_expired"])
def test_client_that_refuses_us(kit: Any, hub: Any, workload_ca: Any, refuse: Any, fault: str) -> None:
    """Another root, another host name, an expired certificate: the server learns which, by name."""
    shown = kit.make(kit.HOST, workload_ca, days=(-20, -10)) if fault == "certificate_expired" else hub
    root = kit.make("Another Root", ca=True).leaf if fault == "unknown_ca" else hub.root
    error = refuse(shown, root, "other.local" if fault == "bad_certificate" else kit.HOST)
    alert = alert_of(error)
    assert (alert.name, alert.from_peer) == (fault, True)
    assert alert.meaning
    assert error.library == "SSL"
    assert error.reason.endswith(f"ALERT_{fault.upper()}")
