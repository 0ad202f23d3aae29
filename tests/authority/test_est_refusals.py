"""Everything the EST server refuses: with which status, and that nothing was issued."""

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ObjectIdentifier

from leafward.wire.basic import BasicCredentials
from leafward.wire.est.bodies import MAX_REQUEST_BODY
from leafward.wire.est.targets import Operation
from tests.authority.est_world import Holder, Maker, Server, csr, der_of, new_key
from tests.hub.hub_certificates import make


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    maker = Maker(tmp_path)
    async with maker.serving() as server:
        yield server
    maker.issuance.close()


def issued(server: Server) -> int:
    return sum(count.number for count in server.maker.issuance.ledger.inventory.counts(server.maker.now()))


# ---- who asks


async def test_no_credential(server: Server) -> None:
    before = issued(server)
    answer = await server.enrol(None, csr("pump-7"))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert issued(server) == before


async def test_a_wrong_password(server: Server) -> None:
    server.maker.account("pump-7")
    answer = await server.enrol(None, csr("pump-7"), password=BasicCredentials("pump-7", "wrong"))
    assert answer.status == 401
    assert (await server.enrol(None, csr("x"), password=BasicCredentials("nobody", "wrong"))).text == answer.text


async def test_guessing_is_slowed(server: Server) -> None:
    """The fourth wrong password from one address is not listened to, nor the right one, until the wait is over."""
    right = server.maker.account("pump-7")
    for _ in range(3):
        assert (await server.enrol(None, csr("pump-7"), password=BasicCredentials("pump-7", "wrong"))).status == 401
    answer = await server.enrol(None, csr("pump-7"), password=right)
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) >= 1
    server.maker.offset = timedelta(seconds=2)
    assert (await server.enrol(None, csr("pump-7"), password=right)).status == 200


@pytest.mark.parametrize("authorization", ["Bearer abc", "Basic ***", "Basic bm9jb2xvbg==", "Digest x"])
async def test_other_ways_to_sign_in(server: Server, authorization: str) -> None:
    answer = await server.enrol(None, csr("pump-7"), Authorization=authorization)
    assert answer.status == 401


async def test_an_expired_account(server: Server) -> None:
    password = server.maker.account("pump-7", lifetime=timedelta(days=1))
    server.maker.offset = timedelta(days=2)
    assert (await server.enrol(None, csr("pump-7"), password=password)).status == 401


async def test_an_expired_client_certificate(server: Server) -> None:
    """factory -> pump-7, issued 400 days ago for 365: a device that slept too long."""
    holder = server.maker.hold("pump-7", ago=timedelta(days=400))
    answer = await server.enrol(holder, csr("pump-7"), operation=Operation.SIMPLE_REENROLL)
    assert answer.status == 401
    assert "expired" in answer.text


async def test_a_certificate_of_another_hierarchy_of_the_maker(server: Server) -> None:
    holder = server.maker.hold("pump-7", issuer=server.maker.other_hierarchy())
    answer = await server.enrol(holder, csr("pump-7"))
    assert answer.status == 401
    assert "not accepted" in answer.text


async def test_a_certificate_of_a_stranger(server: Server, tmp_path: Path) -> None:
    """A root of the same name and another key -> pump-7."""
    forged = make("pump-7", make("Test Root CA", ca=True), client=True)
    (tmp_path / "forged.pem").write_bytes(forged.pem())
    (tmp_path / "forged.key").write_bytes(forged.key_pem())
    holder = Holder(server.maker.factory.chain, forged.key, tmp_path / "forged.pem", tmp_path / "forged.key")
    assert (await server.enrol(holder, csr("pump-7"))).status == 401


async def test_a_certificate_that_nobody_recorded(server: Server) -> None:
    """factory -> pump-7, signed by the real key past the ledger: as by a thief with access to the HSM."""
    from leafward.keys.serial import new_serial
    from leafward.pki.profiles import profile
    from leafward.pki.request import CertificateRequest

    key = new_key()
    request = CertificateRequest(public_key=key.public_key(), common_name="pump-7")
    issuer = server.maker.factory.issuer()
    chain = issuer.prepare(profile("leaf_device"), request, now=server.maker.now(), serial=new_serial()).sign()
    answer = await server.enrol(server.maker.written(chain, key), csr("pump-7"), operation=Operation.SIMPLE_REENROLL)
    assert answer.status == 401
    assert "not known" in answer.text


