"""EST as a device uses it: what it asks, and what it gets (RFC 7030 section 4)."""

import asyncio
import base64
import http.client
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509.oid import AttributeOID, NameOID

from leafward.keys.generation import new_private_key
from leafward.pki.chain import Chain
from leafward.pki.key_types import parse_key_type
from leafward.pki.names import common_name
from leafward.pki.verify import verify
from leafward.wire.est.bodies import certificates_of, decode_body
from leafward.wire.est.csr_attributes import EC_PUBLIC_KEY, P256, Attribute, decode_attributes
from leafward.wire.est.key_delivery import decode_key_and_certificate
from leafward.wire.est.targets import Operation
from tests.authority.est_world import Maker, Server, csr, der_of, new_key


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    maker = Maker(tmp_path)
    async with maker.serving() as server:
        yield server
    maker.issuance.close()


async def test_anybody_gets_the_ca_certificates(server: Server) -> None:
    """root -> factory, as a certs-only message in one line; the server's own certificate hangs below them."""
    async with server.client() as client:
        answer = await client.get(Operation.CA_CERTIFICATES)
    assert answer.headers["Content-Type"] == "application/pkcs7-mime; smime-type=certs-only"
    assert answer.headers["Content-Transfer-Encoding"] == "base64"
    assert set(answer.certificates) == set(server.maker.factory.chain.certificates)


async def test_a_device_is_told_which_key_to_make(server: Server) -> None:
    async with server.client() as client:
        answer = await client.get(Operation.CSR_ATTRIBUTES)
    assert answer.headers["Content-Type"] == "application/csrattrs"
    assert decode_attributes(decode_body(answer.body))[0] == Attribute(EC_PUBLIC_KEY, (P256,))


async def test_a_device_identity_enrols_a_leaf_device(server: Server) -> None:
    """factory -> device_identity pump-7 asks for leaf_device pump-7: the certificate alone comes back, and verifies."""
    identity = server.maker.hold("pump-7", "device_identity")
    key = new_key()
    answer = await server.enrol(identity, csr("pump-7", key))
    assert answer.certificate.public_key() == key.public_key()
    chain = Chain.of(answer.certificate, *server.maker.factory.chain)
    assert verify(chain, [chain.top], now=server.maker.now(), purpose="client").valid
    assert server.maker.status(answer.certificate) == "valid"
    assert "Leafward-Deviation" not in answer.headers


async def test_the_name_may_be_left_to_the_credential(server: Server) -> None:
    identity = server.maker.hold("pump-7", "device_identity")
    assert common_name((await server.enrol(identity, csr())).certificate.subject) == "pump-7"


async def test_a_device_identity_enrols_a_device_ca(server: Server) -> None:
    """The CSR may ask for CA:TRUE here; the path length is the profile's, not its own."""
    identity = server.maker.hold("gateway-7", "device_identity")
    wish = x509.BasicConstraints(ca=True, path_length=5)
    answer = await server.enrol(identity, csr("gateway-7", extensions=[wish]), label="device_ca")
    got = answer.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (got.ca, got.path_length) == (True, 1)


async def test_an_account_enrols_a_device_identity(server: Server) -> None:
    password = server.maker.account("line-3", devices="pump-*", labels=["device_identity"])
    body = csr("pump-7", serial_number="A-0007")
    answer = await server.enrol(None, body, password=password, label="device_identity")
    assert answer.certificate.subject.rfc4514_string() == "2.5.4.5=A-0007,CN=pump-7"


async def test_a_password_helps_where_the_certificate_does_not_count(server: Server) -> None:
    """other root -> other factory -> a client certificate that means nothing here; the account does."""
    stranger = server.maker.hold("pump-9", issuer=server.maker.other_hierarchy())
    password = server.maker.account("pump-7")
    assert (await server.enrol(stranger, csr("pump-7"), password=password)).status == 200


@pytest.mark.parametrize("name", ["rsa-3072", "ec-p384", "ed25519", "ml-dsa-44"])
async def test_other_kinds_of_keys(server: Server, name: str) -> None:
    key_type = parse_key_type(name)
    key: Any = new_private_key(key_type)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump-7")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, key_type.signature_hash)
    identity = server.maker.hold("pump-7", "device_identity")
    answer = await server.enrol(identity, base64.b64encode(der_of(request)))
    assert answer.certificate.public_key() == key.public_key()


async def test_many_requests_go_over_one_connection(server: Server) -> None:
    identity = server.maker.hold("pump-7", "device_identity")
    async with server.client(identity) as client:
        found = [(await client.post(csr("pump-7"))).certificate for _ in range(5)]
    assert [server.maker.status(one) for one in found] == ["replaced"] * 4 + ["valid"]


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_tls_versions_serve(server: Server, newest: ssl.TLSVersion) -> None:
    async with server.client(server.maker.hold("pump-7"), newest=newest) as client:
        assert (await client.post(csr("pump-7"), Operation.SIMPLE_REENROLL)).status == 200


async def test_a_deviation_is_taken_and_told(server: Server) -> None:
    identity = server.maker.hold("pump-7", "device_identity")
    folded = csr("pump-7").replace(b"M", b"M\r\n", 1)
    answer = await server.enrol(identity, folded, Content_Transfer_Encoding=None)
    assert answer.status == 200
    assert answer.headers["Leafward-Deviation"] == "transfer-encoding-missing, line-breaks"


async def test_a_key_is_made_here_and_handed_out_once(server: Server) -> None:
    """serverkeygen: PKCS#8 and certificate fit; the key lies nowhere; the request's own signature does not matter."""
    identity = server.maker.hold("pump-7", "device_identity")
    damaged = bytearray(base64.b64decode(csr("pump-7")))
    damaged[-1] ^= 1
    answer = await server.enrol(identity, base64.b64encode(damaged), operation=Operation.SERVER_KEY_GENERATION)
    assert answer.status == 200
    pkcs8, message = decode_key_and_certificate(answer.body, answer.headers["Content-Type"])
    key = load_der_private_key(pkcs8, None)
    (certificate,) = certificates_of(message)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert certificate.public_key() == key.public_key()
    kept = [path.read_bytes() for path in server.maker.folder.rglob("*") if path.is_file()]
    assert not any(pkcs8[40:72] in data or base64.b64encode(pkcs8)[:60] in data for data in kept)


async def test_a_request_is_linked_to_its_connection_in_tls_1_2(server: Server) -> None:
    """challengePassword = base64(tls-unique): RFC 7030 3.5, over http.client, which shows the binding."""
    identity = server.maker.hold("pump-7", "device_identity")

    def talk(right: bool) -> int:
        tls = server.tls(identity, newest=ssl.TLSVersion.TLSv1_2)
        connection = http.client.HTTPSConnection("localhost", server.facts.port, context=tls)
        connection.connect()
        binding = connection.sock.get_channel_binding("tls-unique")
        challenge = base64.b64encode(binding if right else binding[::-1])
        body = csr("pump-7", attributes=[(AttributeOID.CHALLENGE_PASSWORD, challenge)])
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        connection.request("POST", "/.well-known/est/simpleenroll", body, headers)
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    assert await asyncio.to_thread(talk, True) == 200
    assert await asyncio.to_thread(talk, False) == 400


async def test_labels_have_paths_of_their_own(server: Server) -> None:
    identity = server.maker.hold("pump-7", "device_identity")
    async with server.client(identity) as client:
        for label in ("leaf_device", "device_identity", "device_ca"):
            assert (await client.get(Operation.CA_CERTIFICATES, label)).status == 200
        assert (await client.post(csr("pump-7", serial_number="0001"), label="device_identity")).status == 200
