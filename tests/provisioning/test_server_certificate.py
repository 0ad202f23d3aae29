"""The server certificate of a service that listens itself: judged at the start, and taken anew from its files.

root ── intermediate ── server "localhost"
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import SettingsError
from leafward.provisioning.server_certificate import ServerCertificate
from leafward.provisioning.settings import ListenTable
from tests.hub.hub_certificates import Held, make
from tests.provisioning.world import PATIENCE

FILES = ListenTable(certificate="server.pem", key="server.key")


@pytest.fixture(scope="module")
def issuer() -> Held:
    return make("Site CA", make("Site Root", ca=True), ca=True)


def put(folder: Path, held: Held) -> None:
    (folder / "server.pem").write_bytes(held.pem())
    (folder / "server.key").write_bytes(held.key_pem())


def now() -> datetime:
    return datetime.now(UTC)


def opened(folder: Path, table: ListenTable = FILES, clock: Callable[[], datetime] = now) -> ServerCertificate:
    return ServerCertificate(folder, table, clock)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def test_one_file_or_two(tmp_path: Path, issuer: Held) -> None:
    """The issuers beside the certificate or in a file of their own, in any order; the root may be missing."""
    server = make("localhost", issuer)
    put(tmp_path, server)
    assert opened(tmp_path).context.chain.certificates == server.certificates
    leaf, intermediate, root = server.certificates
    (tmp_path / "server.pem").write_bytes(pem(leaf))
    table = ListenTable(certificate="server.pem", key="server.key", chain="issuers.pem")
    for issuers in ((root, intermediate), (intermediate, root), (intermediate,)):
        (tmp_path / "issuers.pem").write_bytes(b"".join(map(pem, issuers)))
        expected = (leaf, intermediate, root)[: 1 + len(issuers)]
        assert opened(tmp_path, table).context.chain.certificates == expected


def test_nothing_is_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs a certificate"):
        opened(tmp_path, ListenTable(certificate="server.pem"))


@pytest.mark.parametrize(
    ("defect", "setting", "why"),
    [
        ("no certificate file", "certificate", "does not exist"),
        ("no key file", "key", "does not exist"),
        ("key in its place", "certificate", "a private key where a certificate"),
        ("another key", "key", "not the key of"),
        ("expired", "certificate", "certificate-expired"),
        ("not yet", "certificate", "certificate-not-yet-valid"),
        ("a client's", "certificate", "eku-missing-server-auth"),
        ("a CA's", "certificate", "end-entity-is-a-ca"),
        ("another's issuer", "chain", "chain"),
        ("no file of issuers", "chain", "does not exist"),
    ],
)
def test_what_cannot_be_served(tmp_path: Path, issuer: Held, defect: str, setting: str, why: str) -> None:
    """At the start, naming the setting and the file."""
    server, table = make("localhost", issuer), FILES
    certificate, key, issuers = (tmp_path / name for name in ("server.pem", "server.key", "issuers.pem"))
    put(tmp_path, server)
    defects: dict[str, Callable[[], object]] = {
        "no certificate file": certificate.unlink,
        "no key file": key.unlink,
        "key in its place": lambda: certificate.write_bytes(server.key_pem()),
        "another key": lambda: key.write_bytes(make("localhost").key_pem()),
        "expired": lambda: put(tmp_path, make("localhost", issuer, days=(-9, -1))),
        "not yet": lambda: put(tmp_path, make("localhost", issuer, days=(1, 9))),
        "a client's": lambda: put(tmp_path, make("localhost", issuer, client=True)),
        "a CA's": lambda: put(tmp_path, make("localhost", issuer, ca=True)),
        "another's issuer": lambda: issuers.write_bytes(make("Another CA", ca=True).pem()),
        "no file of issuers": lambda: None,
    }
    defects[defect]()
    if setting == "chain":
        table = ListenTable(certificate="server.pem", key="server.key", chain="issuers.pem")
    with pytest.raises(SettingsError) as told:
        opened(tmp_path, table)
    assert f"provisioning.listen.{setting}: {tmp_path}" in str(told.value)
    assert why in str(told.value)
    assert told.value.hint


async def until(taken: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not taken():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("how", ["looked at", "told"])
async def test_taken_anew(
    tmp_path: Path, issuer: Held, how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A half that does not fit is told and not served; the whole is, from the next connection on."""
    monkeypatch.setattr("leafward.provisioning.server_certificate.LOOK_SECONDS", 0.02 if how == "looked at" else 60.0)
    first, second = make("localhost", issuer), make("localhost", issuer)
    put(tmp_path, first)
    served, reload = opened(tmp_path), asyncio.Event()
    task = asyncio.create_task(served.run(reload))

    def changed(name: str, data: bytes) -> None:
        (tmp_path / f"{name}.new").write_bytes(data)
        (tmp_path / f"{name}.new").replace(tmp_path / name)
        if how == "told":
            reload.set()

    try:
        changed("server.pem", second.pem())
        await until(lambda: "the old one is served" in caplog.text)
        assert served.context.chain.leaf == first.leaf
        changed("server.key", second.key_pem())
        await until(lambda: served.context.chain.leaf == second.leaf)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_told_once_that_it_is_due(tmp_path: Path, issuer: Held, caplog: pytest.LogCaptureFixture) -> None:
    """Files that nobody renews."""
    put(tmp_path, make("localhost", issuer, days=(-1, 30)))
    ahead = timedelta()
    served = opened(tmp_path, clock=lambda: now() + ahead)
    served._tell_if_due()
    assert "due" not in caplog.text
    ahead = timedelta(days=29)
    for _ in range(3):
        served._tell_if_due()
    assert caplog.text.count("due and not renewed") == 1
