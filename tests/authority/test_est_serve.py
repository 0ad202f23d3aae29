"""The daemon: its own certificate, what it publishes, its limits, and how it stops."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from leafward.authority import serve
from leafward.authority.connection_guard import Limits
from leafward.authority.est_labels import Labels
from leafward.authority.est_settings import EstTable, read_est
from leafward.authority.ledger import Ledger
from leafward.authority.rollover import roll_over
from leafward.authority.serve import ServeOptions, run_authority
from leafward.authority.serve_certificate import ServeCertificate
from leafward.authority.serve_http import Answer, Request
from leafward.authority.serve_routes import Route
from leafward.errors import Busy, NotFound, SettingsError
from leafward.pki.names import parse_host
from leafward.wire.est.targets import Operation
from tests.authority.est_world import P256, Maker, csr


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    made = Maker(tmp_path)
    yield made
    made.issuance.close()


async def presented(port: int, tls: ssl.SSLContext, name: str = "localhost") -> bytes:
    """The server certificate that a client is shown, after it accepted it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return bytes(found)


async def test_a_second_start_presents_the_same_certificate(maker: Maker) -> None:
    async with maker.serving() as server:
        first = await presented(server.facts.port, server.tls())
    async with maker.serving() as server:
        assert await presented(server.facts.port, server.tls()) == first


async def test_another_name_gets_another_certificate(maker: Maker) -> None:
    async with maker.serving() as server:
        first = await presented(server.facts.port, server.tls())
    async with maker.serving(names=["est.example", "192.0.2.1"]) as server:
        assert await presented(server.facts.port, server.tls(), "est.example") != first


def test_the_certificate_renews_itself_while_it_serves(maker: Maker) -> None:
    """After 80 % of 30 days; what was there is replaced in the inventory, and one slot remains."""
    kept = ServeCertificate(maker.folder, maker.issuance, maker.factory, [parse_host("est.example")])
    kept.begin(maker.now())
    first = kept.context.chain.leaf
    assert not kept.tend(maker.now() + timedelta(days=20))
    assert kept.tend(maker.now() + timedelta(days=25))
    assert kept.context.chain.leaf != first
    assert maker.status(first) == "replaced"
    assert len(list((maker.folder / "serve").glob("0*"))) == 1


def test_a_renewal_that_fails_leaves_the_old_one(maker: Maker) -> None:
    kept = ServeCertificate(maker.folder, maker.issuance, maker.factory, [parse_host("est.example")])
    kept.begin(maker.now())
    first = kept.context.chain.leaf
    key = maker.folder / "maker" / "authorities" / maker.factory.name / "key.pem"
    key.rename(key.with_suffix(".away"))
    assert not kept.tend(maker.now() + timedelta(days=25))
    assert kept.context.chain.leaf == first


async def test_two_servers_on_one_folder(maker: Maker) -> None:
    async with maker.serving():
        with pytest.raises(Busy, match="in use"):
            async with maker.serving():
                pass


async def test_what_is_published_is_served_over_http_and_nothing_else(maker: Maker) -> None:
    async def crl(_request: Request, _: Mapping[str, str]) -> Answer:
        return Answer(200, b"crl", {"Content-Type": "application/pkix-crl"})

    route = Route("GET", r"/crl/factory\.crl", crl)
    async with maker.serving(published=[route]) as server, aiohttp.ClientSession() as http:
        assert server.facts.http_port is not None
        plain = f"http://127.0.0.1:{server.facts.http_port}"
        async with http.get(f"{plain}/crl/factory.crl") as answer:
            assert await answer.read() == b"crl"
        async with http.get(f"{plain}/.well-known/est/cacerts") as answer:
            assert answer.status == 404
        async with http.get(f"https://localhost:{server.facts.port}/crl/factory.crl", ssl=server.tls()) as answer:
            assert answer.status == 404


async def test_without_anything_published_there_is_no_http(maker: Maker) -> None:
    async with maker.serving() as server:
        assert server.facts.http_port is None


async def test_a_rollover_shows_in_cacerts(maker: Maker) -> None:
    """old root -> factory, and the new root beside it: RFC 7030 4.1.3's three certificates are told to every device."""
    made = roll_over(maker.issuance, maker.root, P256, now=maker.now())
    wanted = {one for chain in maker.issuance.authorities.rollover_certificates(made.root) for one in chain}
    async with maker.serving() as server, server.client() as client:
        found = set((await client.get(Operation.CA_CERTIFICATES)).certificates)
    assert wanted | set(maker.factory.chain.certificates) == found


