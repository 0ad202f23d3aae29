"""Client certificates: any is taken, all is shown to the application, and TLS proves only that the key is held."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.wire.tls.context import TlsContext


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
def visit(request: pytest.FixtureRequest, kit: Any, hub: Any, tmp_path: Path) -> Any:
    """visit(served, identity) -> the server's connection object, after one echo."""

    def visit(served: Any, identity: Any) -> Any:
        trusting = kit.client_context(hub.root, version=request.param, identity=identity, folder=tmp_path)
        with kit.Client(served.port, trusting) as client:
            client.handshake().send(b"x")
            assert client.read(1) == b"x"
        return served.next().tls

    return visit


def test_self_signed(kit: Any, serve: Any, context: Any, visit: Any) -> None:
    """pump-7 signed by itself: accepted, and visible for its thumbprint."""
    pump = kit.make("pump-7", client=True)
    tls = visit(serve(context), pump)
    assert tls.peer_certificates() == pump.certificates
    assert tls.getpeercert(True) == pump.leaf.public_bytes(Encoding.DER)
    assert tls.getpeercert() == {}


def test_chain_is_shown_leaf_first(kit: Any, serve: Any, context: Any, visit: Any) -> None:
    """maker root -> line -> pump-7, none of them known to the server: pump-7, line, maker root."""
    line = kit.make("line", kit.make("Maker Root", ca=True), ca=True)
    pump = kit.make("pump-7", line, client=True)
    tls = visit(serve(context), pump)
    assert tls.peer_certificates() == pump.certificates
    assert tls.peer_chains() == list(pump.certificates)
    assert tls.get_unverified_chain()[0] == pump.leaf.public_bytes(Encoding.DER)


def test_certificates_that_do_not_belong_together(kit: Any, serve: Any, context: Any, visit: Any) -> None:
    """pump-7 signed by itself, with a stranger's CA after it: shown as presented."""
    pump, stranger = kit.make("pump-7", client=True), kit.make("Stranger", ca=True)
    presented = kit.Held((pump.leaf, stranger.leaf), pump.key)
    assert visit(serve(context), presented).peer_certificates() == presented.certificates


@pytest.mark.parametrize("days", [(-20, -10), (10, 20)], ids=["expired", "not-yet-valid"])
def test_out_of_its_time(kit: Any, serve: Any, context: Any, visit: Any, days: tuple[int, int]) -> None:
    pump = kit.make("pump-7", client=True, days=days)
    assert visit(serve(context), pump).peer_certificates() == pump.certificates


def test_server_certificate_as_client(kit: Any, serve: Any, context: Any, visit: Any) -> None:
    """EKU serverAuth: the application may refuse it, TLS does not."""
    module = kit.make("module")
    assert visit(serve(context), module).peer_certificates() == module.certificates


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_other_keys(kit: Any, serve: Any, context: Any, visit: Any, key: Any) -> None:
    pump = kit.make("pump-7", client=True, key=key)
    assert visit(serve(context), pump).peer_certificates() == pump.certificates


def test_no_certificate(serve: Any, context: Any, visit: Any) -> None:
    tls = visit(serve(context), None)
    assert tls.peer_certificates() == ()
    assert tls.getpeercert() is None
    assert tls.getpeercert(True) is None


def test_not_asked_for(kit: Any, serve: Any, hub: Any, visit: Any) -> None:
    silent = TlsContext.server(hub, hub.key, client_certificates=False)
    assert visit(serve(silent), kit.make("pump-7", client=True)).peer_certificates() == ()


def test_wrong_signature_is_no_proof(kit: Any, hub: Any, context: Any, tmp_path: Path) -> None:
    """A TLS 1.2 client presents pump-7's certificate and a CertificateVerify that its key did not make: refused."""
    pump = kit.make("pump-7", client=True)
    trusting = kit.client_context(hub.root, version=ssl.TLSVersion.TLSv1_2, identity=pump, folder=tmp_path)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(to_client, to_server, server_hostname=kit.HOST)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for step in (client, server, client):
        with pytest.raises(ssl.SSLWantReadError):
            step.do_handshake()
    flight = bytearray(to_server.read())
    flight[_end_of_certificate_verify(flight) - 1] ^= 1
    to_server.write(flight)
    with pytest.raises(ssl.SSLError) as caught:
        server.do_handshake()
    assert caught.value.reason == "BAD_SIGNATURE"
    assert server.version() is None


def _end_of_certificate_verify(flight: bytes) -> int:
    position = 0
    while flight[position] != 22 or flight[position + 5] != 15:  # handshake record, CertificateVerify
        position += 5 + int.from_bytes(flight[position + 3 : position + 5])
    return position + 5 + int.from_bytes(flight[position + 3 : position + 5])