async def test_a_device_ca_is_no_client(server: Server) -> None:
    holder = server.maker.hold("gateway-7", "device_ca")
    assert (await server.enrol(holder, csr("gateway-7"), label="device_ca")).status == 401


async def test_a_revoked_client_certificate(server: Server) -> None:
    holder = server.maker.hold("pump-7")
    server.maker.revoke(holder.chain.leaf)
    answer = await server.enrol(holder, csr("pump-7"), operation=Operation.SIMPLE_REENROLL)
    assert answer.status == 401
    assert "revoked" in answer.text


async def test_one_that_is_revoked_while_its_connection_stands(server: Server) -> None:
    """The judgement of a minute ago does not count: the transaction asks again, and nothing is recorded."""
    holder = server.maker.hold("pump-7", "device_identity")
    async with server.client(holder) as client:
        assert (await client.post(csr("pump-7"))).status == 200
        server.maker.revoke(holder.chain.leaf)
        before = issued(server)
        assert (await client.post(csr("pump-7"))).status == 403
    assert issued(server) == before


# ---- what for


async def test_the_name_of_another_device(server: Server) -> None:
    holder = server.maker.hold("pump-7", "device_identity")
    for name in ("pump-8", "Pump-7", "pump-7 ", "pump-7.evil"):
        assert (await server.enrol(holder, csr(name))).status == 403


async def test_a_name_that_the_account_is_not_for(server: Server) -> None:
    password = server.maker.account("line", devices="pump-*")
    assert (await server.enrol(None, csr("valve-1"), password=password)).status == 403
    assert (await server.enrol(None, csr("pump-"), password=password)).status == 403
    assert (await server.enrol(None, csr(), password=password)).status == 400
    assert (await server.enrol(None, csr("pump-1 x"), password=password)).status == 400


async def test_a_label_that_the_account_is_not_for(server: Server) -> None:
    password = server.maker.account("gateway-7")
    assert (await server.enrol(None, csr("gateway-7"), password=password, label="device_ca")).status == 403


async def test_a_leaf_device_gets_no_device_ca(server: Server) -> None:
    """factory -> leaf_device pump-7: its name fits, its kind does not."""
    holder = server.maker.hold("pump-7")
    for operation in (Operation.SIMPLE_ENROLL, Operation.SIMPLE_REENROLL, Operation.SERVER_KEY_GENERATION):
        assert (await server.enrol(holder, csr("pump-7"), operation=operation, label="device_ca")).status == 401
    assert (await server.enrol(holder, csr("pump-7"), label="device_identity")).status == 401


async def test_the_serial_number_of_another_device(server: Server) -> None:
    holder = server.maker.hold("pump-7", "device_identity", serial_number="0007")
    body = csr("pump-7", serial_number="0008")
    assert (await server.enrol(holder, body, label="device_identity")).status == 403


async def test_a_name_in_use(server: Server) -> None:
    """pump-7 lives; a password alone does not take its place."""
    server.maker.hold("pump-7")
    password = server.maker.account("pump-7")
    before = issued(server)
    answer = await server.enrol(None, csr("pump-7"), password=password)
    assert answer.status == 409
    assert issued(server) == before


async def test_an_account_that_served(server: Server) -> None:
    """Once: the first request is served, the same again gets the same, another key nothing."""
    password = server.maker.account("line", devices="pump-*", once=True)
    key = new_key()
    first = await server.enrol(None, csr("pump-7", key), password=password)
    again = await server.enrol(None, csr("pump-7", key), password=password)
    assert first.certificate == again.certificate
    assert (await server.enrol(None, csr("pump-7"), password=password)).status == 403
    assert (await server.enrol(None, csr("pump-8"), password=password)).status == 403


