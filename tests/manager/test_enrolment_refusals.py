"""Whatever a server answers: a clear error, and the device CA in use stays as it is.

The server here has a certificate that the gateway accepts; what it says after that is a test's.
"""

import asyncio
import base64
import contextlib
import random
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import (
    AccessDenied,
    AlreadyExists,
    EncodingError,
    LeafwardError,
    NotFound,
    PeerUnavailable,
    ProtocolError,
    RequestError,
    RuleViolation,
)
from leafward.manager import enrolment_client
from leafward.manager.device_ca import DeviceCaFiles
from leafward.manager.enrolment_answer import own_certificate
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_request
from leafward.pki.names import parse_host
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.wire.est.answers import EstAnswer, read_certificates
from leafward.wire.est.bodies import CERTIFICATES, certificates_only, decode_body
from tests.authority.est_world import Maker
from tests.manager.enrolment_world import NAME, Contents, Gateway, Respond, http, listening, lying, maker_here, url_of

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Maker]:
    yield from maker_here(tmp_path_factory.mktemp("maker"))


@pytest.fixture(scope="module")
def tls(maker: Maker) -> ssl.SSLContext:
    """A server certificate for localhost, below the trusted root."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = CertificateRequest(public_key=key.public_key(), hosts=(parse_host("localhost"),))
    chain = maker.issuance.issue(profile("authority_server"), request, now=maker.now(), issuer=maker.factory)
    holder = maker.written(chain, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(holder.pem, holder.key_pem)
    return context


@pytest.fixture
async def gateway(maker: Maker, tmp_path: Path) -> Gateway:
    """With a device CA in use already, from the real server."""
    made = Gateway(tmp_path, maker)
    made.with_identity()
    async with maker.serving() as server:
        await asyncio.to_thread(made.enrolment(url_of(server)).enrol)
    return made


def certificates(*found: x509.Certificate) -> bytes:
    body = base64.b64encode(certificates_only(found))
    return http("200 OK", body, Content_Type=CERTIFICATES, Content_Transfer_Encoding="base64")


def answering(maker: Maker, give: Callable[[bytes], bytes]) -> Respond:
    """cacerts as it should be; to a request what `give` makes of its DER."""

    def respond(path: str, body: bytes) -> bytes:
        if path.endswith("cacerts"):
            return certificates(*maker.factory.chain)
        return give(decode_body(body))

    return respond


def forged(maker: Maker, der: bytes, plan: Contents, key: object = None) -> x509.Certificate:
    """A certificate for the request's key, or another, with whatever content, signed by the factory."""
    factory = maker.factory.issuer()
    public = key or load_request(der).public_key()
    usage = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"], False
    )
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, plan.common_name)]))
        .issuer_name(maker.factory.chain.leaf.subject)
        .public_key(public)  # type: ignore[arg-type]
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
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)  # type: ignore[arg-type]
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                maker.factory.chain.leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(factory._key, hashes.SHA256())
    )


async def refused(gateway: Gateway, url: str, error: type[LeafwardError]) -> str:
    """What an attempt is refused with; what was in use is in use, and nothing piles up."""
    enrolment = gateway.enrolment(url)
    before = enrolment.current()
    with pytest.raises(error) as told:
        await asyncio.to_thread(enrolment.enrol)
    assert enrolment.current() == before
    assert isinstance(before, DeviceCaFiles)
    assert Chain.from_pem(before.certificate.read_bytes())
    assert gateway.slots == ["000001"]
    assert len(gateway.keys) <= 2
    assert enrolment.report().failures == 1
    assert enrolment.report().last_error == str(told.value)
    return f"{told.value} {getattr(told.value, 'code', '')} {told.value.hint}"


def right(maker: Maker) -> Contents:
    now = maker.now()
    return Contents(NAME, now - DAY, now + 300 * DAY)


OTHER_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        ({"common_name": "gw-0002"}, ProtocolError, "another name"),
        ({"ca": False, "key_cert_sign": False}, RuleViolation, "not-a-ca"),
        ({"key_cert_sign": False}, RuleViolation, "key-usage-missing-cert-sign"),
        ({"path_length": 0}, RuleViolation, "path-length-exceeded"),
        ({"not_after": "-1"}, RuleViolation, "certificate-expired"),
        ({"not_before": "+1"}, RuleViolation, "certificate-not-yet-valid"),
    ],
)
async def test_a_certificate_that_cannot_be_a_device_ca(
    gateway: Gateway, tls: ssl.SSLContext, changes: dict[str, object], error: type[LeafwardError], told: str
) -> None:
    maker = gateway.maker
    plan = right(maker)
    moved = {name: maker.now() + int(str(by)) * timedelta(hours=1) for name, by in changes.items() if "not" in name}
    plan = replace(plan, **{**changes, **moved})
    async with lying(tls, answering(maker, lambda der: certificates(forged(maker, der, plan)))) as liar:
        assert told in await refused(gateway, liar.url, error)


