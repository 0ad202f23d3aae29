"""Certificates made by hand, a server under each event loop, and clients that do just what a test tells them.

The certificates are built with plain `cryptography`, not with our own issuer, so that a fault there cannot hide one
here. The clients are the standard library's `ssl` over memory BIOs and a blocking socket: a test decides which bytes go
into one segment.
"""

import asyncio
import contextlib
import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leafward.wire.tls.context import TlsContext

HOST = "iotedgegw.local"
PATIENCE = 20.0  # seconds until a test gives up waiting for what should come at once


@dataclass(frozen=True)
class Held:
    """A chain, leaf first, and the leaf's private key."""

    certificates: tuple[x509.Certificate, ...]
    key: Any = field(repr=False)

    @property
    def leaf(self) -> x509.Certificate:
        return self.certificates[0]

    @property
    def root(self) -> x509.Certificate:
        return self.certificates[-1]

    def pem(self) -> bytes:
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in self.certificates)

    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make(
    name: str,
    issuer: Held | None = None,
    *,
    ca: bool = False,
    key: Any = None,
    days: tuple[int, int] = (-1, 30),
    client: bool = False,
    san: str | None = None,
    now: datetime | None = None,
) -> Held:
    """A certificate below `issuer` (itself, when None), valid from and to so many days from `now`."""
    now = now or datetime.now(UTC)
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    above = issuer.leaf if issuer else None
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not ca:
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if not client:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(san or name)]), critical=False)
    algorithm = (
        hashes.SHA256() if isinstance(signer, ec.EllipticCurvePrivateKey) or hasattr(signer, "decrypt") else None
    )
    certificate = builder.sign(signer, algorithm)
    return Held((certificate, *(issuer.certificates if issuer else ())), key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


@pytest.fixture(scope="session")
def workload_ca() -> Held:
    """root -> device CA -> workload CA."""
    root = make("Test Root", ca=True)
    return make("workload ca", make("device ca", root, ca=True), ca=True)


@pytest.fixture(scope="session")
def hub(workload_ca: Held) -> Held:
    """root -> device CA -> workload CA -> iotedgegw.local."""
    return make(HOST, workload_ca)


@pytest.fixture(scope="session")
def context(hub: Held) -> TlsContext:
    """The hub's, asking for client certificates."""
    return TlsContext.server(hub, hub.key, client_certificates=True)


class Recorder(asyncio.Protocol):
    """Notes what the event loop tells a protocol; echoes data unless told not to."""

    echo = True
    farewell = b""  # said when the peer says close_notify

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[str, Any]] = queue.Queue()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.gone = asyncio.get_running_loop().create_future()
        self.tls = transport.get_extra_info("ssl_object")
        self.events.put(("made", self.tls))

    def data_received(self, data: bytes) -> None:
        self.events.put(("data", data))
        if self.echo:
            self.transport.write(data)

    def eof_received(self) -> None:
        self.events.put(("eof", None))
        if self.farewell:
            self.transport.write(self.farewell)

    def connection_lost(self, error: Exception | None) -> None:
        self.events.put(("lost", error))
        self.gone.set_result(None)

    def wait(self, kind: str) -> Any:
        """The next event of that kind; others before it are dropped."""
        while True:
            found, value = self.events.get(timeout=PATIENCE)
            if found == kind:
                return value

    def wait_bytes(self, count: int) -> bytes:
        """The next `count` bytes of data."""
        data = b""
        while len(data) < count:
            data += self.wait("data")
        return data


class Served:
    """A listener in a thread of its own, under one kind of event loop."""

    def __init__(
        self, new_loop: Callable[[], asyncio.AbstractEventLoop], context: Any, protocol: Any, options: Any
    ) -> None:
        self.protocols: queue.Queue[Recorder] = queue.Queue()
        self._all: list[Recorder] = []
        self._ready: queue.Queue[int] = queue.Queue()
        self._new_loop, self._context, self._protocol, self._options = new_loop, context, protocol, options
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.port = self._ready.get(timeout=PATIENCE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        listener = await self.loop.create_server(self._new_protocol, "127.0.0.1", 0, ssl=self._context, **self._options)
        self._ready.put(listener.sockets[0].getsockname()[1])
        await self._stop.wait()
        listener.close()
        for protocol in self._all:
            if hasattr(protocol, "gone"):
                protocol.transport.abort()
                await protocol.gone

    def _new_protocol(self) -> Recorder:
        protocol = self._protocol()
        self._all.append(protocol)
        self.protocols.put(protocol)
        return protocol

    def next(self) -> Recorder:
        """The protocol of the next connection that was accepted."""
        return self.protocols.get(timeout=PATIENCE)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Calls `function` in the server's loop."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)


@pytest.fixture(params=["asyncio", "uvloop"])
def serve(request: pytest.FixtureRequest) -> Iterator[Callable[..., Served]]:
    """serve(context, Protocol=Recorder) -> Served, under each event loop."""
    new_loop = asyncio.new_event_loop if request.param == "asyncio" else uvloop.new_event_loop
    running: list[Served] = []

    def start(context: ssl.SSLContext, protocol: type[Recorder] = Recorder, **options: Any) -> Served:
        running.append(Served(new_loop, context, protocol, options))
        return running[-1]

    yield start
    for served in running:
        served.stop()


def client_context(
    root: x509.Certificate,
    *,
    version: ssl.TLSVersion | None = None,
    identity: Held | None = None,
    folder: Path | None = None,
) -> ssl.SSLContext:
    """A strict client of the standard library that trusts `root` alone; with `identity` it presents that chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.public_bytes(Encoding.DER))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if identity is not None:
        assert folder is not None
        file = folder / f"{id(identity)}.pem"
        file.write_bytes(identity.pem() + identity.key_pem())
        context.load_cert_chain(file)
    return context


class Client:
    """A TLS client over a blocking socket whose bytes leave only when `flush` is called."""

    def __init__(
        self, port: int, context: ssl.SSLContext, *, name: str = HOST, session: ssl.SSLSession | None = None
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name, session=session)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        """Sends all that waits, in as few segments as the system makes of it."""
        if self.outgoing.pending:
            self.socket.sendall(self.outgoing.read())

    def receive(self) -> None:
        """Waits for ciphertext."""
        data = self.socket.recv(65536)
        self.incoming.write(data) if data else self.incoming.write_eof()

    def until_done(self, step: Callable[[], Any]) -> Any:
        """Repeats `step`, with ciphertext flowing both ways, until it does not want more."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self.flush()
                self.receive()

    def handshake(self, *, hold: bool = False) -> "Client":
        """Shakes hands; with `hold` the last flight stays here until the next `flush`."""
        try:
            self.until_done(self.tls.do_handshake)
        except ssl.SSLError:
            self.flush()
            raise
        if not hold:
            self.flush()
        return self

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self.flush()

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes, or less when the peer said close_notify."""
        data = bytearray()
        with contextlib.suppress(ssl.SSLZeroReturnError):  # close_notify, after our own
            while len(data) < count and (piece := self.until_done(lambda: self.tls.read(16384))):
                data += piece
        return bytes(data)


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What the test files of this folder share."""
    return SimpleNamespace(
        HOST=HOST,
        PATIENCE=PATIENCE,
        Client=Client,
        Held=Held,
        Recorder=Recorder,
        client_context=client_context,
        make=make,
    )
