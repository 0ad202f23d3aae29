"""A gateway that enrols at a maker's real EST server, and a server that answers whatever it is told."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from leafward import disk
from leafward.keys.key_reference import KeyReference
from leafward.manager.device_ca import DeviceCaFiles, find_device_ca, judge_device_ca
from leafward.manager.enrolment import Enrolment
from leafward.manager.settings import DeviceSettings, EnrolmentSettings
from leafward.manager.trust_bundle import read_roots
from leafward.pki.chain import Chain
from leafward.pki.key_types import parse_key_type
from leafward.pki.names import parse_host
from leafward.store.home import Home
from tests.authority.est_world import Holder, Maker, Server

NAME = "gw-0001"
HALF = lambda: 0.5  # noqa: E731


@dataclass
class Gateway:
    """One home, and the settings of its enrolment, to be changed by a test."""

    folder: Path
    maker: Maker
    values: dict[str, Any] = field(default_factory=dict)
    device_values: dict[str, Any] = field(default_factory=dict)
    rekey: bool = True

    def __post_init__(self) -> None:
        self.home = Home(self.folder / "home")
        self.trust = self.folder / "trust.pem"
        disk.make_folder(self.home.manager)
        self.trust.write_bytes(self.maker.root.chain.to_pem())

    @property
    def device(self) -> DeviceSettings:
        known = {"hostname": parse_host("iotedgegw.local"), "device_id": NAME, "trust_bundle": self.trust}
        return DeviceSettings.model_construct(**{**known, **self.device_values})

    def settings(self, url: str) -> EnrolmentSettings:
        known: dict[str, Any] = {"url": url, "key_type": parse_key_type("ec-p256")}
        return EnrolmentSettings.model_construct(**{**known, **self.values})

    def enrolment(self, url: str) -> Enrolment:
        """As a process just started has it."""
        return Enrolment(self.home, self.settings(url), self.device, now=self.maker.now, random=HALF, rekey=self.rekey)

    def with_identity(self, name: str = NAME) -> Holder:
        """Given by the maker at the factory."""
        holder = self.maker.hold(name, "device_identity")
        holder.key_pem.chmod(0o600)
        self.values |= {
            "identity_certificate": holder.pem,
            "identity_key": KeyReference("file", str(holder.key_pem)),
        }
        return holder

    def with_account(self, **options: Any) -> None:
        options = {"labels": ["device_ca"], "devices": NAME, **options}
        account = self.maker.account(f"account-{NAME}", **options)
        path = self.folder / "password"
        path.write_text(account.password + "\n")
        path.chmod(0o600)
        self.values |= {"username": account.name, "password_file": path}

    @property
    def folder_of_slots(self) -> Path:
        return self.home.manager / "enrolled-device-ca"

    @property
    def keys(self) -> list[str]:
        folder = self.folder_of_slots / "keys"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    @property
    def slots(self) -> list[str]:
        return sorted(path.name for path in self.folder_of_slots.iterdir() if path.name.isdigit())


@dataclass(frozen=True)
class Contents:
    """What a forged certificate says; the defaults are a device CA's."""

    common_name: str
    not_before: datetime
    not_after: datetime
    ca: bool = True
    path_length: int | None = 1
    key_cert_sign: bool = True


def url_of(server: Server, label: str = "device_ca") -> str:
    return f"https://localhost:{server.facts.port}/.well-known/est/{label}"


Respond = Callable[[str, bytes], bytes]


@dataclass
class Liar:
    """A TLS server with a good certificate whose answers a test writes, byte for byte."""

    port: int
    respond: Respond
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/.well-known/est"


def http(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@contextlib.asynccontextmanager
async def lying(context: ssl.SSLContext | None, respond: Respond) -> AsyncIterator[Liar]:
    """Serves until the block ends. `respond` gets the request's path and its body."""
    liar = Liar(0, respond)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ", 2)[1]
            length = next((line for line in head.split("\r\n") if line.lower().startswith("content-length")), ":0")
            body = await reader.readexactly(int(length.partition(":")[2]))
            liar.asked.append(path)
            writer.write(liar.respond(path, body))
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    async with listening(serve, context) as liar.port:
        yield liar


Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(handle: Handle, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server on a port of its own until the block ends; then nothing of it is left, no connection either."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.current_task())  # type: ignore[arg-type]
        await handle(reader, writer)

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(10):
            # Before Python 3.12, `wait_closed` did not wait for the connections.
            while getattr(server, "_active_count", 0):
                await asyncio.sleep(0.01)


def maker_here(folder: Path) -> Iterator[Maker]:
    made = Maker(folder)
    yield made
    made.issuance.close()


def leaf(files: DeviceCaFiles) -> x509.Certificate:
    return Chain.from_pem(files.certificate.read_bytes()).leaf


def public_bytes(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def judged(gateway: Gateway, files: DeviceCaFiles) -> Chain:
    """As the next start does it."""
    roots = read_roots(gateway.device.trust_bundle)
    found = find_device_ca(gateway.home, gateway.device, roots=roots, files=files)
    return judge_device_ca(found, gateway.home, gateway.device, now=gateway.maker.now()).chain


async def enrol(enrolment: Enrolment) -> DeviceCaFiles:
    return await asyncio.to_thread(enrolment.enrol)
