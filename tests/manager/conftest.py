"""A maker for the manager's tests: it makes any device CA, right or wrong, with the plain builder."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from leafward import disk
from leafward.manager.connection_limits import ConnectionLimits
from leafward.manager.daemon import Manager
from leafward.manager.door import Door
from leafward.manager.fair_turns import FairTurns
from leafward.manager.http_server import HttpServer, Times
from leafward.manager.unix_socket import listen
from leafward.pki.chain import Chain
from leafward.pki.encoding import private_key_to_pem
from leafward.store.home import Home
from tests.manager.http_world import Reader, World, Writer
from tests.manager.wipe_world import Owner, use

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
VERSION = "2019-01-30"


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, duration: timedelta) -> None:
        self.now += duration


@dataclass
class Ca:
    """A CA of the maker's."""

    chain: Chain
    key: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True)
class Plan:
    """What to put into a CA certificate; the default is right."""

    common_name: str = "iotgateway.ca"
    ca: bool = True
    path_length: int | None = 1
    not_before: datetime = NOW - 10 * DAY
    not_after: datetime = NOW + 3650 * DAY
    key_cert_sign: bool = True

    def __call__(self, **changes: object) -> "Plan":
        return replace(self, **changes)  # type: ignore[arg-type]


def make_ca(plan: Plan, issuer: Ca | None = None) -> Ca:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, plan.common_name)])
    above = issuer.chain.leaf if issuer else None
    signer = issuer.key if issuer else key
    usage = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"], False
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number() | 1 << 150)
        .not_valid_before(plan.not_before)
        .not_valid_after(plan.not_after)
        .add_extension(x509.BasicConstraints(plan.ca, plan.path_length if plan.ca else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not plan.key_cert_sign,
                key_cert_sign=plan.key_cert_sign,
                crl_sign=plan.key_cert_sign,
                decipher_only=False,
                **usage,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Ca(Chain.of(certificate, *(issuer.chain if issuer else ())), key)


class Maker:
    """root -> intermediate -> device CA."""

    def __init__(self) -> None:
        self.root = make_ca(Plan("Test Root", path_length=None))
        self.intermediate = make_ca(Plan("Test Intermediate", path_length=2), self.root)

    def device_ca(self, plan: Plan | None = None) -> Ca:
        return make_ca(plan or Plan(), self.intermediate)

    def install(self, home: Home, plan: Plan | None = None) -> Ca:
        """A device CA in the home's standard place."""
        made = self.device_ca(plan)
        put(home, made.chain, made.key)
        return made


def put(home: Home, chain: Chain, key: ec.EllipticCurvePrivateKey) -> Path:
    """A device CA's files in the home's standard place; the certificate's path."""
    folder = home.manager / "device-ca"
    disk.make_folder(folder)
    disk.write_file(folder / "certificate.pem", chain.to_pem(), mode=disk.PUBLIC)
    disk.write_file(folder / "key.pem", private_key_to_pem(key), mode=disk.PRIVATE)
    return folder / "certificate.pem"


def set_device(home: Home, **values: object) -> None:
    """The settings file with a [device] table."""
    lines = [f"{key} = {_toml(value)}" for key, value in {"hostname": "iotedgegw.local", **values}.items()]
    disk.make_folder(home.root)
    home.settings.write_text("[device]\n" + "\n".join(lines) + "\n")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return f'"{value}"'


@pytest.fixture(scope="session")
def maker() -> Maker:
    return Maker()


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def plan() -> Plan:
    return Plan()


@pytest.fixture
def install(maker: Maker, home: Home) -> Callable[..., Ca]:
    """Installs a device CA of the maker's; changes to the plan by keyword."""
    return lambda **changes: maker.install(home, Plan()(**changes))


@pytest.fixture
def install_for_ever(home: Home) -> Callable[[], Ca]:
    """Installs a device CA below a maker of its own, all of them until the year 2200."""

    def put_it() -> Ca:
        end = datetime(2200, 1, 1, tzinfo=UTC)
        root = make_ca(Plan("Old Root", path_length=None, not_after=end))
        made = make_ca(Plan(not_after=end), make_ca(Plan("Old Intermediate", path_length=2, not_after=end), root))
        put(home, made.chain, made.key)
        return made

    return put_it


@pytest.fixture
def settings_of(home: Home) -> Callable[..., None]:
    """Writes the home's settings: [device] by keyword."""
    return lambda **values: set_device(home, **values)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home without a device CA, for the host iotedgegw.local."""
    made = Home(tmp_path / "home")
    set_device(made)
    return made


# A program that is to be a module: makes the requests it reads, one JSON line each, and writes what was answered.
_CLIENT = """
import http.client, json, socket, sys
for line in sys.stdin:
    where, method, path, body, headers = json.loads(line)
    connection = http.client.HTTPConnection("manager", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.connect(where)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        print(json.dumps([answer.status, answer.read().decode()]), flush=True)
    except (OSError, http.client.HTTPException) as error:
        print(json.dumps([0, type(error).__name__]), flush=True)
    connection.close()
"""


@dataclass(frozen=True)
class Answer:
    status: int
    text: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.text)  # type: ignore[no-any-return]

    @property
    def message(self) -> str:
        assert set(self.json) == {"message"}
        return str(self.json["message"])


class Program:
    """A process of its own that talks to the manager's sockets."""

    def __init__(self, home: Home, process: asyncio.subprocess.Process) -> None:
        self._home = home
        self._process = process
        self.pid = process.pid
        self.generation = ""

    async def workload(self, method: str, path: str, body: object = None, version: str | None = VERSION) -> Answer:
        return await self._ask(self._home.workload_socket, method, path, body, version)

    async def management(self, method: str, path: str, body: object = None, version: str | None = VERSION) -> Answer:
        return await self._ask(self._home.management_socket, method, path, body, version)

    async def attach(self, module: str) -> "Program":
        answer = await self.management("POST", f"/modules/{quote(module, safe='')}/attach")
        assert answer.status == 200, answer
        self.generation = answer.json["environment"]["IOTEDGE_MODULEGENERATIONID"]
        return self

    async def _ask(self, where: Path, method: str, path: str, body: object, version: str | None) -> Answer:
        query = "" if version is None else f"?api-version={version}"
        text = None if body is None else body if isinstance(body, str) else json.dumps(body)
        request = [str(where), method, f"{path}{query}", text, {}]
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        return Answer(*json.loads(await self._process.stdout.readline()))


@pytest.fixture
async def manager(home: Home, clock: SetClock, install: Callable[..., Ca]) -> AsyncIterator[Manager]:
    """A running manager below a right device CA."""
    install()
    async with Manager(home, clock=clock) as running:
        yield running


@pytest.fixture
async def program(home: Home) -> AsyncIterator[Callable[[], Awaitable[Program]]]:
    """Starts programs; each ends with the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start() -> Program:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", "-c", _CLIENT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**22,
        )
        started.append(process)
        return Program(home, process)

    yield start
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


@pytest.fixture
def put_device_ca(home: Home) -> Callable[[Chain, ec.EllipticCurvePrivateKey], Path]:
    """Puts a chain and a key, which need not belong together, where the device CA is looked for."""
    return lambda chain, key: put(home, chain, key)


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def serve(world: World, tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[HttpServer]]]:
    """Starts the server, with times and limits as asked for."""
    async with AsyncExitStack() as closing:

        async def start(limits: ConnectionLimits | None = None, **times: float) -> HttpServer:
            turns = FairTurns()
            server = HttpServer(world.routes(), turns, times=Times(**times))
            listening = await listen(tmp_path / "s", 0o600, server.at(Door("s"), limits))
            closing.push_async_callback(server.close)
            closing.callback(listening.close)
            closing.callback(turns.close)
            return server

        yield start


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[], Any]:
    @asynccontextmanager
    async def connection() -> AsyncIterator[tuple[Reader, Writer]]:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        try:
            yield reader, writer
        finally:
            writer.close()

    return connection


@pytest.fixture
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of the steps is looked at in `test_wipe_kill.py`."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def owner(home: Home, install: Callable[..., Any], clock: Any) -> Owner:
    install()
    return use(home, clock)


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    return tmp_path / "receipt.pem"
