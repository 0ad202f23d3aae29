"""A second certificate for a name that lives: refused, replacing it, or renewing it with the same key."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.authority.delivery import Delivery, deliver
from leafward.authority.issuance import Issuance
from leafward.errors import AlreadyExists, LeafwardError, NotFound, RequestError
from leafward.pki.chain import fingerprint
from leafward.pki.key_types import parse_key_type
from leafward.pki.request import CertificateRequest
from leafward.store.inventory import Status

NOW = datetime.now(UTC).replace(microsecond=0)
KEY_TYPE = parse_key_type("ec-p256")


@pytest.fixture
def issuance(tmp_path: Path, maker_database: str | None) -> Iterator[Issuance]:
    """root -> what the tests issue."""
    with Issuance(tmp_path / "maker", database=maker_database) as opened:
        opened.root("Root", KEY_TYPE, now=NOW)
        yield opened


def new_request() -> CertificateRequest:
    return CertificateRequest(public_key=ec.generate_private_key(ec.SECP256R1()).public_key())


def to(issuance: Issuance, folder: Path, source: object = KEY_TYPE, name: str = "pump-1", **way: bool) -> Delivery:
    return deliver(issuance, "device_ca", name, source, folder, now=NOW, **way)  # type: ignore[arg-type]


def statuses(issuance: Issuance) -> list[tuple[str | None, str]]:
    return [(found.name, found.status.value) for found in issuance.ledger.inventory.search(now=NOW).found]


def test_everything_issued_is_in_the_ledger(issuance: Issuance, tmp_path: Path) -> None:
    issuance.intermediate("Factory", KEY_TYPE, now=NOW)
    delivered = to(issuance, tmp_path / "gw")
    issued = issuance.ledger.inventory.search(now=NOW).found
    assert [(found.kind, found.name) for found in issued] == [
        ("root_ca", "Root"),
        ("intermediate_ca", "Factory"),
        ("device_ca", "pump-1"),
    ]
    assert issued[-1].sha256 == fingerprint(delivered.chain.leaf)
    assert issuance.chain_of(delivered.chain.leaf) == delivered.chain


def test_a_name_that_lives_is_refused_and_nothing_is_left(issuance: Issuance, tmp_path: Path) -> None:
    first = to(issuance, tmp_path / "gw")
    for source in (KEY_TYPE, new_request()):
        with pytest.raises(AlreadyExists) as refused:
            to(issuance, tmp_path / "other", source, name="PUMP-1")
        assert fingerprint(first.chain.leaf) in str(refused.value)
        assert not (tmp_path / "other").exists()
    assert issuance.ledger.log.state().size == 2


def test_a_folder_that_was_there_keeps_what_is_in_it(issuance: Issuance, tmp_path: Path) -> None:
    to(issuance, tmp_path / "gw")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note").write_text("mine")
    with pytest.raises(AlreadyExists):
        to(issuance, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["note"]


def test_replacing_gives_the_name_to_another_key(issuance: Issuance, tmp_path: Path) -> None:
    to(issuance, tmp_path / "gw")
    new = to(issuance, tmp_path / "other", replacing=True)
    assert statuses(issuance) == [("Root", "valid"), ("pump-1", "replaced"), ("pump-1", "valid")]
    assert issuance.ledger.inventory.get("pump-1", NOW).sha256 == fingerprint(new.chain.leaf)


def test_replacing_nobody_is_issuing(issuance: Issuance, tmp_path: Path) -> None:
    to(issuance, tmp_path / "gw", new_request(), replacing=True)
    assert statuses(issuance)[1:] == [("pump-1", "valid")]


def test_renewing_with_the_key_in_the_folder(issuance: Issuance, tmp_path: Path) -> None:
    first = to(issuance, tmp_path / "gw")
    key = (tmp_path / "gw" / "key.pem").read_bytes()
    second = to(issuance, tmp_path / "gw", renewing=True)
    assert second.chain.leaf.public_key() == first.chain.leaf.public_key()
    assert second.chain.leaf != first.chain.leaf
    assert second.certificate.read_bytes() == second.chain.to_pem()
    assert (tmp_path / "gw" / "key.pem").read_bytes() == key
    assert statuses(issuance)[1:] == [("pump-1", "replaced"), ("pump-1", "valid")]


def test_renewing_by_a_request_of_the_same_key(issuance: Issuance, tmp_path: Path) -> None:
    asked = new_request()
    to(issuance, tmp_path / "gw", asked)
    assert to(issuance, tmp_path / "gw", asked, renewing=True).private_key is None


@pytest.mark.parametrize(
    ("name", "folder", "expected", "words"),
    [
        ("pump-1", "gw", RequestError, "--replace"),
        ("pump-2", "gw", NotFound, "without --renew"),
        ("pump-1", "empty", NotFound, "--csr"),
    ],
)
def test_what_is_no_renewal(
    issuance: Issuance, tmp_path: Path, name: str, folder: str, expected: type[LeafwardError], words: str
) -> None:
    """Another key; nobody to renew; no key in the folder. The old certificate lives on."""
    to(issuance, tmp_path / "gw")
    source = KEY_TYPE if folder == "empty" else new_request()
    before = (tmp_path / "gw" / "certificate.pem").read_bytes()
    with pytest.raises(expected) as refused:
        to(issuance, tmp_path / folder, source, name=name, renewing=True)
    assert words in (refused.value.hint or "")
    assert statuses(issuance)[1:] == [("pump-1", "valid")]
    assert (tmp_path / "gw" / "certificate.pem").read_bytes() == before
    assert not (tmp_path / "empty").exists()


def test_a_revoked_certificate_is_not_renewed_and_its_name_is_free(issuance: Issuance, tmp_path: Path) -> None:
    first = to(issuance, tmp_path / "gw")
    issuance.ledger.inventory.revoke(fingerprint(first.chain.leaf), "key_compromise", NOW)
    with pytest.raises(NotFound):
        to(issuance, tmp_path / "gw", renewing=True)
    to(issuance, tmp_path / "other")
    assert [status for _, status in statuses(issuance)[1:]] == [Status.REVOKED, Status.VALID]


def test_who_is_faster_wins_a_renewal(issuance: Issuance, tmp_path: Path) -> None:
    """Both looked at the same living certificate; the ledger lets one of them take its place."""
    asked = new_request()
    to(issuance, tmp_path / "gw", asked)
    looked = issuance.ledger.inventory.living
    held = looked("device_ca", "pump-1", NOW)
    to(issuance, tmp_path / "gw", asked, renewing=True)
    issuance.ledger.inventory.living = lambda *_: held  # type: ignore[method-assign]
    with pytest.raises(NotFound, match="cannot be replaced"):
        to(issuance, tmp_path / "gw", asked, renewing=True)
