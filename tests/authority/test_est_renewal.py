"""simplereenroll: the same names, by the holder, and the old certificate steps back (RFC 7030 4.2.2, 3.3.2)."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from leafward.wire.est.targets import Operation
from tests.authority.est_world import Answer, Holder, Maker, Server, csr, new_key

RENEW = Operation.SIMPLE_REENROLL


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    maker = Maker(tmp_path)
    async with maker.serving() as server:
        yield server
    maker.issuance.close()


async def renew(server: Server, holder: Holder, body: bytes, label: str | None = None) -> Answer:
    return await server.enrol(holder, body, operation=RENEW, label=label)


@pytest.mark.parametrize("same_key", [True, False], ids=["renew", "rekey"])
async def test_the_old_certificate_is_marked_as_replaced(server: Server, same_key: bool) -> None:
    old = server.maker.hold("pump-7")
    answer = await renew(server, old, csr("pump-7", old.key if same_key else new_key()))
    assert answer.certificate.subject == old.chain.leaf.subject
    assert server.maker.status(old.chain.leaf) == "replaced"
    assert server.maker.status(answer.certificate) == "valid"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(lambda: csr("pump-7", organisation="Acme"), id="another-part"),
        pytest.param(csr, id="no-subject"),
    ],
)
async def test_another_subject_is_refused(server: Server, body: object) -> None:
    old = server.maker.hold("pump-7")
    answer = await renew(server, old, body())  # type: ignore[operator]
    assert answer.status == 400
    assert "RFC 7030 4.2.2" in answer.text
    assert server.maker.status(old.chain.leaf) == "valid"


async def test_another_name_is_refused(server: Server) -> None:
    old = server.maker.hold("pump-7")
    assert (await renew(server, old, csr("pump-8"))).status == 403


async def test_an_alternative_name_more_is_refused(server: Server) -> None:
    old = server.maker.hold("pump-7")
    more = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:pump:7")])
    assert (await renew(server, old, csr("pump-7", extensions=[more]))).status == 400


async def test_a_password_renews_nothing(server: Server) -> None:
    server.maker.hold("pump-7")
    password = server.maker.account("pump-7")
    answer = await server.enrol(None, csr("pump-7"), password=password, operation=RENEW)
    assert answer.status == 403


async def test_the_certificate_to_be_renewed_must_be_shown(server: Server) -> None:
    """A device identity may enrol a leaf device anew, but it is not what is renewed."""
    server.maker.hold("pump-7")
    identity = server.maker.hold("pump-7", "device_identity")
    assert (await renew(server, identity, csr("pump-7"))).status == 403


async def test_a_device_ca_is_renewed_by_the_identity_beside_it(server: Server) -> None:
    """A CA's key signs no handshake: factory -> device_identity gateway-7 renews device_ca gateway-7."""
    identity = server.maker.hold("gateway-7", "device_identity")
    assert (await renew(server, identity, csr("gateway-7"), "device_ca")).status == 400
    old = server.maker.hold("gateway-7", "device_ca")
    assert (await renew(server, identity, csr("gateway-7"), "device_ca")).status == 200
    assert server.maker.status(old.chain.leaf) == "replaced"


async def test_a_device_identity_renews_itself_with_its_serial_number(server: Server) -> None:
    old = server.maker.hold("pump-7", "device_identity", serial_number="0007")
    assert (await renew(server, old, csr("pump-7"), "device_identity")).status == 400
    answer = await renew(server, old, csr("pump-7", serial_number="0007"), "device_identity")
    assert answer.certificate.subject == old.chain.leaf.subject


async def test_a_lost_answer_can_be_asked_for_again(server: Server) -> None:
    """The device renews, and loses power before it reads the answer: it still has the old certificate."""
    old, key = server.maker.hold("pump-7"), new_key()
    lost = (await renew(server, old, csr("pump-7", key))).certificate
    again = (await renew(server, old, csr("pump-7", key))).certificate
    assert again == lost
    other = (await renew(server, old, csr("pump-7"))).certificate
    assert server.maker.status(lost) == "replaced"
    assert server.maker.status(other) == "valid"


async def test_a_replaced_certificate_counts_for_a_week(server: Server) -> None:
    old = server.maker.hold("pump-7")
    assert (await renew(server, old, csr("pump-7"))).status == 200
    server.maker.offset = timedelta(days=8)
    answer = await renew(server, old, csr("pump-7"))
    assert answer.status == 401
    assert "replaced" in answer.text


async def test_names_that_differ_in_case_are_not_taken_over(server: Server) -> None:
    """leaf_device pump-7 lives; the device identity Pump-7 is another device's."""
    held = server.maker.hold("pump-7")
    identity = server.maker.hold("Pump-7", "device_identity")
    assert (await server.enrol(identity, csr("Pump-7"))).status == 409
    assert server.maker.status(held.chain.leaf) == "valid"
