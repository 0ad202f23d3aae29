"""Adopting: what is read out of a folder, the index line by line, and a run that is killed at any step."""

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leafward.authority.adopt import adopt
from leafward.authority.adopt_folder import read_folder
from leafward.authority.adopt_keys import find_keys
from leafward.authority.adopt_plan import Plan, make_plan
from leafward.authority.issuance import Issuance
from leafward.errors import NotFound, StoreError
from leafward.keys.passphrase import Passphrases
from tests.authority.adopt_folders import OpensslCa


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> OpensslCa:
    ca = OpensslCa(tmp_path_factory.mktemp("theirs"))
    ca.issue("a")
    ca.revoke(ca.issue("b"), "superseded")
    return ca


def planned(folder: Path) -> Plan:
    return make_plan(read_folder(folder), [], now=datetime.now(UTC))


def test_what_is_found(theirs: OpensslCa) -> None:
    plan = planned(theirs.folder)
    assert [(one.name, one.kind) for one in plan.authorities] == [("Their CA", "root_ca")]
    assert {one.name: one.revoked is not None for one in plan.issued} == {"a": False, "b": True}
    assert plan.skipped == []
    assert plan.folder.duplicates == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("R\t301231235959Z\t250102030405Z\t1A\tunknown\t/CN=x", "unspecified"),
        ("R\t20501231235959Z\t250102030405Z,keyCompromise\t1A\tunknown\t/CN=x", "keyCompromise"),
        ("R\t301231235959Z\t250102030405Z,CACompromise\t1A\tunknown\t/CN=x", "cACompromise"),
        ("R\t301231235959Z\t250102030405Z,keyTime,20250101000000Z\t1A\tunknown\t/CN=x", "keyCompromise"),
        ("R\t301231235959Z\t250102030405Z,holdInstruction,1.2.3\t1A\tunknown\t/CN=x", "certificateHold"),
        ("R\t301231235959Z\t20250102030405Z,madeUp\t1A\tunknown\t/CN=x", "unspecified"),
    ],
)
def test_lines_of_an_index(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "index.txt").write_text(f"V\t301231235959Z\t\t19\tunknown\t/CN=y\n{line}\n")
    (found,) = read_folder(tmp_path).revoked
    assert (found.serial, found.reason) == (0x1A, reason)
    assert found.revoked == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("line", ["R", "R\tx\ty\tz\tunknown\t/CN=x", "R\t301231235959Z\t991332Z\t1A\tunknown\t/CN=x"])
def test_a_broken_index_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "index.txt").write_text(line + "\n")
    found = read_folder(tmp_path)
    assert found.revoked == []
    assert "line 1 cannot be read" in found.skipped[0].why


def test_revoked_without_its_certificate(tmp_path: Path, theirs: OpensslCa) -> None:
    """It cannot be put on a list here: somebody has to know."""
    (tmp_path / "ca.pem").write_bytes(theirs.certificate.read_bytes())
    (tmp_path / "index.txt").write_bytes((theirs.folder / "index.txt").read_bytes())
    plan = planned(tmp_path)
    assert any("its certificate is not in the folder" in one.why for one in plan.skipped)


def test_links_are_not_followed(tmp_path: Path, theirs: OpensslCa) -> None:
    (tmp_path / "ca.pem").symlink_to(theirs.certificate)
    (tmp_path / "all").symlink_to(theirs.folder)
    assert read_folder(tmp_path).certificates == {}
    with pytest.raises(NotFound):
        read_folder(tmp_path / "nothing")


def test_no_key_in_what_is_shown(theirs: OpensslCa) -> None:
    found = read_folder(theirs.folder)
    keys = find_keys(make_plan(found, [], now=datetime.now(UTC)), Passphrases(), {}, new="hidden")
    assert "PRIVATE" not in repr(found.keys)
    assert "hidden" not in repr(keys)


@pytest.mark.parametrize("step", range(0, 24, 3))
def test_a_run_that_fails_is_finished_by_the_next(
    theirs: OpensslCa, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The disk refuses at one step or another; then all is there, once."""
    real, count = os.fsync, iter(range(10_000))

    def failing(descriptor: int) -> None:
        if next(count) == step:
            raise OSError(28, "No space left on device")
        real(descriptor)

    plan = planned(theirs.folder)
    keys = find_keys(plan, Passphrases(), {}, new=None)
    with Issuance(tmp_path / "maker") as issuance, monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        with contextlib.suppress(StoreError):
            adopt(issuance, plan, keys, now=datetime.now(UTC))
    with Issuance(tmp_path / "maker") as issuance:
        done = adopt(issuance, plan, keys, now=datetime.now(UTC))
        assert [one.key is not None for one, _ in done.authorities] == [True]
        assert done.recorded + done.known == 3
        assert sum(count.number for count in issuance.ledger.inventory.counts(datetime.now(UTC))) == 3
        assert [
            count.number for count in issuance.ledger.inventory.counts(datetime.now(UTC)) if count.status == "revoked"
        ] == [1]