async def test_a_device_of_the_old_root_enrols_below_the_new_one(maker: Maker) -> None:
    """old root -> factory -> device_identity; the label is below new root -> new factory: OldWithNew joins them."""
    identity = maker.hold("pump-7", "device_identity")
    made = roll_over(maker.issuance, maker.root, P256, now=maker.now())
    maker.issuance.intermediate("New Factory CA", P256, now=maker.now(), issuer=made.root)
    # The client trusts the new root already: that is what cacerts told it.
    maker.root = made.root
    async with maker.serving(EstTable(issuer="new-factory-ca")) as server:
        assert (await server.enrol(identity, csr("pump-7"))).status == 200


async def test_labels_from_the_settings(maker: Maker, tmp_path: Path) -> None:
    """[est.labels.pumps]: 90 days by the factory; the default label is the only one there is."""
    settings = tmp_path / "leafward.toml"
    settings.write_text(
        '[est]\ndefault_label = "pumps"\n[est.labels.pumps]\nprofile = "leaf_device"\nissuer = "Test Factory CA"\n'
        "days = 90\nserver_keys = false\n"
    )
    async with maker.serving(read_est(settings)) as server:
        identity = maker.hold("pump-7", "device_identity")
        got = (await server.enrol(identity, csr("pump-7"))).certificate
        assert got.not_valid_after_utc - maker.now() < timedelta(days=90)
        assert (await server.enrol(identity, csr("pump-7"), label="leaf_device")).status == 404
        answer = await server.enrol(identity, csr("pump-7"), operation=Operation.SERVER_KEY_GENERATION)
        assert answer.status == 403


@pytest.mark.parametrize(
    "text",
    [
        '[est]\ndefault_label = "none"',
        '[est.labels.simpleenroll]\nprofile = "leaf_device"',
        '[est.labels.leaf_device]\nprofile = "hub_server"',
        '[est.labels.leaf_device]\nprofile = "leaf_device"\ndays = 0',
        "[est]\nretry = 1",
    ],
)
def test_settings_that_are_wrong(tmp_path: Path, text: str) -> None:
    (tmp_path / "leafward.toml").write_text(text)
    with pytest.raises(SettingsError):
        read_est(tmp_path / "leafward.toml")


def test_two_hierarchies_want_an_issuer(maker: Maker) -> None:
    maker.other_hierarchy()
    with pytest.raises(NotFound) as refused:
        Labels.of(EstTable(), maker.issuance.authorities)
    assert "[est] issuer" in (refused.value.hint or "")


async def test_a_stop_answers_what_is_being_answered(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is told to stop while a certificate is being recorded: its device still gets it."""
    identity = maker.hold("pump-7", "device_identity")
    loop, record = asyncio.get_running_loop(), Ledger.record
    async with maker.serving() as server, server.client(identity) as client:

        def stopping(self: Ledger, *arguments: Any, **options: Any) -> list[int]:
            loop.call_soon_threadsafe(server.stop.set)
            return record(self, *arguments, **options)

        monkeypatch.setattr(Ledger, "record", stopping)
        answer = await client.post(csr("pump-7"))
    assert maker.status(answer.certificate) == "valid"


async def test_who_asks_nothing_is_cut_off(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "LIMITS", Limits(request=0.05))
    async with maker.serving() as server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.facts.port, ssl=server.tls(), server_hostname="localhost"
        )
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_a_body_that_dribbles_is_not_waited_for(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "LIMITS", Limits(body=0.05))
    identity = maker.hold("pump-7", "device_identity")
    async with maker.serving() as server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.facts.port, ssl=server.tls(identity), server_hostname="localhost"
        )
        head = "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nMII"
        writer.write(head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()


async def test_one_connection_too_many(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "LIMITS", Limits(most=1))
    async with maker.serving() as server, server.client() as client:
        assert (await client.get(Operation.CA_CERTIFICATES)).status == 200
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await server.enrol(None, csr("pump-7"))
        assert (await client.get(Operation.CA_CERTIFICATES)).status == 200


async def test_a_port_that_is_taken(maker: Maker) -> None:
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    options = ServeOptions("127.0.0.1", port, 0, (parse_host("localhost"),))
    with pytest.raises(Busy, match=str(port)) as refused:
        await run_authority(
            maker.issuance, EstTable(), options, clock=maker.now, stop=asyncio.Event(), ready=lambda _: None
        )
    assert "--port" in (refused.value.hint or "")
    taken.close()
    await taken.wait_closed()
