"""Lists and OCSP answers over HTTP, asked by `openssl ocsp`, by caches, and by those who ask for nothing that exists.

Everywhere: root -> factory -> leaf devices, at the real time: OpenSSL holds answers against the machine's clock.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from leafward.authority import revocation_service
from leafward.authority.connection_guard import ConnectionGuard, Limits
from leafward.authority.ocsp_answers import OcspAnswers
from leafward.authority.revocation_routes import MAX_LIST_AGE
from leafward.authority.revocation_service import RevocationService
from leafward.authority.serve_connection import HttpConnection
from leafward.authority.serve_http import Writer
from leafward.authority.serve_routes import Routes
from leafward.errors import Busy, KeyUnavailable, RuleViolation
from leafward.pki.chain import Chain, fingerprint
from leafward.wire.est.bodies import MAX_REQUEST_BODY
from tests.authority.revocation_world import DAY, HOUR, PUBLISHED, World

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED
Status = ocsp.OCSPResponseStatus


class Served:
    """A maker whose server runs, and what is asked of it."""

    def __init__(self, world: World, service: RevocationService, http: aiohttp.ClientSession, base: str) -> None:
        self.world, self.service, self.http, self.base = world, service, http, base

    async def post(self, question: bytes) -> ocsp.OCSPResponse:
        kind = {"Content-Type": "application/ocsp-request"}
        async with self.http.post(f"{self.base}/ocsp", data=question, headers=kind) as answer:
            assert (answer.status, answer.content_type) == (200, "application/ocsp-response")
            return ocsp.load_der_ocsp_response(await answer.read())

    async def ask(self, chain: Chain) -> ocsp.OCSPResponse:
        return await self.post(question(chain))

    async def openssl(self, chain: Chain, folder: Path, *options: str) -> str:
        for name, certificate in (("cert", chain.leaf), ("issuer", chain.certificates[1]), ("root", chain.top)):
            (folder / name).write_bytes(certificate.public_bytes(Encoding.PEM))
        files = [("-issuer", "issuer"), ("-cert", "cert"), ("-CAfile", "root"), ("-verify_other", "issuer")]
        paths = [text for option, name in files for text in (option, str(folder / name))]
        running = await asyncio.create_subprocess_exec(
            "openssl", "ocsp", "-url", f"{self.base}/ocsp", *options, *paths,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await running.communicate()
        return said.decode()


def question(chain: Chain, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    leaf, issuer = chain.certificates[:2]
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, algorithm or hashes.SHA1())
    return builder.build().public_bytes(Encoding.DER)


@asynccontextmanager
async def serving(world: World) -> AsyncIterator[Served]:
    async with RevocationService(world.issuance, lambda: world.now) as service:
        guard, writer, routes = ConnectionGuard(Limits()), Writer(), Routes(service.routes())
        listening = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(routes, guard, writer, MAX_REQUEST_BODY), "127.0.0.1", 0
        )
        host, port = listening.sockets[0].getsockname()[:2]
        try:
            async with aiohttp.ClientSession() as http:
                yield Served(world, service, http, f"http://{host}:{port}")
        finally:
            listening.close()
            await guard.close()


@pytest.fixture
async def served(tmp_path: Path, maker_database: str | None) -> AsyncIterator[Served]:
    world = World(tmp_path, maker_database, PUBLISHED, now=datetime.now(UTC).replace(microsecond=0))
    async with serving(world) as server:
        yield server
    world.issuance.close()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Served]:
    """Where the database does not matter: SQLite."""
    world = World(tmp_path, None, PUBLISHED, now=datetime.now(UTC).replace(microsecond=0))
    async with serving(world) as server:
        yield server
    world.issuance.close()


async def test_openssl_asks(served: Served, tmp_path: Path) -> None:
    """Good, then revoked, by SHA-1 and SHA-256, with a nonce that is ignored: **Response verify OK**"""
    chain = served.world.chain("pump-1")
    for options in ((), ("-sha256",)):
        said = await served.openssl(chain, tmp_path, *options)
        assert "Response verify OK" in said
        assert "cert: good" in said
    served.world.revoke(chain.leaf)
    said = await served.openssl(chain, tmp_path)
    assert "Response verify OK" in said
    assert "cert: revoked" in said
    assert "Reason: keyCompromise" in said
    served.world.check_log()


async def test_an_answer_is_signed_once_and_kept(served: Served) -> None:
    chain = served.world.chain("pump-1")
    first, second = await served.ask(chain), await served.ask(chain)
    assert first.public_bytes(Encoding.DER) == second.public_bytes(Encoding.DER)
    (entry,) = served.world.logged("ocsp")
    assert (entry.serial, entry.issuer_key_id) == (chain.leaf.serial_number, served.world.key_id)
    assert entry.sha256 == hashlib.sha256(first.public_bytes(Encoding.DER)).hexdigest()
    served.world.now += 13 * HOUR
    third = await served.ask(chain)
    assert third.this_update_utc == served.world.now
    assert len(served.world.logged("ocsp")) == 2


async def test_a_hold_and_its_release_are_answered_at_once(served: Served) -> None:
    chain = served.world.chain("pump-1")
    assert (await served.ask(chain)).certificate_status is GOOD
    served.world.revoke(chain.leaf, "certificateHold")
    held = await served.ask(chain)
    assert (held.certificate_status, held.revocation_reason) == (REVOKED, x509.ReasonFlags.certificate_hold)
    served.world.revocation.release(fingerprint(chain.leaf), now=served.world.now)
    assert (await served.ask(chain)).certificate_status is GOOD


async def test_the_responder_is_the_ca_s_own(served: Served) -> None:
    """ocspSigning and nocheck, signed by the very CA, two weeks; made once, and in the inventory."""
    first, second = served.world.chain("pump-1"), served.world.chain("pump-2")
    (responder,) = (await served.ask(first)).certificates
    assert (await served.ask(second)).certificates == [responder]
    responder.verify_directly_issued_by(served.world.factory.chain.leaf)
    usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
    assert responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    assert served.world.held(responder).kind == "ocsp_responder"


async def test_it_is_renewed_by_half_of_its_life_and_survives_a_restart(here: Served) -> None:
    world, chain = here.world, here.world.chain("pump-1")
    (first,) = (await here.ask(chain)).certificates
    again = OcspAnswers(world.issuance)
    world.now += DAY
    same = ocsp.load_der_ocsp_response(again.answer(question(chain), world.now).der)
    assert same.certificates == [first]
    world.now += 7 * DAY
    (second,) = (await here.ask(chain)).certificates
    assert second != first
    assert (world.folder / "maker" / "ocsp" / world.key_id).is_dir()


async def test_while_the_ca_s_key_is_away_the_responder_goes_on(here: Served) -> None:
    """Its own key answers until its certificate ends; then **tryLater**."""
    world, chain = here.world, here.world.chain("pump-1")
    (responder,) = (await here.ask(chain)).certificates
    (world.folder / "maker" / "authorities" / "test-factory-ca" / "key.pem").write_bytes(b"no key")
    world.now += 8 * DAY
    late = await here.ask(chain)
    assert (late.certificate_status, late.certificates) == (GOOD, [responder])
    world.now += 7 * DAY
    assert (await here.ask(chain)).response_status is Status.TRY_LATER


async def test_who_asks_for_what_was_not_issued_here(served: Served) -> None:
    """Another serial, another CA, one that has ended: **unauthorized**, unsigned, and nothing is logged."""
    world, chain = served.world, served.world.chain("pump-1", lifetime=10 * DAY)
    builder = ocsp.OCSPRequestBuilder()
    issuer = world.factory.chain.leaf
    digests = [hashlib.sha1(one, usedforsecurity=False).digest() for one in (issuer.subject.public_bytes(), b"key")]
    stranger = builder.add_certificate_by_hash(digests[0], digests[1], chain.leaf.serial_number, hashes.SHA1())
    read = ocsp.load_der_ocsp_request(question(chain))
    ours = (read.issuer_name_hash, read.issuer_key_hash)
    unknown = builder.add_certificate_by_hash(*ours, chain.leaf.serial_number + 1, hashes.SHA1())
    for asked in (stranger, unknown):
        answer = await served.post(asked.build().public_bytes(Encoding.DER))
        assert answer.response_status is Status.UNAUTHORIZED
    world.now += 11 * DAY
    assert (await served.ask(chain)).response_status is Status.UNAUTHORIZED
    assert world.logged("ocsp") == []


async def test_get_and_its_caches(here: Served) -> None:
    """RFC 5019 section 5 and 6: the answer by GET, how long it may be kept, 304 for who has it."""
    chain = here.world.chain("pump-1")
    text = base64.b64encode(question(chain, hashes.SHA256())).decode()
    for path in (quote(text, safe=""), text):
        async with here.http.get(f"{here.base}/ocsp/{path}") as answer:
            body, headers = await answer.read(), answer.headers
        read = ocsp.load_der_ocsp_response(body)
        assert read.certificate_status is GOOD
        assert headers["Content-Type"] == "application/ocsp-response"
        assert headers["Cache-Control"] == f"max-age={86400},public,no-transform,must-revalidate"
        assert headers["Last-Modified"] == f"{read.this_update_utc:%a, %d %b %Y %H:%M:%S} GMT"
        assert headers["Expires"] == f"{read.next_update_utc:%a, %d %b %Y %H:%M:%S} GMT"
    async with here.http.get(f"{here.base}/ocsp/{path}", headers={"If-None-Match": headers["ETag"]}) as answer:
        assert (answer.status, await answer.read()) == (304, b"")


async def test_what_is_no_question(here: Served) -> None:
    for path in ("%21%21", "AAAA", "a/b/c"):
        async with here.http.get(f"{here.base}/ocsp/{path}") as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            read = ocsp.load_der_ocsp_response(await answer.read())
            assert read.response_status is Status.MALFORMED_REQUEST
    for body in (b"", b"\x30\x00", bytes(10_000)):
        assert (await here.post(body)).response_status is Status.MALFORMED_REQUEST
    async with here.http.post(f"{here.base}/ocsp", data=b"{}", headers={"Content-Type": "text/json"}) as answer:
        assert answer.status == 415


async def test_lists_are_served_where_certificates_say(served: Served) -> None:
    leaf = served.world.issue()
    served.world.revoke(leaf)
    address = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value[0].full_name[0].value
    path = address.removeprefix("http://pki.example")
    async with served.http.get(served.base + path) as answer:
        body, headers = await answer.read(), answer.headers
    assert answer.content_type == "application/pkix-crl"
    assert body == served.world.file(1).read_bytes()
    assert headers["Cache-Control"].startswith(f"max-age={MAX_LIST_AGE},")
    async with served.http.get(served.base + path, headers={"If-None-Match": headers["ETag"]}) as answer:
        assert answer.status == 304
    for wrong in ("2.crl", "01.crl", "1.pem", "complete.crl", "..crl", "-1.crl"):
        async with served.http.get(f"{served.base}{path.removesuffix('1.crl')}{wrong}") as answer:
            assert answer.status == 404, wrong


async def test_the_server_publishes_by_itself(here: Served) -> None:
    """What another process revoked while the key was away is told by the server's next round."""
    world, chain = here.world, here.world.chain("pump-1")
    await here.service.publish()
    key = world.folder / "maker" / "authorities" / "test-factory-ca" / "key.pem"
    hidden = key.rename(key.with_suffix(".away"))
    world.revocation.forget_keys()
    assert world.revoke(chain.leaf).pending is not None
    hidden.rename(key)
    assert await here.service.publish() == 1
    assert chain.leaf.serial_number in [one.serial_number for one in world.crl(1)]
    assert await here.service.publish() == 0


