"""The maker's EST server is gone for months, answers garbage, or with what is somebody else's; then it is back.

    device CA (enrolled) <- workload CA <- hub        the old device CA serves on; the hub is renewed below it

The clock is turned by days; the server is real, behind a relay that can be cut.
"""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from leafward import disk
from leafward.authority.est_settings import EstTable, LabelTable
from leafward.manager.daemon import Manager
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.names import parse_host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.home import Home
from leafward.wire.est.bodies import CERTIFICATES, certificates_only
from tests.authority.est_world import Maker
from tests.faults.summary import Count
from tests.faults.turns import Turns, serves
from tests.manager.enrolment_world import Gateway, Respond, http, lying, maker_here

DAY = timedelta(days=1)
# What this maker gives: a device CA for two years, so that it is due after 584 days.
YEARS = EstTable(
    issuer="test-factory-ca", labels={"device_ca": LabelTable(profile="device_ca", days=730)}, default_label="device_ca"
)


class Relay:
    """A port that leads to a server, to another one, or nowhere."""

    def __init__(self) -> None:
        self.port = 0
        self.to: int | None = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        with contextlib.suppress(OSError):
            if self.to is not None:
                far_reader, far = await asyncio.open_connection("127.0.0.1", self.to)
                pumps = [asyncio.ensure_future(_pump(reader, far)), asyncio.ensure_future(_pump(far_reader, writer))]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.wait(pumps)
        for one in (writer, far):
            if one is not None:
                one.close()
                with contextlib.suppress(OSError):
                    await one.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    yield from maker_here(tmp_path)


@pytest.fixture
def gateway(maker: Maker, tmp_path: Path) -> Gateway:
    made = Gateway(tmp_path, maker)
    made.with_identity()
    return made


def settle(gateway: Gateway, port: int) -> Home:
    """The settings of a gateway that enrols at the relay."""
    identity, key = gateway.values["identity_certificate"], gateway.values["identity_key"]
    gateway.home.settings.write_text(
        "\n".join(
            [
                "[device]",
                'hostname = "iotedgegw.local"',
                'device_id = "gw-0001"',
                f'trust_bundle = "{gateway.trust}"',
                "[enrolment]",
                f'url = "https://localhost:{port}/.well-known/est/device_ca"',
                f'identity_certificate = "{identity}"',
                f'identity_key = "{key}"',
            ]
        )
    )
    return gateway.home


def tls_of(maker: Maker) -> ssl.SSLContext:
    """A certificate for localhost below the root that is trusted; of now, since TLS reads the system's clock."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = CertificateRequest(public_key=key.public_key(), hosts=(parse_host("localhost"),))
    kind = profile("authority_server")
    chain = maker.issuance.issue(kind, request, now=maker.now(), issuer=maker.factory, replacing=True)
    holder = maker.written(chain, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(holder.pem, holder.key_pem)
    return context


async def month(manager: Manager, turns: Turns, maker: Maker, days: int = 30) -> int:
    """Days go by, a turn each; the hub serves on every one. How many attempts to enrol were made."""
    record = manager.standing.journal.of("device_ca")
    before = record.failed
    for _ in range(days):
        maker.offset += DAY
        await turns.turn()
        serves(manager, maker.now())
    return record.failed - before


async def test_months_without_the_server(maker: Maker, gateway: Gateway, count: Count) -> None:
    """Gone for three months, garbage for one, somebody else's certificate for one; then the new device CA, at once."""
    turns = Turns()
    tls, other = tls_of(maker), maker.hold("gw-0002", "device_ca")

    async with Relay().listening() as relay, maker.serving(YEARS) as server:
        relay.to = server.facts.port
        home = settle(gateway, relay.port)
        async with Manager(home, clock=maker.now, wait=turns, look_every=3600) as manager:
            await turns.waiting()
            standing = manager.standing
            first = fingerprint(standing.device_ca.chain.leaf)
            folder = {path: path.read_bytes() for path in (home.manager / "enrolled-device-ca").rglob("*.pem")}
            maker.offset += timedelta(days=580)
            await turns.turn()
            assert fingerprint(standing.device_ca.chain.leaf) == first
            relay.to = None
            attempts = await month(manager, turns, maker, 90)
            assert 60 <= attempts <= 90  # once a turn here: the pause never grows beyond hours
            assert "localhost" in standing.journal.failures()["device_ca"].reason
            for respond in (garbage, somebody_elses(other.chain)):
                async with lying(tls, respond) as liar:
                    relay.to = liar.port
                    assert await month(manager, turns, maker, 5) > 0
                    assert liar.asked, standing.journal.failures()["device_ca"].reason
                relay.to = None
            assert fingerprint(standing.device_ca.chain.leaf) == first
            assert {path: path.read_bytes() for path in folder if path.exists()} == folder
            relay.to = server.facts.port
            maker.offset += DAY
            await turns.turn()
            assert fingerprint(standing.device_ca.chain.leaf) != first
            assert "device_ca" not in standing.journal.failures()
            serves(manager, maker.now())
    count("months of an EST server that is gone, or lies", 3)
    count("devices and servers gone and back", 1)


def garbage(_path: str, _body: bytes) -> bytes:
    return http("200 OK", b"\x00\xff this is no certificate", Content_Type=CERTIFICATES)


def somebody_elses(chain: Chain) -> Respond:
    """The maker's, good, and another device's."""
    body = base64.b64encode(certificates_only(chain.certificates))

    def respond(_path: str, _body: bytes) -> bytes:
        return http("200 OK", body, Content_Type=CERTIFICATES, Content_Transfer_Encoding="base64")

    return respond


async def test_beyond_the_end_of_the_device_ca(maker: Maker, gateway: Gateway, count: Count) -> None:
    """The server is gone until the device CA has ended: nothing is lost by it, and it comes back with the server."""
    turns = Turns()
    async with Relay().listening() as relay, maker.serving(YEARS) as server:
        relay.to = server.facts.port
        home = settle(gateway, relay.port)
        async with Manager(home, clock=maker.now, wait=turns, look_every=3600) as manager:
            await turns.waiting()
            relay.to = None
            maker.offset += timedelta(days=740)
            for _ in range(3):
                await turns.turn()
                maker.offset += DAY
            assert list((home.manager / "enrolled-device-ca").rglob("*.pem"))
            relay.to = server.facts.port
            await turns.turn()
            serves(manager, maker.now())
    count("devices and servers gone and back", 1)


async def test_no_server_at_the_first_start(maker: Maker, gateway: Gateway, count: Count) -> None:
    """It waits, asks again, and comes up by itself when there is a server."""
    turns = Turns()
    async with Relay().listening() as relay, maker.serving(YEARS) as server:
        manager = Manager(settle(gateway, relay.port), clock=maker.now, wait=turns, look_every=3600)
        starting = asyncio.create_task(manager.start())
        pauses = [await turns.waiting()]
        for _ in range(12):
            maker.offset += pauses[-1]
            pauses.append(await turns.turn())
        assert max(pauses) <= timedelta(hours=6)
        assert not starting.done()
        assert not disk.leftovers(gateway.home.settings)
        relay.to = server.facts.port
        await turns.turn()
        await starting
        serves(manager, maker.now())
        await manager.close()
    count("devices and servers gone and back", 1)
