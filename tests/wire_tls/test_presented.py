"""Which chain a client is shown, by the name it asks for; and tickets that are not to be honoured any more.

root -> workload CA -> iotedgegw.local          the first: for whoever asks for nothing, or for something else
    `-> public.example, *.wild.example          another certificate, for its own names
"""

import ssl
from typing import Any

import pytest
from cryptography import x509

from leafward.pki.chain import Chain
from leafward.wire.tls.connection import TlsConnection
from leafward.wire.tls.context import TlsContext
from leafward.wire.tls.presented import Served
from tests.wire_tls.conftest import HOST, Held, make


@pytest.fixture(scope="module")
def public(workload_ca: Held) -> Held:
    return make("public.example", workload_ca)


@pytest.fixture(scope="module")
def wild(workload_ca: Held) -> Held:
    return make("wild", workload_ca, san="*.wild.example")


def chain_of(held: Held) -> Chain:
    return Chain(held.certificates)


def served(held: Held) -> Served:
    return Served(chain_of(held), held.key)


def handshake(
    context: TlsContext, name: str | None, session: Any = None, *, settings: ssl.SSLContext | None = None
) -> tuple[Any, TlsConnection]:
    """A client that believes everything, and the server's side; raises what the client is told."""
    if settings is None:
        settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        settings.check_hostname = False
        settings.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = settings.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client, server


def leaf_shown(client: Any) -> x509.Certificate:
    return x509.load_der_x509_certificate(client.getpeercert(True))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (HOST, "hub"),
        ("public.example", "public"),
        ("PUBLIC.example", "public"),
        ("a.wild.example", "wild"),
        ("a.b.wild.example", "hub"),
        ("wild.example", "hub"),
        ("nobody.example", "hub"),
        (None, "hub"),
    ],
)
def test_the_chain_for_a_name(hub: Held, public: Held, wild: Held, name: str | None, shown: str) -> None:
    """Its own where there is one, else the first."""
    context = TlsContext.server(chain_of(hub), hub.key, client_certificates=True, others=[served(public), served(wild)])
    client, server = handshake(context, name)
    expected = {"hub": hub, "public": public, "wild": wild}[shown]
    assert leaf_shown(client) == expected.leaf
    assert server.chain.leaf == expected.leaf
    assert context.names == {HOST, "public.example", "*.wild.example"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_name_that_is_refused(hub: Held, version: ssl.TLSVersion) -> None:
    """unrecognized_name (RFC 6066 3), and the client hears it."""
    failures: list[Any] = []
    context = TlsContext.server(
        chain_of(hub),
        hub.key,
        client_certificates=True,
        refuse_unknown_names=True,
        handshake_failed=lambda tls, error: failures.append((tls, error.alert)),  # type: ignore[attr-defined]
    )
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
    settings.minimum_version = settings.maximum_version = version
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized[_ ]name"):
        handshake(context, "nobody.example", settings=settings)
    ((tls, alert),) = failures
    assert (alert.name, alert.from_peer) == ("unrecognized_name", False)
    assert tls.hello().server_name == "nobody.example"
    for name in (HOST, None):
        client, _ = handshake(context, name, settings=settings)
        assert leaf_shown(client) == hub.leaf


def test_other_chains_while_it_serves(hub: Held, public: Held) -> None:
    """From the next connection on; the first chain stays, and a replaced first chain keeps them."""
    context = TlsContext.server(chain_of(hub), hub.key, client_certificates=True)
    context.serve_also([served(public)])
    assert leaf_shown(handshake(context, "public.example")[0]) == public.leaf
    context.replace(chain_of(hub), hub.key)
    assert leaf_shown(handshake(context, "public.example")[0]) == public.leaf
    context.serve_also([])
    assert leaf_shown(handshake(context, "public.example")[0]) == hub.leaf


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tickets_are_forgotten(hub: Held, version: ssl.TLSVersion) -> None:
    """A client takes its session up, and after `forget_tickets` it gets a full handshake."""
    context = TlsContext.server(chain_of(hub), hub.key, client_certificates=True)
    settings = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    settings.check_hostname, settings.verify_mode = False, ssl.CERT_NONE
    settings.minimum_version = settings.maximum_version = version

    def visit(session: Any = None) -> tuple[Any, bool]:
        client, server = handshake(context, HOST, session, settings=settings)
        server.write(b"x")
        assert client.read(1) == b"x"  # with it come the tickets of TLS 1.3
        return client.session, server.session_reused

    session, reused = visit()
    assert not reused
    session, reused = visit(session)
    assert reused
    context.forget_tickets()
    _, reused = visit(session)
    assert not reused


def test_what_is_kept_of_a_handshake(hub: Held) -> None:
    """The client's first bytes as long as the handshake lasts, and nothing of them afterwards."""
    begun: list[TlsConnection] = []
    context = TlsContext.server(chain_of(hub), hub.key, client_certificates=True, begun=begun.append)
    client, server = handshake(context, HOST)
    assert begun == [server]
    assert (server.established, server.hello(), server.opening(), server.heard) == (True, None, "tls", False)
    client.write(b"hello")
    assert server.read(10) == b"hello"
    assert server.heard