async def test_another_key(gateway: Gateway, tls: ssl.SSLContext) -> None:
    """Our name, somebody else's key."""
    maker = gateway.maker
    give = answering(maker, lambda der: certificates(forged(maker, der, right(maker), OTHER_KEY)))
    async with lying(tls, give) as liar:
        assert "somebody else's" in await refused(gateway, liar.url, RuleViolation)


async def test_somebody_elses_certificate(gateway: Gateway, tls: ssl.SSLContext) -> None:
    other = gateway.maker.hold("gw-0003", "device_ca").chain.leaf
    async with lying(tls, answering(gateway.maker, lambda _: certificates(other))) as liar:
        assert "gw-0003" in await refused(gateway, liar.url, RuleViolation)


async def test_the_present_certificate_again(gateway: Gateway, tls: ssl.SSLContext) -> None:
    """With the same key kept: nothing new is no renewal."""
    gateway.rekey = False
    files = gateway.enrolment("https://localhost").current()
    assert files is not None
    present = Chain.from_pem(files.certificate.read_bytes()).leaf
    async with lying(tls, answering(gateway.maker, lambda _: certificates(present))) as liar:
        assert "no new certificate" in await refused(gateway, liar.url, ProtocolError)


async def test_no_path_to_a_trusted_root(gateway: Gateway, tls: ssl.SSLContext, tmp_path: Path) -> None:
    """device CA <- unknown CA <- unknown root, all sent along: sent is not trusted."""
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    with contextlib.contextmanager(maker_here)(stranger) as other:
        give = answering(other, lambda der: certificates(forged(other, der, right(other)), *other.factory.chain))
        async with lying(tls, give) as liar:
            assert "root-not-trusted" in await refused(gateway, liar.url, RuleViolation)


PORTAL = http("200 OK", b"<html>Welcome to the hotel</html>", Content_Type="text/html; charset=utf-8")
BIG = 2**22


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (PORTAL, ProtocolError, "portal"),
        (http("200 OK", b"MAA=", Content_Type="application/pkcs10"), ProtocolError, "expected application/pkcs7-mime"),
        (http("200 OK", b"%%%", Content_Type=CERTIFICATES), EncodingError, "does not decode"),
        (http("200 OK", b"", Content_Type=CERTIFICATES), EncodingError, "does not decode"),
        (http("200 OK", base64.b64encode(b"0\x82garbage"), Content_Type=CERTIFICATES), EncodingError, "PKCS#7"),
        (http("204 No Content"), ProtocolError, "HTTP 204"),
        (http("302 Found", Location="https://elsewhere.example/x\x1b[2J"), ProtocolError, "elsewhere.example"),
        (http("400 Bad Request", b"no\nsuch name\x1b[2J", Content_Type="text/plain"), RequestError, "'no such name"),
        (http("401 Unauthorized"), AccessDenied, "who asks"),
        (http("403 Forbidden"), AccessDenied, "HTTP 403"),
        (http("404 Not Found"), NotFound, "enrolment.url"),
        (http("409 Conflict"), AlreadyExists, "revoke"),
        (http("418 Teapot"), ProtocolError, "does not answer as an EST server"),
        (http("500 Oops", b"trace" * 99999), PeerUnavailable, "HTTP 500"),
        (http("501 No"), NotFound, "does not offer"),
        (http("503 Busy"), PeerUnavailable, "HTTP 503"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ProtocolError, "no HTTP"),
        (b"", PeerUnavailable, "does not answer"),
        (http("200 OK", b"M" * BIG, Content_Type=CERTIFICATES), ProtocolError, "too large"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"M" * 0x100000,
            ProtocolError,
            "too large",
        ),
        (
            http("200 OK", b"MII", Content_Type=CERTIFICATES).replace(b": 3", b": 300"),
            PeerUnavailable,
            "does not answer",
        ),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Filler: y\r\n" * 200 + b"\r\n", ProtocolError, "no HTTP"),
    ],
)
async def test_answers(
    gateway: Gateway, tls: ssl.SSLContext, answer: bytes, error: type[LeafwardError], told: str
) -> None:
    async with lying(tls, lambda _path, _body: answer) as liar:
        words = await refused(gateway, liar.url, error)
    assert told in words
    assert "\x1b" not in words


