"""A hub in this process, the manager it asks for its certificate, and clients that do just what a test tells them.

    root -> intermediate -> device CA -> workload CA -> hub (localhost)
                                `-> leaf devices

The certificates are built with plain `cryptography` and the clients speak TLS by the standard library's `ssl`, so that
a fault of ours cannot hide itself. Every test runs on uvloop and on asyncio's own loop.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.hub.daemon import HubAddresses, run_hub
from leafward.store.home import Home
from leafward.store.identity import AuthType, Identity
from leafward.store.messages import MessageStore
from leafward.store.registry import Registry
from leafward.wire.management_api import ModuleEnvironment
from leafward.wire.rotation import HubVerdict
from leafward.wire.server_sent_events import Event
from leafward.wire.server_sent_events import encode as encode_event
from leafward.wire.workload_api import CertificateResponse, trust_bundle_response
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import HOST, KEY, NOW, PATIENCE, Client, Http, login
from tests.hub.plain_world import World as PlainWorld


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


# ---- certificates


@pytest.fixture(scope="session")
def root() -> Held:
    """The root."""
    return make("Hub Test Root", ca=True)


@pytest.fixture(scope="session")
def intermediate(root: Held) -> Held:
    """root -> intermediate."""
    return make("Hub Test Intermediate", root, ca=True)


@pytest.fixture(scope="session")
def device_ca(intermediate: Held) -> Held:
    """root -> intermediate -> device CA."""
    return make("device.ca", intermediate, ca=True)


@pytest.fixture(scope="session")
def workload_ca(device_ca: Held) -> Held:
    """... device CA -> workload CA."""
    return make("iotedge workload ca", device_ca, ca=True, path_length=0)


@pytest.fixture(scope="session")
def server(workload_ca: Held) -> Held:
    """... workload CA -> localhost."""
    return make(HOST, workload_ca)


# ---- the manager


@dataclass
class FakeManager:
    """Answers what a hub asks of its manager. `server` may be changed while it runs."""

    server: Held
    anchors: bytes
    attached: int = 0
    generation_id: str = "g1"
    knows_hub: bool = False
    verdicts: list[HubVerdict] = field(default_factory=list)
    listening: list[web.StreamResponse] = field(default_factory=list)

    def application(self) -> web.Application:
        application = web.Application()
        application.add_routes(
            [
                web.post("/modules/$edgeHub/attach", self._attach),
                web.post("/modules/$edgeHub/genid/{genid}/certificate/server", self._certificate),
                web.get("/trust-bundle", self._trust_bundle),
                web.get("/events", self._events),
                web.post("/modules/$edgeHub/genid/{genid}/certificate/server/verdict", self._verdict),
            ]
        )
        return application

    async def _attach(self, request: web.Request) -> web.Response:
        assert request.query["api-version"]
        self.attached += 1
        self.knows_hub = True
        environment = {"IOTEDGE_MODULEGENERATIONID": self.generation_id, "IOTEDGE_IOTHUBHOSTNAME": "hub.example"}
        return web.Response(body=ModuleEnvironment("$edgeHub", environment).to_json())

    async def _certificate(self, request: web.Request) -> web.Response:
        if not self.knows_hub or request.match_info["genid"] != self.generation_id:
            return web.json_response({"message": "forbidden"}, status=403)
        answer = CertificateResponse(self.server.key_pem(), self.server.pem(), self.server.leaf.not_valid_after_utc)
        return web.Response(body=answer.to_json(), status=201)

    async def _trust_bundle(self, _request: web.Request) -> web.Response:
        return web.Response(body=trust_bundle_response(self.anchors))

    async def _verdict(self, request: web.Request) -> web.Response:
        self.verdicts.append(HubVerdict.parse(await request.read()))
        return web.Response(status=204)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Ends with the manager, or when the test closes it."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        self.listening.append(answer)
        await asyncio.Event().wait()
        return answer

    async def tell(self, kind: str = "certificate") -> None:
        """An event to everybody who listens."""
        for answer in self.listening:
            await answer.write(encode_event(Event(1, kind, NOW, {})))

    async def hang_up(self) -> None:
        """Ends every stream, as a manager does that stops."""
        while self.listening:
            await self.listening.pop().write_eof()

    @contextlib.asynccontextmanager
    async def running(self, home: Home) -> AsyncIterator[None]:
        home.make_socket_folder()
        runner = web.AppRunner(self.application(), shutdown_timeout=0.01)
        await runner.setup()
        try:
            for path in (home.workload_socket, home.management_socket):
                await web.UnixSite(runner, str(path)).start()
            yield
        finally:
            await runner.cleanup()


# ---- the hub


@dataclass
class RunningHub:
    """A hub that runs, with its home and its manager."""

    home: Home
    manager: FakeManager
    root_pem: str
    folder: Path
    addresses: HubAddresses | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _task: asyncio.Task[None] | None = None
    _stop: asyncio.Event | None = None
    _clients: list[Client] = field(default_factory=list)

    @property
    def at(self) -> HubAddresses:
        assert self.addresses is not None
        return self.addresses

    async def start(self) -> "RunningHub":
        self._stop = asyncio.Event()
        ready: asyncio.Future[HubAddresses] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(
            run_hub(
                self.home,
                bind="127.0.0.1",
                mqtt_port=0,
                https_ports=[0],
                clock=self.clock,
                stop=self._stop,
                ready=ready.set_result,
            )
        )
        await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        if self._task.done():
            self._task.result()
        self.addresses = await ready
        return self

    async def stop(self) -> None:
        """Stops it and waits for its end; raises what it failed with."""
        if self._task is not None and self._stop is not None:
            self._stop.set()
            await asyncio.wait_for(self._task, PATIENCE)
            self._task = None

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        await self.stop()

    def trusting(self, held: Held | None = None, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """A client's TLS settings that trust the root; with `held` as client certificate."""
        context = ssl.create_default_context(cadata=self.root_pem)
        context.maximum_version = version
        if held is not None:
            path = self.folder / f"{id(held)}.pem"
            path.write_bytes(held.pem() + held.key_pem())
            context.load_cert_chain(path)
        return context

    async def client(self, held: Held | None = None, *, receive_buffer: int | None = None, **options: Any) -> Client:
        """A TLS connection with nothing said yet. `receive_buffer`: bytes that the kernel keeps for it."""
        raw = socket.socket()
        raw.setblocking(False)
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.at.mqtt_port))
            reader, writer = await asyncio.open_connection(
                sock=raw, ssl=self.trusting(held, **options), server_hostname=HOST
            )
        except OSError:
            raw.close()
            raise
        self._clients.append(client := Client(reader, writer))
        return client

    async def connected(
        self, *login_arguments: Any, held: Held | None = None, present: bool | None = None, **login_options: Any
    ) -> Client:
        """A client that the hub has let in. `present`: whether it must find a session."""
        client = await self.client(held)
        answer = await client.connect(login(*login_arguments, **login_options))
        assert answer.return_code == 0, answer
        assert present in {None, answer.session_present}
        return client

    @contextlib.asynccontextmanager
    async def http(self, held: Held | None = None) -> AsyncIterator["Http"]:
        """An HTTPS client."""
        connector = aiohttp.TCPConnector(ssl=self.trusting(held), force_close=False)
        async with aiohttp.ClientSession(connector=connector) as session:
            yield Http(session, f"https://127.0.0.1:{self.at.https_port}")

    async def counted(self, name: str, reason: str | None = None) -> float:
        """A counter of the hub's own metrics."""
        label = "" if reason is None else f'{{reason="{reason}"}}'
        async with self.http() as http, http.request("GET", "/metrics") as response:
            lines = (await response.text()).splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"leafward_hub_{name}{label} ")), 0.0)

    def add(self, device_id: str, module_id: str | None = None, *, auth: AuthType = "sas", **fields: Any) -> Identity:
        """Registers an identity, as another process does."""
        values: dict[str, Any] = {
            "enabled": True,
            "generation_id": f"g-{device_id}",
            "primary_key": KEY if auth == "sas" else None,
            "secondary_key": None,
            "primary_thumbprint": None,
            "secondary_thumbprint": None,
            "created": datetime.now(UTC),
            **fields,
        }
        identity = Identity(device_id, module_id, auth, **values)
        with self.registry() as registry:
            registry.add(identity)
        return identity

    @contextlib.contextmanager
    def registry(self) -> Any:
        registry = Registry.open(self.home.registry)
        try:
            yield registry
        finally:
            registry.close()

    def messages(self) -> list[Any]:
        """What is durable and goes upstream."""
        store = MessageStore.open_read_only(self.home.messages)
        try:
            return store.read()
        finally:
            store.close()


StartHub = Callable[..., Any]


@pytest.fixture
async def make_hub(tmp_path: Path, server: Held, root: Held) -> AsyncIterator[StartHub]:
    """Makes hubs that are not started; `settings` is the text of leafward.toml."""
    async with contextlib.AsyncExitStack() as stack:

        async def new(settings: str = "", *, manager: bool = True) -> RunningHub:
            home = Home(tmp_path / "home")
            home.root.mkdir(exist_ok=True)
            home.settings.write_text(f'[device]\nhostname = "{HOST}"\n{settings}')
            fake = FakeManager(server, root.leaf.public_bytes(Encoding.PEM))
            if manager:
                await stack.enter_async_context(fake.running(home))
            hub = RunningHub(home, fake, root.pem().decode(), tmp_path)
            stack.push_async_callback(hub.close)
            return hub

        yield new


@pytest.fixture
async def hub(make_hub: StartHub) -> RunningHub:
    """A hub with the default settings that runs."""
    return await (await make_hub()).start()


# ---- without sockets and an event loop


@pytest.fixture
def world(tmp_path: Path) -> Iterator[PlainWorld]:
    """A hub that allows everything."""
    made = PlainWorld(tmp_path)
    yield made
    made.close()
