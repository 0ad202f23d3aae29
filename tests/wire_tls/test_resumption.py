"""Sessions and tickets: resumption works while client certificates are asked for, and never loses a client's chain."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from leafward.wire.tls.context import TlsContext


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
def visits(request: pytest.FixtureRequest, kit: Any, hub: Any, tmp_path: Path) -> Any:
    """visits(served, identity, between=...) -> the server's connection objects of two visits of one client."""

    def visits(served: Any, identity: Any, between: Any = lambda: None) -> tuple[Any, Any]:
        trusting = kit.client_context(hub.root, version=request.param, identity=identity, folder=tmp_path)
        session = None
        for _ in range(2):
            with kit.Client(served.port, trusting, session=session) as client:
                client.handshake().send(b"x")
                assert client.read(1) == b"x"  # with it came the tickets of TLS 1.3
                session = client.tls.session
            between()
        return served.next().tls, served.next().tls

    return visits


def test_without_a_client_certificate(serve: Any, context: Any, visits: Any) -> None:
    first, second = visits(serve(context), None)
    assert (first.session_reused, second.session_reused) == (False, True)
    assert second.peer_certificates() == ()


def test_with_one_client_certificate(kit: Any, serve: Any, context: Any, visits: Any) -> None:
    """A self-signed leaf device comes back by its ticket, and its certificate is still seen."""
    pump = kit.make("pump-7", client=True)
    first, second = visits(serve(context), pump)
    assert (first.session_reused, second.session_reused) == (False, True)
    assert second.peer_certificates() == pump.certificates


def test_with_a_client_chain(kit: Any, serve: Any, context: Any, visits: Any) -> None:
    """root -> line -> pump-7: a ticket would hold pump-7 alone, so there is a full handshake, and the chain is seen."""
    pump = kit.make("pump-7", kit.make("line", kit.make("Maker", ca=True), ca=True), client=True)
    first, second = visits(serve(context), pump)
    assert (first.session_reused, second.session_reused) == (False, False)
    assert first.peer_certificates() == second.peer_certificates() == pump.certificates


def test_with_a_client_chain_that_does_not_belong_together(kit: Any, serve: Any, context: Any, visits: Any) -> None:
    """Whatever was presented beside the leaf, it is seen at each visit."""
    pump, stranger = kit.make("pump-7", client=True), kit.make("Stranger", ca=True)
    presented = kit.Held((pump.leaf, stranger.leaf), pump.key)
    _, second = visits(serve(context), presented)
    assert pump.leaf in second.peer_certificates()


def test_ticket_of_before_a_replacement(kit: Any, serve: Any, hub: Any, workload_ca: Any, visits: Any) -> None:
    """A ticket does not outlive the certificate: a full handshake, no error."""
    renewed = kit.make(kit.HOST, workload_ca)
    changing = TlsContext.server(hub, hub.key, client_certificates=True)
    first, second = visits(serve(changing), None, lambda: changing.replace(renewed, renewed.key))
    assert (first.session_reused, second.session_reused) == (False, False)


def test_ticket_of_another_context(kit: Any, serve: Any, context: Any, hub: Any) -> None:
    """A ticket of the port that asks for no certificates is worth nothing at the port that does."""
    other = TlsContext.server(hub, hub.key, client_certificates=False)
    trusting = kit.client_context(hub.root)
    session = None
    for server in (serve(other), serve(context)):
        with kit.Client(server.port, trusting, session=session) as client:
            client.handshake().send(b"x")
            client.read(1)
            session = client.tls.session
        assert not server.next().tls.session_reused


def test_nothing_is_kept_for_clients_without_tickets(kit: Any, serve: Any, context: Any, hub: Any) -> None:
    """TLS 1.2 without tickets: the session would have to live in our memory, so there is none."""
    served = serve(context)
    trusting = kit.client_context(hub.root, version=ssl.TLSVersion.TLSv1_2)
    trusting.options |= ssl.OP_NO_TICKET
    session = None
    for _ in range(2):
        with kit.Client(served.port, trusting, session=session) as client:
            client.handshake()
            session = client.tls.session
        assert not served.next().tls.session_reused
    assert session.id == b""