async def test_an_answer_that_never_ends(
    gateway: Gateway, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte now and then, for ever: each in time, the whole not."""
    monkeypatch.setattr(enrolment_client.EstClient.__init__, "__kwdefaults__", {"seconds": 0.3})

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
        try:
            while not writer.is_closing():
                writer.write(b"M")
                await writer.drain()
                await asyncio.sleep(0.02)
        except OSError:
            pass

    async with listening(dribble, tls) as port:
        assert "too slow" in await refused(gateway, f"https://localhost:{port}", PeerUnavailable)


async def test_a_server_that_speaks_no_tls(gateway: Gateway) -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(http("400 Bad Request"))
        await writer.drain()
        writer.close()

    async with listening(plain) as port:
        assert "expected TLS 1.2 or later" in await refused(gateway, f"https://localhost:{port}", ProtocolError)


async def test_stopped_in_the_middle(gateway: Gateway, tls: ssl.SSLContext) -> None:
    """The manager ends while the server thinks: given up at once, and nothing asked any more."""
    asked = asyncio.Event()

    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()  # until the client is gone
        writer.close()

    async with listening(think, tls) as port:
        enrolment = gateway.enrolment(f"https://localhost:{port}")
        running = asyncio.create_task(asyncio.to_thread(enrolment.enrol))
        await asked.wait()
        enrolment.stop()
        with pytest.raises(PeerUnavailable, match="given up"):
            await running
        with pytest.raises(PeerUnavailable, match="given up"):
            await asyncio.to_thread(enrolment.enrol)


def test_answers_with_a_bit_changed(maker: Maker, tmp_path: Path) -> None:
    """Whatever the bytes, an error of ours or a certificate that is good: nothing else comes out."""
    gateway = Gateway(tmp_path, maker)
    gateway.with_identity()
    enrolment = gateway.enrolment("https://localhost")
    key = ec.generate_private_key(ec.SECP256R1())
    holder = maker.hold("gw-0009", "device_ca").chain
    der = certificates_only([holder.leaf, *holder.issuers])
    public = holder.leaf.public_key()
    chance = random.Random(7)

    def take(answer: EstAnswer) -> None:
        found = read_certificates(answer, "server")
        leaf = own_certificate(found, public, holder.leaf.subject, None)  # type: ignore[arg-type]
        enrolment._judged(leaf, found, key)  # of another key: never taken

    for _ in range(300):
        changed = bytearray(der)
        for _ in range(chance.randrange(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        answer = EstAnswer(200, {"content-type": CERTIFICATES}, base64.b64encode(bytes(changed)))
        with pytest.raises(LeafwardError):
            take(answer)


async def test_a_server_of_another_name(gateway: Gateway, tls: ssl.SSLContext) -> None:
    async with lying(tls, lambda _path, _body: PORTAL) as liar:
        url = liar.url.replace("localhost", "127.0.0.1")
        assert "hostname-mismatch" in await refused(gateway, url, RuleViolation)
        assert liar.asked == []


async def test_a_server_of_another_root(gateway: Gateway, tls: ssl.SSLContext, tmp_path: Path) -> None:
    """The password is not sent to it."""
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    with contextlib.contextmanager(maker_here)(stranger) as other:
        gateway.values["trust"] = tmp_path / "other.pem"
        gateway.values["trust"].write_bytes(other.root.chain.to_pem())
        async with lying(tls, lambda _path, _body: PORTAL) as liar:
            assert "enrolment.trust" in await refused(gateway, liar.url, RuleViolation)
            assert liar.asked == []


async def test_come_again_at_a_date(gateway: Gateway, tls: ssl.SSLContext) -> None:
    """Retry-After as a date; one of next year is cut to a day."""
    now = gateway.maker.now()
    for after, least, most in ((timedelta(hours=5), 4.9, 5.6), (timedelta(days=300), 24, 27)):
        at = format_datetime(now + after, usegmt=True)
        async with lying(tls, lambda _path, _body, at=at: http("503 Busy", Retry_After=at)) as liar:  # type: ignore[misc]
            enrolment = gateway.enrolment(liar.url)
            with pytest.raises(PeerUnavailable):
                await asyncio.to_thread(enrolment.enrol)
        hours = enrolment.next_attempt(1) / timedelta(hours=1)
        assert least < hours < most


async def test_a_server_that_does_not_renew_is_asked_for_a_new_one(gateway: Gateway, tls: ssl.SSLContext) -> None:
    """simplereenroll -> 403, simpleenroll -> a certificate: taken."""
    maker = gateway.maker

    def respond(path: str, body: bytes) -> bytes:
        if path.endswith("cacerts"):
            return certificates(*maker.factory.chain)
        if path.endswith("simplereenroll"):
            return http("403 Forbidden")
        return certificates(forged(maker, decode_body(body), right(maker)))

    async with lying(tls, respond) as liar:
        files = await asyncio.to_thread(gateway.enrolment(liar.url).enrol)
        assert [path.rpartition("/")[2] for path in liar.asked] == ["cacerts", "simplereenroll", "simpleenroll"]
    assert gateway.enrolment(liar.url).current() == files
