"""The desk: durable before the answer, one transaction for a crowd, and what happens when a key or the disk fails."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from leafward.authority.est_server import EstServer
from leafward.authority.ledger import Entry, Ledger
from leafward.errors import KeyUnavailable, StoreError
from leafward.pki.bulk import BulkIssuer
from tests.authority.est_world import Maker, Server, csr


@pytest.fixture
async def server(tmp_path: Path, maker_database: str | None) -> AsyncIterator[Server]:
    """In a file and on PostgreSQL alike."""
    maker = Maker(tmp_path, maker_database)
    async with maker.serving() as server:
        yield server
    maker.issuance.close()


async def test_a_certificate_is_durable_before_its_answer_leaves(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another connection to the database sees when the handler has the certificate."""
    seen: list[str] = []
    enrolled = EstServer._enrolled

    def watched(self: Any, *arguments: Any) -> None:
        page = server.maker.issuance.ledger.inventory.search("pump-7", now=server.maker.now(), kind="leaf_device")
        seen.extend(found.status for found in page.found)
        enrolled(self, *arguments)

    identity = server.maker.hold("pump-7", "device_identity")
    monkeypatch.setattr(EstServer, "_enrolled", watched)
    assert (await server.enrol(identity, csr("pump-7"))).status == 200
    assert seen == ["valid"]


async def test_a_crowd_shares_transactions_and_a_bad_one_spoils_none(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen devices at once, one of them with a name in use: fewer transactions than devices, one refusal."""
    sizes: list[int] = []
    record = Ledger.record

    def counted(self: Ledger, entries: Sequence[Entry], **options: Any) -> list[int]:
        sizes.append(len(entries))
        return record(self, entries, **options)

    maker = server.maker
    maker.hold("pump-3")
    password = maker.account("line", devices="pump-*")
    bodies = {n: csr(f"pump-{n}") for n in range(16)}
    # One first: its password is hashed alone, then the crowd's in pairs.
    monkeypatch.setattr(Ledger, "record", counted)
    identities = {n: maker.hold(f"pump-{n}", "device_identity") for n in range(16) if n != 3}
    sizes.clear()
    tasks = [server.enrol(identities[n], bodies[n]) for n in identities]
    answers = await asyncio.gather(*tasks, server.enrol(None, bodies[3], password=password))
    assert sorted(answer.status for answer in answers) == [200] * 15 + [409]
    assert len({answer.certificate for answer in answers if answer.status == 200}) == 15
    assert sum(sizes) >= 15


async def test_two_of_one_name_at_once(server: Server) -> None:
    """Both may have it, one after the other: the last one lives."""
    identity = server.maker.hold("pump-7", "device_identity")
    answers = await asyncio.gather(*(server.enrol(identity, csr("pump-7")) for _ in range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    assert sorted(server.maker.status(answer.certificate) for answer in answers) == ["replaced"] * 3 + ["valid"]


async def test_one_account_for_one_certificate_at_once(server: Server) -> None:
    password = server.maker.account("line", devices="pump-*", once=True)
    answers = await asyncio.gather(*(server.enrol(None, csr(f"pump-{n}"), password=password) for n in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 403, 403, 403]


async def test_a_token_that_is_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """202 with Retry-After; the key is not tried again at once, and when it is back the same request is served."""
    tries: list[int] = []

    def gone(self: BulkIssuer, asked: Sequence[Any]) -> Any:
        tries.append(len(asked))
        raise KeyUnavailable("the token is gone", why="it was pulled out", hint="put it back")

    identity = server.maker.hold("pump-7", "device_identity")
    body = csr("pump-7")
    with monkeypatch.context() as out:
        out.setattr(BulkIssuer, "issue_batch", gone)
        answer = await server.enrol(identity, body)
        assert (answer.status, answer.headers["Retry-After"]) == (202, "60")
        assert "token" not in answer.text
        assert (await server.enrol(identity, body)).status == 202
    assert len(tries) == 1
    server.maker.offset = timedelta(minutes=2)
    assert (await server.enrol(identity, body)).status == 200


async def test_a_disk_that_is_full(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Ledger, entries: Sequence[Entry], **options: Mapping[str, Any]) -> list[int]:
        raise StoreError("cannot write the database", why="database or disk is full")

    identity = server.maker.hold("pump-7", "device_identity")
    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "record", full)
        answer = await server.enrol(identity, csr("pump-7"))
    assert answer.status == 503
    assert "Retry-After" in answer.headers
    assert "disk" not in answer.text
    assert (await server.enrol(identity, csr("pump-7"))).status == 200


async def test_a_fault_of_ours_ends_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Ledger, *_: Any, **__: Any) -> list[int]:
        raise ZeroDivisionError

    identity = server.maker.hold("pump-7", "device_identity")
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "record", broken)
        assert (await server.enrol(identity, csr("pump-7"))).status == 500
    assert "could not be answered" in caplog.text
    assert isinstance((await server.enrol(identity, csr("pump-7"))).certificate, x509.Certificate)
