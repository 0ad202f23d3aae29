"""A gateway that gets its device CA from the maker's real EST server, and the next one after it."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from leafward.authority.rollover import roll_over
from leafward.errors import (
    AccessDenied,
    AlreadyExists,
    PeerUnavailable,
    RuleViolation,
    SettingsError,
)
from leafward.keys.key_reference import KeyReference
from leafward.manager.enrolment import Enrolment
from leafward.pki.chain import Chain
from leafward.pki.names import common_name
from tests.authority.est_world import P256, Maker
from tests.manager.enrolment_world import NAME, Gateway, enrol, judged, leaf, maker_here, public_bytes, url_of


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    yield from maker_here(tmp_path)


@pytest.fixture
def gateway(maker: Maker, tmp_path: Path) -> Gateway:
    return Gateway(tmp_path, maker)


async def test_by_identity_then_renewed(gateway: Gateway) -> None:
    """IDevID -> device CA 1 -> simplereenroll -> device CA 2; 1 stays on disk until 2 has proved itself."""
    gateway.with_identity()
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        assert enrolment.current() is None
        first = await enrol(enrolment)
        assert judged(gateway, first).leaf == leaf(first)
        assert common_name(leaf(first).subject) == NAME
        assert enrolment.current() == first
        second = await enrol(enrolment)
        assert gateway.maker.status(leaf(first)) == "replaced"
        assert public_bytes(leaf(first)) != public_bytes(leaf(second))
        assert judged(gateway, first)
        enrolment.tidy()
        assert gateway.slots == ["000002"]
        assert gateway.keys == ["key-000002.pem"]
        assert judged(gateway, second).top == gateway.maker.root.chain.leaf
        assert enrolment.report().last_success is not None


async def test_by_account_and_only_once(gateway: Gateway) -> None:
    """A password gives the first one; for the next it is refused, and the first stays."""
    gateway.with_account(once=True)
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        first = await enrol(enrolment)
        with pytest.raises(AccessDenied, match="it says 'this account was for one certificate"):
            await enrol(enrolment)
        assert enrolment.report().refused
        assert enrolment.next_attempt(1) > timedelta(minutes=5)
        assert enrolment.current() == first
        enrolment.tidy()
        assert gateway.slots == ["000001"]
        assert len(gateway.keys) == 2  # the one in use, and one that waits however often it is refused


async def test_a_lost_answer_costs_nothing(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account for one certificate, killed when the answer came: the next start asks for the same key again."""
    gateway.with_account(once=True)
    async with gateway.maker.serving() as server:
        killed = gateway.enrolment(url_of(server))
        with monkeypatch.context() as patch:
            patch.setattr("leafward.manager.enrolment.own_certificate", _killed)
            with pytest.raises(KeyboardInterrupt):
                await enrol(killed)
        assert gateway.keys == ["key-000001.pem"]
        files = await enrol(gateway.enrolment(url_of(server)))
        assert judged(gateway, files)
        assert gateway.keys == ["key-000001.pem"]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


async def test_the_same_request_is_sent_again(gateway: Gateway) -> None:
    """RFC 7030 4.2.3: whoever was told to come again comes with the same request, also after a restart."""
    gateway.with_account(once=True)
    enrolment = gateway.enrolment("https://localhost:1/.well-known/est")
    pairs = enrolment._pairs
    from leafward.manager.enrolment import _request
    from leafward.pki.names import subject

    first = pairs.wait(lambda key: _request(key, subject(NAME)), keep_key=False)
    again = gateway.enrolment("https://localhost:1/.well-known/est")._pairs
    assert again.wait(lambda key: _request(key, subject(NAME)), keep_key=False).request == first.request
    told = subprocess.run(
        ["openssl", "req", "-inform", "DER", "-verify", "-noout", "-text"],
        input=first.request,
        capture_output=True,
        check=True,
    )
    assert b"CA:TRUE, pathlen:1" in told.stdout
    assert b"verify OK" in told.stderr + told.stdout
    assert again.wait(lambda key: _request(key, subject("other")), keep_key=False).request != first.request


