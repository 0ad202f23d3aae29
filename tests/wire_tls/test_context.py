"""TlsContext: what is agreed, what is refused, the live change of the certificate, and keys it cannot use."""

import asyncio
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from OpenSSL import SSL

from leafward.errors import KeyUnavailable, RuleViolation
from leafward.wire.tls import lowlevel, lowlevel_context
from leafward.wire.tls.context import GROUPS, TlsContext


def test_it_is_an_ssl_context(context: TlsContext) -> None:
    """asyncio, uvloop and aiohttp accept nothing else."""
    assert isinstance(context, ssl.SSLContext)
    tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert isinstance(tls, ssl.SSLObject)
    assert (tls.context, tls.server_side, tls.server_hostname, tls.session) == (context, True, None, None)


def test_before_the_handshake(context: TlsContext) -> None:
    tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    assert (tls.version(), tls.cipher(), tls.group(), tls.compression(), tls.pending()) == (None, None, None, None, 0)
    assert (tls.selected_alpn_protocol(), tls.server_name, tls.shared_ciphers()) == (None, None, None)
    assert tls.get_channel_binding() is None
    assert not tls.session_reused
    with pytest.raises(ValueError, match="not done"):
        tls.getpeercert()


@pytest.mark.parametrize("misuse", [{}, {"server_side": True, "server_hostname": "x"}])
def test_it_only_serves(context: TlsContext, misuse: Any) -> None:
    with pytest.raises(ValueError, match="server_side"):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), **misuse)
    with pytest.raises(NotImplementedError):
        context.wrap_socket(None)
    with pytest.raises(NotImplementedError):
        context.load_cert_chain("server.pem")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_what_is_agreed(kit: Any, serve: Any, context: Any, hub: Any, version: ssl.TLSVersion) -> None:
    served = serve(context)
    trusting = kit.client_context(hub.root, version=version)
    with kit.Client(served.port, trusting) as client:
        client.handshake().send(b"x")
        client.read(1)
        tls = served.next().tls
        assert tls.version() == client.tls.version()
        assert tls.cipher() == client.tls.cipher()
        assert tls.shared_ciphers() == [tls.cipher()]
        assert tls.group() == "x25519"
        assert tls.server_name == kit.HOST
        if version == ssl.TLSVersion.TLSv1_2:
            assert tls.get_channel_binding() == client.tls.get_channel_binding()
        assert len(tls.get_channel_binding("tls-exporter")) == 32
        with pytest.raises(ValueError, match="tls-exporter"):
            tls.get_channel_binding("tls-other")


@pytest.mark.parametrize("offered", [GROUPS, ("X25519", "P-256", "X25519MLKEM768")])
def test_hybrid_key_exchange_first(context: TlsContext, offered: tuple[str, ...]) -> None:
    """A client that knows X25519MLKEM768 gets it, whatever it likes best itself."""
    client, server = _pair(context, offered)
    assert client.group() == server.group() == "X25519MLKEM768"


def test_p_256_is_enough(context: TlsContext) -> None:
    client, server = _pair(context, ("P-256",))
    assert client.group() == server.group() == "secp256r1"


def _pair(context: TlsContext, groups: tuple[str, ...]) -> tuple[Any, Any]:
    client_context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert lowlevel_context.set_groups(client_context, groups)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = lowlevel.Engine(client_context, to_client, to_server, server_side=False)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for step in (client.handshake, server.do_handshake):
            try:
                step()
            except ssl.SSLWantReadError:
                continue
    assert server.version() == "TLSv1.3"
    return client, server


def test_alpn(kit: Any, serve: Any, hub: Any) -> None:
    served = serve(TlsContext.server(hub, hub.key, client_certificates=False, alpn=["http/1.1", "mqtt"]))
    for offered, agreed in ((["mqtt", "http/1.1"], "http/1.1"), (["mqtt"], "mqtt"), (["h2"], None)):
        trusting = kit.client_context(hub.root)
        trusting.set_alpn_protocols(offered)
        with kit.Client(served.port, trusting) as client:
            client.handshake().send(b"x")
            client.read(1)
            assert client.tls.selected_alpn_protocol() == served.next().tls.selected_alpn_protocol() == agreed


def test_live_change(kit: Any, serve: Any, hub: Any, workload_ca: Any) -> None:
    """An open connection goes on with the old certificate while the next one is shown the new one."""
    changing = TlsContext.server(hub, hub.key, client_certificates=True)
    renewed = kit.make(kit.HOST, workload_ca)
    served = serve(changing)
    trusting = kit.client_context(hub.root)
    with kit.Client(served.port, trusting) as old:
        old.handshake()
        changing.replace(renewed, renewed.key)
        with kit.Client(served.port, trusting) as new:
            new.handshake()
            assert _shown_by(new) == renewed.leaf.public_bytes(Encoding.DER)
        assert _shown_by(old) == hub.leaf.public_bytes(Encoding.DER)
        old.send(b"still here")
        assert old.read(10) == b"still here"
    assert changing.chain is renewed


