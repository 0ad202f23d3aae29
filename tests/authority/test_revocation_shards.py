"""Lists in parts: which part a certificate names, and that one revocation signs one part of bounded length."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.authority import crl_shards
from leafward.authority.crl_shards import key_id_of
from leafward.authority.est_labels import Labels
from leafward.authority.est_settings import EstTable
from leafward.authority.est_signers import Signers
from leafward.authority.lot_delivery import FolderSink
from leafward.authority.lot_sources import open_source
from leafward.authority.lots import Line, Lots
from leafward.pki.bulk_request import BulkRequest
from leafward.pki.request import CertificateRequest
from leafward.pki.verify import verify
from leafward.store.revocations import COMPLETE
from tests.authority.revocation_world import DAY, HOUR, PUBLISHED, World, address, number, serials

BASE = PUBLISHED.crl_url


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Parts of three certificates."""
    monkeypatch.setattr(crl_shards, "CAPACITY", 3)
    return 3


@pytest.fixture
def world(tmp_path: Path, maker_database: str | None, small: int) -> Iterator[World]:
    made = World(tmp_path, maker_database, PUBLISHED)
    yield made
    made.issuance.close()


def part_of(certificate: x509.Certificate) -> str:
    return (address(certificate) or "").rpartition("/")[2]


def test_certificates_fill_parts_in_the_order_of_issuing(world: World) -> None:
    issued = [world.issue(f"pump-{count}") for count in range(7)]
    assert [part_of(one) for one in issued] == ["1.crl"] * 3 + ["2.crl"] * 3 + ["3.crl"]
    assert address(issued[0]) == f"{BASE}/{world.key_id}/1.crl"
    access = issued[0].extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert [one.access_location.value for one in access] == [PUBLISHED.ocsp_url]


def test_each_ca_has_parts_of_its_own(world: World) -> None:
    """The factory's certificate names the root's part, the leaf's the factory's; the root itself names none."""
    root_id = key_id_of(world.root.chain.leaf)
    assert address(world.factory.chain.leaf) == f"{BASE}/{root_id}/1.crl"
    assert address(world.root.chain.leaf) is None
    assert address(world.issue()) == f"{BASE}/{world.key_id}/1.crl"


def test_one_revocation_signs_one_part(world: World) -> None:
    issued = [world.issue(f"pump-{count}") for count in range(7)]
    world.publish()
    before = {part: world.file(part).read_bytes() for part in (1, 2, 3)}
    world.now += HOUR
    world.revoke(issued[4])
    assert {part for part in before if world.file(part).read_bytes() != before[part]} == {2}
    assert serials(world.crl(2)) == [issued[4].serial_number]
    assert not world.file(COMPLETE).exists()
    scope = world.crl(2).extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    assert scope.critical
    assert scope.value.full_name[0].value == address(issued[4])
    world.check_log()


def test_our_verifier_takes_the_right_part_and_no_other(world: World) -> None:
    """RFC 5280 6.3.3 (b): the list names what the certificate names, or it says nothing about it."""
    chains = [world.chain(f"pump-{count}") for count in range(4)]
    world.revoke(chains[0].leaf)
    world.publish()
    lists = {part: world.crl(part) for part in (1, 2)}
    roots = [world.crl(1, key_id_of(world.root.chain.leaf))]

    def judged(which: int, *crls: x509.CertificateRevocationList) -> str | None:
        anchors = [world.root.chain.leaf]
        return verify(chains[which], anchors, now=world.now, purpose="client", crls=[*crls, *roots]).rule

    assert judged(0, *lists.values()) == "certificate-revoked"
    assert judged(1, *lists.values()) is None
    assert judged(3, lists[2]) is None
    assert judged(3, lists[1]) == "crl-unusable"
    assert judged(0, lists[2]) == "crl-unusable"


def test_a_complete_list_beside_the_parts(world: World) -> None:
    """Made when it is asked for; kept up from then on, and never in the way of a revocation."""
    issued = [world.issue(f"pump-{count}") for count in range(4)]
    world.revoke(issued[0])
    world.revocation.complete(world.factory, now=world.now)
    assert serials(world.crl()) == [issued[0].serial_number]
    outcome = world.revoke(issued[3])
    assert outcome.published is not None
    assert outcome.published.partition == 2
    assert number(world.crl()) == 1
    assert [one.partition for one in world.publish(authority=world.factory)] == [COMPLETE, 1][:1]
    assert serials(world.crl()) == [one.serial_number for one in (issued[0], issued[3])]


