"""A site's devices that all register in the same second: the devices' side, over the hub's socket and over MQTT.

By the socket: as the hub asks `leafward provisioning run` for them, certificates handed on in its header. By MQTT:
each device makes its own TLS handshake with its own certificate, as the SDKs do, and keeps its connection. A device
does what it is told (429 with Retry-After, 202, then its operation) and counts as failed when it is not assigned in the
end, or when its connection is not served.
"""

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from leafward.wire import dps
from leafward.wire.mqtt.decoder import Decoder
from leafward.wire.mqtt.encoder import encode
from leafward.wire.mqtt.packets import Connack, Connect, Packet, Puback, Publish, Subscribe

SCOPE = "leafward"
VERSION = "api-version=2019-03-31"
# Connections that the herd opens at once to the socket: the hub's door has fewer.
CONNECTIONS = 500
# Seconds for a handshake and CONNECT, for an answer: the SDKs wait 60 and 30.
CONNECT_SECONDS, ANSWER_SECONDS = 60.0, 30.0
# asyncio keeps so many bytes for each TLS connection; its own are 256 KiB.
asyncio.sslproto.SSLProtocol.max_size = 16 * 1024  # type: ignore[attr-defined]

Headers = dict[str, str]
Kind = TypeVar("Kind", Connack, Publish)


@dataclass
class Herd:
    """What became of it. `tries` counts connections that were made."""

    answers: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    tries: int = 0

    @property
    def failed(self) -> int:
        """Devices that were not assigned."""
        return sum(self.faults.values())


@dataclass(frozen=True)
class Ca:
    """A CA with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def root(cls, name: str) -> "Ca":
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_certificate(name, key, None), key)

    def below(self, name: str) -> "Ca":
        key = ec.generate_private_key(ec.SECP256R1())
        return Ca(_certificate(name, key, self), key)

    def leaf(self, name: str, key: ec.EllipticCurvePrivateKey, *, server: bool = False) -> x509.Certificate:
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        return _certificate(name, key, self, purpose)


@dataclass(frozen=True)
class Site:
    """root -> intermediate -> line -> the devices, which share a key: a key of its own costs each one nothing here."""

    root: Ca
    intermediate: Ca
    line: Ca
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def made(cls) -> "Site":
        root = Ca.root("Herd Root")
        intermediate = root.below("Herd Intermediate")
        line = intermediate.below("Herd Line CA")
        return cls(root, intermediate, line, ec.generate_private_key(ec.SECP256R1()))

    def chain(self, name: str) -> list[x509.Certificate]:
        """What a device sends: up to the root, without it."""
        return [self.line.leaf(name, self.key), self.line.certificate, self.intermediate.certificate]


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: Ca | None, purpose: x509.ObjectIdentifier | None = None
) -> x509.Certificate:
    now, ca = datetime.now(UTC), purpose is None
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer else key
    names = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*names, "encipher_only", "decipher_only"), False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if purpose == ExtendedKeyUsageOID.SERVER_AUTH:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def pem(*certificates: x509.Certificate) -> bytes:
    """One after the other."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Unencrypted PKCS #8."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


# ---- by the hub's socket


async def by_socket(socket: Path, devices: Mapping[str, Headers]) -> Herd:
    """All at once; each with the headers that the hub sends for it."""
    herd = Herd()
    connector = aiohttp.UnixConnector(path=str(socket), limit=CONNECTIONS)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, base_url="http://provisioning") as session:
        await asyncio.gather(*(_asks(session, herd, name, headers) for name, headers in devices.items()))
    return herd


async def _asks(session: aiohttp.ClientSession, herd: Herd, name: str, headers: Headers) -> None:
    begun = time.perf_counter()
    body = json.dumps({"registrationId": name}).encode()
    path = f"{dps.register_path(SCOPE, name)}?{VERSION}"
    while True:
        status, found, later = await _ask(session, "PUT", path, headers, body)
        herd.answers[status] += 1
        if status == 202:
            break
        if status not in (429, 503):
            herd.faults[f"status {status}"] += 1
            return
        await asyncio.sleep(later)
    await asyncio.sleep(later)
    path = f"{dps.operation_path(SCOPE, name, found['operationId'])}?{VERSION}"
    status, found, _ = await _ask(session, "GET", path, headers, b"")
    if status != 200 or found["status"] != "assigned":
        herd.faults[f"operation: status {status}"] += 1
    herd.waits.append(time.perf_counter() - begun)