def _shown_by(client: Any) -> Any:
    return client.tls.getpeercert(True)


def test_failed_change_changes_nothing(kit: Any, serve: Any, hub: Any, workload_ca: Any) -> None:
    """The key of another certificate: refused, and the old one goes on serving."""
    changing = TlsContext.server(hub, hub.key, client_certificates=True)
    served = serve(changing)
    with pytest.raises(RuleViolation) as caught:
        changing.replace(kit.make(kit.HOST, workload_ca), hub.key)
    assert caught.value.code == "key-mismatch"
    assert changing.chain is hub
    with kit.Client(served.port, kit.client_context(hub.root)) as client:
        client.handshake()
        assert _shown_by(client) == hub.leaf.public_bytes(Encoding.DER)


@pytest.mark.parametrize("present_root", [True, False])
def test_whole_chain_is_presented(serve: Any, hub: Any, tmp_path: Path, present_root: bool) -> None:
    """openssl s_client sees server, workload CA, device CA, and the root too unless told otherwise."""
    server = TlsContext.server(hub, hub.key, client_certificates=True, present_root=present_root)
    said = _s_client(serve(server).port, hub, tmp_path)
    assert "Verification: OK" in said
    assert said.count("-----BEGIN CERTIFICATE-----") == len(hub.certificates) - (not present_root)


def _s_client(port: int, hub: Any, folder: Path, *options: str) -> str:
    root = folder / "root.pem"
    root.write_bytes(hub.root.public_bytes(Encoding.PEM))
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "iotedgegw.local"]
    command += ["-verify_hostname", "iotedgegw.local", "-CAfile", str(root), "-verify_return_error", "-showcerts"]
    done = subprocess.run([*command, *options], input="Q\n", capture_output=True, text=True, timeout=30, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_system_openssl(serve: Any, hub: Any, context: Any, tmp_path: Path, version: str) -> None:
    assert "Verification: OK" in _s_client(serve(context).port, hub, tmp_path, version)


def test_client_with_small_records(kit: Any, serve: Any, context: Any, tmp_path: Path, hub: Any) -> None:
    """A small device asks for records of 512 bytes (RFC 6066 4): a longer message is told whole, in several."""
    message = b"0123456789" * 2000 + b"\n"

    class Teller(kit.Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            transport.write(message)
            transport.close()

    assert message.decode() in _s_client(serve(context, Teller).port, hub, tmp_path, "-maxfraglen", "512", "-quiet")


def test_a_lone_certificate(kit: Any) -> None:
    """A self-signed server certificate is presented even where roots are left out."""
    lone = kit.make(kit.HOST)
    client, _ = _pair(TlsContext.server(lone, lone.key, client_certificates=False, present_root=False), GROUPS)
    assert client.peer_certificates() == lone.certificates


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
        mldsa.MLDSA65PrivateKey.generate(),
    ],
    ids=["ec-p384", "rsa-2048", "ed25519", "ml-dsa-65"],
)
def test_server_keys(kit: Any, workload_ca: Any, key: Any) -> None:
    other = kit.make(kit.HOST, workload_ca, key=key)
    client, _ = _pair(TlsContext.server(other, other.key, client_certificates=True), GROUPS)
    assert client.peer_certificates() == other.certificates


def test_key_that_only_signs(hub: Any) -> None:
    """A handle to a key in hardware: refused with what to do, since OpenSSL needs the key itself."""

    class Handle:
        def public_key(self) -> Any:
            return load_pem_public_key(hub.key.public_key().public_bytes(Encoding.PEM, _public_format()))

    with pytest.raises(KeyUnavailable) as caught:
        TlsContext.server(hub, Handle(), client_certificates=False)
    assert caught.value.hint


def _public_format() -> Any:
    from cryptography.hazmat.primitives.serialization import PublicFormat

    return PublicFormat.SubjectPublicKeyInfo


def test_weak_server_key(kit: Any) -> None:
    """RSA-1024 is below OpenSSL's security level."""
    weak = kit.make(kit.HOST, key=rsa.generate_private_key(65537, 1024))
    with pytest.raises(RuleViolation) as caught:
        TlsContext.server(weak, weak.key, client_certificates=False)
    assert caught.value.code == "weak-key"


def test_no_key_in_repr(hub: Any, context: Any) -> None:
    assert "PRIVATE" not in repr(context) + repr(vars(context))
    assert hub.key.private_numbers().private_value.to_bytes(32).hex() not in repr(vars(context))


async def test_start_tls(hub: Any, context: Any, kit: Any) -> None:
    """A plain connection that is turned into TLS half way."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        writer.write(b"!")
        await writer.start_tls(context)
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"?")
    assert await reader.readexactly(1) == b"!"
    await writer.start_tls(kit.client_context(hub.root), server_hostname=kit.HOST)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    writer.close()
    await writer.wait_closed()
    listener.close()
    await listener.wait_closed()
