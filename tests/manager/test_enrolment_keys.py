"""Keys that a gateway enrols with: of every kind, in files, in a token, in a TPM, and where each is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import (
    KeyUnavailable,
)
from leafward.keys.key_reference import KeyReference
from leafward.keys.key_store import key_exists, open_key
from leafward.pki.key_types import key_type_of, parse_key_type
from tests.authority.est_world import Maker
from tests.keys.devices import soft_hsm_here, swtpm_here
from tests.manager.enrolment_world import Gateway, enrol, judged, leaf, maker_here, public_bytes, url_of


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[Maker]:
    yield from maker_here(tmp_path)


@pytest.fixture
def gateway(maker: Maker, tmp_path: Path) -> Gateway:
    return Gateway(tmp_path, maker)


async def test_the_key_is_kept_where_asked(gateway: Gateway) -> None:
    gateway.with_identity()
    gateway.rekey = False
    async with gateway.maker.serving() as server:
        enrolment = gateway.enrolment(url_of(server))
        first = await enrol(enrolment)
        second = await enrol(enrolment)
        assert (first.key, public_bytes(leaf(first))) == (second.key, public_bytes(leaf(second)))
        assert leaf(first) != leaf(second)
        enrolment.tidy()
        assert gateway.keys == ["key-000001.pem"]
        assert judged(gateway, second)


@pytest.mark.parametrize("key_type", ["ec-p384", "rsa-3072"])
async def test_kinds_of_keys(gateway: Gateway, key_type: str) -> None:
    gateway.with_identity()
    gateway.values["key_type"] = parse_key_type(key_type)
    async with gateway.maker.serving() as server:
        files = await enrol(gateway.enrolment(url_of(server)))
    assert key_type_of(leaf(files).public_key()).name == key_type
    assert judged(gateway, files)


async def test_key_in_a_token(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two generations in a SoftHSM token: made there, the old one gone after the new one is settled."""
    for token in soft_hsm_here(tmp_path / "hsm", monkeypatch):
        gateway.with_identity()
        gateway.values["key"] = token.reference("device-ca")
        async with gateway.maker.serving() as server:
            enrolment = gateway.enrolment(url_of(server))
            first = await enrol(enrolment)
            key = open_key(first.key)
            assert first.key == token.reference("device-ca-000001")
            token.pull_out()
            with pytest.raises(KeyUnavailable):
                await enrol(enrolment)
            assert not enrolment.report().refused
            token.plug_in()
            second = await enrol(enrolment)
            assert judged(gateway, second)
            assert open_key(first.key).public_key() == key.public_key()
            key.sign(b"a handle of before the token was away", ec.ECDSA(hashes.SHA256()))
            enrolment.tidy()
            assert not key_exists(first.key)
            assert key_exists(second.key)
            assert gateway.keys == []


async def test_a_token_away_keeps_an_old_key_in_the_book(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in soft_hsm_here(tmp_path / "hsm", monkeypatch):
        gateway.with_identity()
        gateway.values["key"] = token.reference("device-ca")
        async with gateway.maker.serving() as server:
            enrolment = gateway.enrolment(url_of(server))
            first = await enrol(enrolment)
            await enrol(enrolment)
        token.pull_out()
        enrolment.tidy()
        token.plug_in()
        assert key_exists(first.key)
        gateway.enrolment("https://localhost:1").tidy()
        assert not key_exists(first.key)


async def test_key_in_a_tpm(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="swtpm") as folder:
        for _ in swtpm_here(Path(folder), monkeypatch):
            gateway.with_identity()
            gateway.values["key"] = KeyReference("tpm", str(tmp_path / "keys" / "device-ca.tpm"))
            async with gateway.maker.serving() as server:
                enrolment = gateway.enrolment(url_of(server))
                first = await enrol(enrolment)
                assert first.key.rest.endswith("device-ca-000001.tpm")
                second = await enrol(enrolment)
                assert judged(gateway, second)
                enrolment.tidy()
                assert [path.name for path in (tmp_path / "keys").iterdir()] == ["device-ca-000002.tpm"]