async def test_back_to_the_one_before(gateway: Gateway) -> None:
    gateway.with_identity()
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        first = await enrol(enrolment)
        await enrol(enrolment)
        assert enrolment.take_back() == first
        assert gateway.keys == ["key-000001.pem"]
        assert enrolment.take_back() is None
        assert judged(gateway, first)


async def test_an_identity_of_our_own_first(gateway: Gateway) -> None:
    """A password once -> device identity -> device CA -> the next device CA; the identity renews itself when due."""
    gateway.with_account(once=True, labels=["device_identity"])
    async with gateway.maker.serving() as server:
        gateway.values["identity_url"] = url_of(server, "device_identity")
        enrolment = gateway.enrolment(url_of(server))
        first = await enrol(enrolment)
        second = await enrol(enrolment)
        assert judged(gateway, first)
        assert judged(gateway, second)
        folder = gateway.home.manager / "enrolled-identity"
        before = (folder / "active").read_text()
        for _ in range(3):
            enrolment.tend()
        assert (folder / "active").read_text() == before
        assert len(enrolment._clients) == 1  # hour after hour for years


async def test_an_enrolled_identity_renews_itself(gateway: Gateway) -> None:
    """Ten years later: the identity asks for its own next one, under its own name."""
    gateway.with_account(once=True, labels=["device_identity"])
    async with gateway.maker.serving() as server:
        gateway.values["identity_url"] = url_of(server, "device_identity")
        enrolment = gateway.enrolment(url_of(server))
        identity = enrolment._identity()
        assert identity is not None
        first = await asyncio.to_thread(identity.enrol)
        assert identity.due() is None
        second = await asyncio.to_thread(identity.enrol)
        assert gateway.maker.status(Chain.from_pem(first.certificate.read_bytes()).leaf) == "replaced"
        assert Chain.from_pem(second.certificate.read_bytes()).leaf.subject.rfc4514_string() == (
            f"2.5.4.5={NAME},CN={NAME}"
        )
        gateway.maker.offset = timedelta(days=3000)
        assert identity.due() is not None


async def test_below_a_new_root(gateway: Gateway) -> None:
    """Trusted: the old root. Issued below new root -> new factory. NewWithOld of cacerts joins them, and nothing else
    becomes trusted."""
    maker = gateway.maker
    identity = gateway.with_identity()
    made = roll_over(maker.issuance, maker.root, P256, now=maker.now())
    factory = maker.issuance.intermediate("New Factory CA", P256, now=maker.now(), issuer=made.root)
    from leafward.authority.est_settings import EstTable

    async with maker.serving(EstTable(issuer=factory.name)) as server:
        # The server's own certificate stands below the new root as well, and comes with the whole chain.
        gateway.values["trust"] = gateway.folder / "both.pem"
        gateway.values["trust"].write_bytes(maker.root.chain.to_pem() + made.root.chain.to_pem())
        files = await enrol(gateway.enrolment(url_of(server)))
    chain = judged(gateway, files)
    assert [common_name(one.subject) for one in chain] == [NAME, "New Factory CA", "Test Root CA", "Test Root CA"]
    assert chain.top == maker.root.chain.leaf
    assert identity.chain.top == chain.top


async def test_a_root_that_is_only_sent_is_not_trusted(gateway: Gateway, tmp_path: Path) -> None:
    """The server is trusted for TLS; what it issues stands below a root of its own, which it sends: refused."""
    gateway.with_account(once=True)
    other = Maker(tmp_path / "other maker" if (tmp_path / "other maker").mkdir() is None else tmp_path)
    gateway.values["trust"] = gateway.trust
    gateway.device_values["trust_bundle"] = tmp_path / "others.pem"
    gateway.device_values["trust_bundle"].write_bytes(other.root.chain.to_pem())
    other.issuance.close()
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        with pytest.raises(RuleViolation, match="does not reach a trusted root") as refused:
            await enrol(enrolment)
    assert refused.value.code == "root-not-trusted"
    assert enrolment.current() is None