@pytest.mark.parametrize("path", ["nothing", "a/b/simpleenroll", "x/cacerts", "", "fullcmc"])
async def test_paths_that_are_not_there(server: Server, path: str) -> None:
    async with server.client() as client:
        url = f"https://localhost:{server.facts.port}/.well-known/est/{path}"
        async with client.session.get(url) as response:
            assert response.status == (501 if path == "fullcmc" else 404)


async def test_methods(server: Server) -> None:
    async with server.client() as client:
        assert (await client.get(Operation.SIMPLE_ENROLL)).status == 405
        answer = await client.post(b"", Operation.CA_CERTIFICATES)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")


# ---- the request itself


def rsa_1024(name: str) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return csr(name, key)


def badly_signed(name: str) -> bytes:
    damaged = bytearray(base64.b64decode(csr(name)))
    damaged[-1] ^= 1
    return base64.b64encode(damaged)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: b"", id="empty"),
        pytest.param(lambda: b"%%%%", id="no-base64"),
        pytest.param(lambda: base64.b64encode(b"\x30\x03\x02\x01\x01"), id="other-der"),
        pytest.param(lambda: base64.b64encode(hashlib.sha512(b"").digest()), id="garbage"),
        pytest.param(lambda: csr("pump-7")[:-8], id="cut-off"),
        pytest.param(lambda: badly_signed("pump-7"), id="badly-signed"),
        pytest.param(lambda: rsa_1024("pump-7"), id="weak-key"),
        pytest.param(lambda: csr("pump-7", extensions=[x509.BasicConstraints(True, None)]), id="ca-true"),
        pytest.param(
            lambda: csr("pump-7", extensions=[x509.SubjectAlternativeName([x509.DNSName("*.example")])]), id="wildcard"
        ),
        pytest.param(
            lambda: csr("pump-7", extensions=[x509.SubjectAlternativeName([x509.DNSName("hub.example")])]),
            id="name-not-in-profile",
        ),
        pytest.param(lambda: csr("*.example"), id="wildcard-cn"),
        pytest.param(
            lambda: csr("pump-7", attributes=[(ObjectIdentifier("1.2.840.113549.1.9.7"), b"secret")]),
            id="challenge-password",
        ),
        pytest.param(
            lambda: csr("pump-7", attributes=[(ObjectIdentifier("1.3.6.1.5.5.7.7.36"), b"pump-8")]),
            id="change-subject-name",
        ),
    ],
)
async def test_requests_that_are_none(server: Server, body: Callable[[], bytes]) -> None:
    holder = server.maker.hold("pump-7", "device_identity")
    before = issued(server)
    answer = await server.enrol(holder, body())
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert issued(server) == before


async def test_one_that_is_too_large(server: Server) -> None:
    holder = server.maker.hold("pump-7", "device_identity")
    assert (await server.enrol(holder, b"A" * (MAX_REQUEST_BODY + 1))).status == 413


@pytest.mark.parametrize("content_type", [None, "application/x-www-form-urlencoded", "application/pkcs7-mime"])
async def test_other_content_types(server: Server, content_type: str | None) -> None:
    holder = server.maker.hold("pump-7", "device_identity")
    answer = await server.enrol(holder, csr("pump-7"), Content_Type=content_type)
    assert answer.status == 415
    assert "application/pkcs10" in answer.text


async def test_a_key_that_is_to_be_encrypted(server: Server) -> None:
    """serverkeygen with a DecryptKeyIdentifier: refused, and not answered in the clear (RFC 7030 4.4.1.1)."""
    holder = server.maker.hold("pump-7", "device_identity")
    wish = [(ObjectIdentifier("1.2.840.113549.1.9.16.2.37"), b"key-1")]
    answer = await server.enrol(holder, csr("pump-7", attributes=wish), operation=Operation.SERVER_KEY_GENERATION)
    assert answer.status == 400


async def test_a_key_of_a_ca_is_not_made_here(server: Server) -> None:
    holder = server.maker.hold("gateway-7", "device_identity")
    answer = await server.enrol(holder, csr("gateway-7"), operation=Operation.SERVER_KEY_GENERATION, label="device_ca")
    assert answer.status == 403


def test_the_helper_makes_what_openssl_makes() -> None:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(new_key(), hashes.SHA256())
    assert der_of(request)[:1] == b"\x30"