async def test_a_key_that_does_not_answer_is_left_alone_for_a_while(
    here: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token allows a few wrong PINs: one try, then none for a quarter of an hour."""
    here.world.issue()
    await here.service.publish()
    tries = []

    def issuer(self: Any) -> None:
        tries.append(self.name)
        raise KeyUnavailable("the token is gone")

    here.service._revocation.forget_keys()
    monkeypatch.setattr("leafward.authority.authority.Authority.issuer", issuer)
    here.world.now += 5 * DAY
    for _ in range(3):
        assert await here.service.publish() == 0
    assert sorted(tries) == ["test-factory-ca", "test-root-ca"]
    here.world.now += revocation_service.TRY_KEY_AGAIN
    assert await here.service.publish() == 0
    assert len(tries) == 4


# ---- ahead of any question


async def test_answers_ahead(served: Served) -> None:
    """For all that live below a CA, revoked ones too; none for the responder; then nothing is due."""
    world = served.world
    chains = [world.chain(f"pump-{count}") for count in range(5)]
    world.revoke(chains[0].leaf)
    answers = OcspAnswers(world.issuance)
    assert sum(answers.sign_ahead(world.factory, world.now)) == 5
    assert sum(answers.sign_ahead(world.factory, world.now)) == 0
    before = len(world.logged("ocsp"))
    found = [(await served.ask(chain)).certificate_status for chain in chains]
    assert found == [REVOKED] + [GOOD] * 4
    assert len(world.logged("ocsp")) == before
    assert sum(answers.sign_ahead(world.factory, world.now, everything=True)) == 5
    world.check_log()


async def test_a_revocation_in_between_makes_no_good_answer(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked up as good, revoked before the answer is kept: it is thrown away, and the next one says revoked."""
    world, chain = here.world, here.world.chain("pump-1")
    answers = OcspAnswers(world.issuance)
    real, looked = answers._kept.find, []

    def find(*asked: Any) -> Any:
        found = real(*asked)
        if not looked:
            looked.append(found)
            world.revoke(chain.leaf)
        return found

    monkeypatch.setattr(answers._kept, "find", find)
    made = ocsp.load_der_ocsp_response(answers.answer(question(chain), world.now).der)
    assert made.certificate_status is REVOKED
    assert len(world.logged("ocsp")) == 1


async def test_a_clock_that_went_back_signs_no_answer(here: Served) -> None:
    world, chain = here.world, here.world.chain("pump-1")
    answers = OcspAnswers(world.issuance)
    answers.answer(question(chain), world.now)
    world.revoke(chain.leaf)
    with pytest.raises(RuleViolation) as refused:
        answers.answer(question(chain), world.now - HOUR)
    assert refused.value.code == "clock-wrong"
    world.now -= HOUR
    assert (await here.ask(chain)).response_status is Status.TRY_LATER


async def test_a_database_in_use_is_try_later(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = here.world.chain("pump-1")

    def busy(*_: object, **__: object) -> None:
        raise Busy("the database is in use")

    monkeypatch.setattr(here.world.ledger, "record", busy)
    assert (await here.ask(chain)).response_status is Status.TRY_LATER
    monkeypatch.undo()
    assert (await here.ask(chain)).certificate_status is GOOD


async def test_a_fault_of_ours_is_an_internal_error(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(here.service._answers, "answer", broken)
    assert (await here.ask(here.world.chain("pump-1"))).response_status is Status.INTERNAL_ERROR
