"""A maker with an EST server that really runs, and clients that speak to it over TLS."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from leafward.authority.authorities import Authority
from leafward.authority.est_accounts import new_account
from leafward.authority.est_settings import EstTable
from leafward.authority.issuance import Issuance
from leafward.authority.serve import ServeOptions, Serving, run_authority
from leafward.authority.serve_routes import Route
from leafward.pki.chain import Chain
from leafward.pki.encoding import private_key_to_pem
from leafward.pki.key_types import parse_key_type
from leafward.pki.names import parse_host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.accounts import Accounts
from leafward.wire.basic import BasicCredentials, basic_header
from leafward.wire.est.bodies import PKCS10, certificates_of, decode_body
from leafward.wire.est.targets import Operation, target_path

P256 = parse_key_type("ec-p256")
# The CAs are old, so that certificates of the past can have been issued by them.
CA_AGE = timedelta(days=500)


@dataclass(frozen=True)
class Holder:
    """A chain and the key of its leaf, in files, as TLS clients want them."""

    chain: Chain
    key: Any = field(repr=False)
    pem: Path
    key_pem: Path


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def certificates(self) -> list[x509.Certificate]:
        assert self.status == 200, (self.status, self.body)
        assert b"\n" not in self.body
        return certificates_of(decode_body(self.body))

    @property
    def certificate(self) -> x509.Certificate:
        (only,) = self.certificates
        return only

    @property
    def text(self) -> str:
        return self.body.decode()


class Maker:
    """The authority: root -> factory, beside it other root -> other factory. `now` is the server's clock."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        self.folder = folder
        self.offset = timedelta(0)
        self.issuance = Issuance(folder / "maker", database=database)
        then = self.now() - CA_AGE
        self.root = self.issuance.root("Test Root CA", P256, now=then)
        self.factory = self.issuance.intermediate("Test Factory CA", P256, now=then, issuer=self.root)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def other_hierarchy(self) -> Authority:
        then = self.now() - CA_AGE
        root = self.issuance.root("Other Root CA", P256, now=then)
        return self.issuance.intermediate("Other Factory CA", P256, now=then, issuer=root)

    def hold(
        self,
        name: str,
        kind: str = "leaf_device",
        *,
        ago: timedelta = timedelta(0),
        issuer: Authority | None = None,
        serial_number: str | None = None,
    ) -> Holder:
        """A certificate that a device has, issued so long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        number = serial_number or ("0001" if kind == "device_identity" else None)
        request = CertificateRequest(public_key=key.public_key(), common_name=name, serial_number=number)
        signer = issuer or self.factory
        chain = self.issuance.issue(profile(kind), request, now=self.now() - ago, issuer=signer, replacing=True)
        return self.written(chain, key)

    def written(self, chain: Chain, key: Any) -> Holder:
        folder = self.folder / f"{chain.leaf.serial_number:x}"
        folder.mkdir()
        pem, key_pem = folder / "chain.pem", folder / "key.pem"
        pem.write_bytes(chain.to_pem())
        key_pem.write_bytes(private_key_to_pem(key))
        return Holder(chain, key, pem, key_pem)

    def account(self, name: str, **options: Any) -> BasicCredentials:
        options.setdefault("labels", ["leaf_device"])
        account, password = new_account(name, now=self.now(), **options)
        Accounts(self.issuance.ledger.engine).add(account)
        return BasicCredentials(name, password)

    def status(self, certificate: x509.Certificate) -> str:
        sha256 = certificate.fingerprint(hashes.SHA256()).hex()
        return str(self.issuance.ledger.inventory.get(sha256, self.now()).status)

    def revoke(self, certificate: x509.Certificate) -> None:
        sha256 = certificate.fingerprint(hashes.SHA256()).hex()
        self.issuance.ledger.inventory.revoke(sha256, "key_compromise", self.now())

    @contextlib.asynccontextmanager
    async def serving(
        self,
        settings: EstTable | None = None,
        *,
        published: Sequence[Route] = (),
        names: Sequence[str] = ("localhost",),
    ) -> AsyncIterator["Server"]:
        """The server, until the block ends; then it must stop by itself."""
        stop, found = asyncio.Event(), asyncio.get_running_loop().create_future()
        options = ServeOptions("127.0.0.1", 0, 0, tuple(map(parse_host, names)))
        settings = settings or EstTable(issuer="test-factory-ca")
        running = asyncio.create_task(
            run_authority(
                self.issuance,
                settings,
                options,
                clock=self.now,
                stop=stop,
                ready=found.set_result,
                published=published,
            )
        )
        await asyncio.wait({running, found}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        try:
            yield Server(self, found.result(), stop)
        finally:
            stop.set()
            await running


@dataclass(frozen=True)
class Server:
    maker: Maker
    facts: Serving
    stop: asyncio.Event

    def url(self, operation: Operation, label: str | None = None) -> str:
        return f"https://localhost:{self.facts.port}{target_path(operation, label)}"

    def tls(self, holder: Holder | None = None, *, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=Chain.of(self.maker.root.chain.leaf).to_pem().decode())
        if holder is not None:
            context.load_cert_chain(holder.pem, holder.key_pem)
        if newest is not None:
            context.maximum_version = newest
        return context

    @contextlib.asynccontextmanager
    async def client(
        self,
        holder: Holder | None = None,
        *,
        password: BasicCredentials | None = None,
        newest: ssl.TLSVersion | None = None,
    ) -> AsyncIterator["Client"]:
        """A client with one kept connection."""
        connector = aiohttp.TCPConnector(ssl=self.tls(holder, newest=newest), limit=1)
        headers = {"Authorization": basic_header(password)} if password else {}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            yield Client(self, session)

    async def enrol(self, holder: Holder | None, body: bytes, **options: Any) -> Answer:
        """One request on a connection of its own."""
        password = options.pop("password", None)
        async with self.client(holder, password=password) as client:
            return await client.post(body, **options)


@dataclass(frozen=True)
class Client:
    server: Server
    session: aiohttp.ClientSession

    async def get(self, operation: Operation, label: str | None = None) -> Answer:
        async with self.session.get(self.server.url(operation, label)) as response:
            return Answer(response.status, dict(response.headers), await response.read())

    async def post(
        self,
        body: bytes,
        operation: Operation = Operation.SIMPLE_ENROLL,
        label: str | None = None,
        **headers: str | None,
    ) -> Answer:
        """A request in the strict form, unless `headers` (with underscores) say otherwise; None leaves one out."""
        sent = {"Content-Type": PKCS10, "Content-Transfer-Encoding": "base64"}
        sent |= {name.replace("_", "-"): value or "" for name, value in headers.items()}
        sent = {name: value for name, value in sent.items() if value}
        url = self.server.url(operation, label)
        async with self.session.post(url, data=body, headers=sent, skip_auto_headers=["Content-Type"]) as response:
            return Answer(response.status, dict(response.headers), await response.read())


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr(
    name: str | None = None,
    key: Any = None,
    *,
    serial_number: str | None = None,
    extensions: Sequence[x509.ExtensionType] = (),
    attributes: Sequence[tuple[x509.ObjectIdentifier, bytes]] = (),
    organisation: str | None = None,
) -> bytes:
    """A request in base64, as a strict client sends it."""
    subject = [
        (NameOID.ORGANIZATION_NAME, organisation),
        (NameOID.COMMON_NAME, name),
        (NameOID.SERIAL_NUMBER, serial_number),
    ]
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(oid, value) for oid, value in subject if value is not None])
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    for oid, value in attributes:
        builder = builder.add_attribute(oid, value)
    return base64.b64encode(der_of(builder.sign(key or new_key(), hashes.SHA256())))


def der_of(request: x509.CertificateSigningRequest) -> bytes:
    return request.public_bytes(Encoding.DER)