async def _ask(
    session: aiohttp.ClientSession, method: str, path: str, headers: Headers, body: bytes
) -> tuple[int, dict[str, str], float]:
    async with session.request(method, path, headers=headers, data=body) as answer:
        return answer.status, await answer.json(), float(answer.headers.get("Retry-After", 0))


# ---- by MQTT, each with a handshake of its own


async def by_mqtt(port: int, contexts: Mapping[str, ssl.SSLContext]) -> Herd:
    """All at once, each device by its own context."""
    herd = Herd()
    await asyncio.gather(*(_registers(herd, name, port, context) for name, context in contexts.items()))
    return herd


def contexts(site: Site, names: list[str], folder: Path) -> dict[str, ssl.SSLContext]:
    """What each device makes its handshake with."""
    folder.mkdir()
    (folder / "key.pem").write_bytes(key_pem(site.key))
    root, found = pem(site.root.certificate).decode(), {}
    for name in names:
        (folder / "chain.pem").write_bytes(pem(*site.chain(name)))
        found[name] = ssl.create_default_context(cadata=root)
        found[name].load_cert_chain(folder / "chain.pem", folder / "key.pem")
    return found


async def _registers(herd: Herd, name: str, port: int, context: ssl.SSLContext) -> None:
    begun = time.perf_counter()
    try:
        connection = await _Connection.opened(herd, name, port, context)
    except (OSError, TimeoutError, ConnectionError, EOFError) as error:
        herd.faults[f"no connection: {type(error).__name__}"] += 1
        return
    try:
        status, later, found = await connection.register(herd)
        if status == 202:
            await asyncio.sleep(later)
            status, _, found = await connection.ask(
                f"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=9&operationId={found['operationId']}", b" "
            )
        if status != 200 or found["status"] != "assigned":
            herd.faults[f"status {status}"] += 1
    except (OSError, TimeoutError, EOFError) as error:
        herd.faults[f"not answered: {type(error).__name__}"] += 1
    finally:
        connection.close()
    herd.waits.append(time.perf_counter() - begun)


class _Connection:
    """One device's, as an SDK's: CONNECT, SUBSCRIBE, then questions one after the other."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name = name
        self._reader, self._writer = reader, writer
        self._decoder = Decoder(64 * 1024)
        self._waiting: list[Packet] = []

    @classmethod
    async def opened(cls, herd: Herd, name: str, port: int, context: ssl.SSLContext) -> "_Connection":
        """Connected, and told what is answered."""
        async with asyncio.timeout(CONNECT_SECONDS):
            herd.tries += 1
            reader, writer = await asyncio.open_connection(
                "localhost", port, ssl=context, ssl_handshake_timeout=CONNECT_SECONDS, limit=16 * 1024
            )
            made = cls(name, reader, writer)
            user = f"{SCOPE}/registrations/{name}/{VERSION}&ClientVersion=herd"
            writer.write(encode(Connect(name, 240, username=user)))
            await made._next(Connack)
            writer.write(encode(Subscribe(1, (("$dps/registrations/res/#", 1),))))
        return made

    async def register(self, herd: Herd) -> tuple[int, float, dict[str, str]]:
        """Until it is told something else than to come back."""
        body = json.dumps({"registrationId": self._name}).encode()
        while True:
            status, later, found = await self.ask("$dps/registrations/PUT/iotdps-register/?$rid=1", body)
            herd.answers[status] += 1
            if status not in (429, 503):
                return status, later, found
            await asyncio.sleep(later)

    async def ask(self, topic: str, body: bytes) -> tuple[int, float, dict[str, str]]:
        """(status, seconds to wait, body)."""
        self._writer.write(encode(Publish(topic, body, qos=1, packet_id=2)))
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await self._next(Publish)
        if answer.qos:
            self._writer.write(encode(Puback(answer.packet_id or 1)))
        status, _, rest = answer.topic.removeprefix("$dps/registrations/res/").partition("/")
        later = rest.partition("retry-after=")[2]
        return int(status), float(later or 0), json.loads(answer.payload)

    def close(self) -> None:
        self._writer.transport.abort()

    async def _next(self, kind: type[Kind]) -> Kind:
        while True:
            for at, packet in enumerate(self._waiting):
                if isinstance(packet, kind):
                    del self._waiting[: at + 1]
                    return packet
            data = await self._reader.read(16 * 1024)
            if not data:
                raise EOFError
            self._waiting += self._decoder.feed(data)