def test_a_root_has_a_complete_list_as_well(world: World) -> None:
    """OpenSSL's -crl_check_all wants a list for the root's own certificate, which names no part."""
    assert {one.partition for one in world.publish(authority=world.root)} == {COMPLETE, 1}


def test_a_certificate_from_before_is_told_by_the_complete_list(world: World) -> None:
    """Issued without an address, then the maker publishes: its revocation is in the complete list, which is begun."""
    world.publish_to(crl_shards.NOWHERE)
    old = world.issue("old")
    world.publish_to(PUBLISHED)
    new = world.issue("new")
    assert address(old) is None
    outcome = world.revoke(old)
    assert outcome.published is not None
    assert outcome.published.partition == COMPLETE
    world.revoke(new)
    world.publish()
    assert serials(world.crl()) == [old.serial_number, new.serial_number]


def test_another_address_begins_another_part(world: World) -> None:
    """The old certificates keep the address they have, and so does their part."""
    old = world.issue("old")
    world.publish_to(replace(PUBLISHED, crl_url="http://other.example/lists"))
    new = world.issue("new")
    assert part_of(new) == "2.crl"
    world.revoke(old)
    scope = world.crl(1).extensions.get_extension_for_class(x509.IssuingDistributionPoint).value
    assert scope.full_name[0].value == address(old)


def test_a_part_comes_to_rest_when_all_its_certificates_have_ended(world: World) -> None:
    issued = [world.issue(f"pump-{count}", lifetime=20 * DAY) for count in range(3)]
    world.issue("long")
    world.revoke(issued[0])
    world.now += 21 * DAY
    assert 1 in {one.partition for one in world.publish(authority=world.factory, everything=True)}
    assert issued[0].serial_number in serials(world.crl(1))
    world.now += 30 * DAY
    assert {one.partition for one in world.publish(authority=world.factory)} == {2}


def test_a_short_lived_certificate_takes_no_place_and_is_in_no_list(world: World) -> None:
    """noRevAvail (RFC 9608): revoked in the inventory, so that the EST server refuses it; nobody looks for more."""
    short = world.issue("short", lifetime=2 * DAY)
    assert address(short) is None
    assert [part_of(world.issue(f"pump-{count}")) for count in range(3)] == ["1.crl"] * 3
    outcome = world.revoke(short)
    assert (outcome.published, outcome.pending) == (None, None)
    assert world.held(short).reason == "keyCompromise"
    assert {one.partition for one in world.publish(authority=world.factory)} == {1}


def test_a_lot_has_parts_too(world: World, tmp_path: Path) -> None:
    """Seven requests in one lot: each certificate names a part, and none of them is another's."""
    lots = Lots(world.issuance, clock=lambda: world.now)
    folder = tmp_path / "requests"
    folder.mkdir()
    for count in range(7):
        (folder / f"{count}.pem").write_bytes(request(f"pump-{count}"))
    lot = lots.open("leaf_device", 10, issuer="test-factory-ca")
    out = tmp_path / "out"
    lots.issue(lot, open_source(str(folder), io.BytesIO()), FolderSink(out, lots.issuers_pem(lot)), Line(0))
    world.publish_to(PUBLISHED)
    issued = [x509.load_pem_x509_certificate(path.read_bytes()) for path in sorted(out.rglob("*.pem"))]
    assert len(issued) == 7
    assert {address(one) for one in issued} == {f"{BASE}/{world.key_id}/1.crl"}  # a batch stays together
    assert part_of(world.issue("after")) == "2.crl"
    outcome = world.revoke(issued[0])
    assert outcome.published is not None
    assert outcome.published.partition == 1


def test_enrolled_devices_have_parts_too(world: World) -> None:
    labels = Labels.of(EstTable(issuer="test-factory-ca"), world.issuance.authorities)
    signers = Signers(world.issuance.pointers)
    signer = signers.get(labels.get(None), world.now)
    parts = []
    for count in range(5):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        asked = BulkRequest.of(CertificateRequest(public_key=key, common_name=f"pump-{count}"))
        (made,) = signer.issue([(asked, f"pump-{count}", 1 << 150 | count)])
        parts.append(part_of(x509.load_der_x509_certificate(made.entry.der)))
    assert parts == ["1.crl"] * 3 + ["2.crl"] * 2


def request(name: str) -> bytes:
    """A PKCS#10 request by a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return csr.public_bytes(Encoding.PEM)
