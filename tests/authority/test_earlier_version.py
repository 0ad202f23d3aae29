"""A home of the version before the inventory: its certificates come into the ledger, once."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leafward.authority.delivery import deliver
from leafward.authority.issuance import Issuance
from leafward.errors import EncodingError
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.key_types import parse_key_type

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def old_home(tmp_path: Path) -> Path:
    """root -> intermediate -> pump-1 (twice), pump-2, as the version before left it: files, and no database."""
    maker, kind = tmp_path / "maker", parse_key_type("ec-p256")
    chains = []
    with Issuance(maker) as issuance:
        issuance.root("Root", kind, now=NOW - timedelta(days=9))
        issuance.intermediate("Factory", kind, now=NOW - timedelta(days=8))
        for number, name in enumerate(("pump-1", "pump-2", "pump-1")):
            when, folder = NOW - timedelta(days=5 - number), tmp_path / str(number)
            chains.append(deliver(issuance, "device_ca", name, kind, folder, now=when, replacing=True).chain)
    for path in (*maker.glob("maker.db*"), *maker.glob("log/*")):
        path.unlink()
    (maker / "issued").mkdir()
    for chain in chains:
        (maker / "issued" / f"{fingerprint(chain.leaf)}.pem").write_bytes(chain.to_pem())
    return maker


def listed(issuance: Issuance) -> list[tuple[str, str | None, str]]:
    found = issuance.ledger.inventory.search(now=NOW).found
    return [(one.kind, one.name, one.status.value) for one in found]


EXPECTED = [
    ("root_ca", "Root", "valid"),
    ("intermediate_ca", "Factory", "valid"),
    ("device_ca", "pump-1", "replaced"),
    ("device_ca", "pump-2", "valid"),
    ("device_ca", "pump-1", "valid"),
]


def test_everything_is_taken_over_once(old_home: Path) -> None:
    with Issuance(old_home) as issuance:
        assert listed(issuance) == EXPECTED
    assert not (old_home / "issued").exists()
    assert len(list((old_home / "issued.taken-over").glob("*.pem"))) == 3
    with Issuance(old_home) as issuance:
        assert listed(issuance) == EXPECTED
        assert issuance.ledger.log.state().size == 5


def test_a_kill_before_the_folder_is_renamed_takes_nothing_over_twice(old_home: Path) -> None:
    shutil.copytree(old_home / "issued", old_home / "copy")
    with Issuance(old_home) as issuance:
        assert issuance.ledger.log.state().size == 5
    shutil.rmtree(old_home / "issued.taken-over")
    (old_home / "copy").rename(old_home / "issued")
    with Issuance(old_home) as issuance:
        assert listed(issuance) == EXPECTED


def test_a_home_with_authorities_only(old_home: Path) -> None:
    shutil.rmtree(old_home / "issued")
    with Issuance(old_home) as issuance:
        assert listed(issuance) == EXPECTED[:2]


def test_a_ca_that_somebody_else_signed_is_no_signature_of_ours(old_home: Path) -> None:
    """The root's key is elsewhere, as that of a purchased root is."""
    shutil.rmtree(old_home / "issued")
    (old_home / "authorities" / "root" / "key.pem").unlink()
    with Issuance(old_home) as issuance:
        assert listed(issuance) == []


def test_a_file_that_is_no_chain_stops_it_by_name(old_home: Path) -> None:
    (old_home / "issued" / "garbage.pem").write_text("garbage")
    with Issuance(old_home) as issuance, pytest.raises(EncodingError, match=r"garbage\.pem"):
        _ = issuance.ledger


def test_what_is_taken_over_is_as_it_was(old_home: Path) -> None:
    chain = Chain.from_pem(next((old_home / "issued").glob("*.pem")).read_bytes())
    with Issuance(old_home) as issuance:
        held = issuance.ledger.inventory.get(fingerprint(chain.leaf), NOW)
        assert held.not_after == chain.leaf.not_valid_after_utc
        assert held.serial == chain.leaf.serial_number