async def test_refusals_of_the_real_server(gateway: Gateway) -> None:
    """Another device's identity, a wrong password, a name in use, nobody there: each told, what is in use stays."""
    gateway.with_identity()
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        first = await enrol(enrolment)
        gateway.with_identity("gw-0002")
        with pytest.raises(AccessDenied, match="for another device"):
            await enrol(gateway.enrolment(url_of(server)))
        gateway.values.clear()
        gateway.with_account()
        with pytest.raises(AlreadyExists, match="given the name away"):
            await enrol(gateway.enrolment(url_of(server)))
        gateway.values["password_file"].write_text("wrong")
        with pytest.raises(AccessDenied, match="does not know who asks"):
            await enrol(gateway.enrolment(url_of(server)))
    with pytest.raises(PeerUnavailable, match="does not answer"):
        await enrol(enrolment)
    assert gateway.enrolment(url_of(server)).current() == first
    assert judged(gateway, first)
    assert len(gateway.keys) == 2


async def test_an_authority_that_cannot_sign_now(gateway: Gateway) -> None:
    """Its key is away: 202 with Retry-After, which is waited for, and jitter on top; later it gives."""
    gateway.with_identity()
    key = gateway.maker.folder / "maker" / "authorities" / gateway.maker.factory.name / "key.pem"
    from leafward.authority.est_settings import EstTable

    async with gateway.maker.serving(EstTable(issuer="test-factory-ca", retry_after=3600)) as server:
        key.rename(key.with_suffix(".away"))
        enrolment = gateway.enrolment(url_of(server))
        with pytest.raises(PeerUnavailable, match="come again later"):
            await enrol(enrolment)
        assert enrolment.next_attempt(1) == timedelta(hours=1) * 1.05
        assert not enrolment.report().refused
        key.with_suffix(".away").rename(key)
        gateway.maker.offset += timedelta(minutes=2)
        assert judged(gateway, await enrol(enrolment))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"url": "http://est.example/.well-known/est"}, "expected https"),
        ({"url": "https://user:secret@est.example"}, "a name or a password"),
        ({"url": "https://est.example/.well-known/est/serverkeygen"}, "expected /.well-known/est"),
        ({"username": "gw"}, "half a credential"),
        ({}, "does not say who asks"),
        ({"key": KeyReference("pkcs11", "token=t;object=o;id=%01")}, "without id="),
    ],
)
def test_settings_that_cannot_work(gateway: Gateway, values: dict[str, object], told: str) -> None:
    if "key" in values or "url" in values:
        gateway.with_identity()
    gateway.values |= values
    with pytest.raises(SettingsError) as refused:
        Enrolment(
            gateway.home,
            gateway.settings(str(values.get("url", "https://est.example"))),
            gateway.device,
            now=gateway.maker.now,
        )
    assert told in f"{refused.value} {refused.value.hint}"
    assert "secret" not in str(refused.value)


async def test_the_hosts_own_name_is_refused_before_anybody_is_asked(gateway: Gateway) -> None:
    gateway.with_account(once=True)
    gateway.values["common_name"] = "IoTEdgeGW.local"
    with pytest.raises(RuleViolation, match="gateway's own name"):
        await enrol(gateway.enrolment("https://localhost:1"))


async def test_the_book_is_damaged(gateway: Gateway) -> None:
    """Zero length, as after a power cut of others' making: begun anew, the device CA in use stays."""
    gateway.with_identity()
    async with gateway.maker.serving() as server:
        first = await enrol(gateway.enrolment(url_of(server)))
        (gateway.folder_of_slots / "keys.json").write_bytes(b"")
        enrolment = gateway.enrolment(url_of(server))
        enrolment.tidy()
        assert judged(gateway, first)
        assert judged(gateway, await enrol(enrolment))
        enrolment.tidy()
        assert json.loads((gateway.folder_of_slots / "keys.json").read_text())["keys"] == ["file:keys/key-000002.pem"]


async def test_a_moved_home(gateway: Gateway) -> None:
    gateway.with_identity()
    async with gateway.maker.serving() as server:
        await enrol(gateway.enrolment(url_of(server)))
        gateway.home.root.rename(gateway.folder / "moved")
        gateway.folder = gateway.folder
        from leafward.store.home import Home

        gateway.home = Home(gateway.folder / "moved")
        files = gateway.enrolment(url_of(server)).current()
        assert files is not None
        assert judged(gateway, files)
