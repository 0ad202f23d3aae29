"""A gateway is sold: what was its owner's goes, what is the maker's stays, and the device CA says so.

root -> intermediate -> device CA -> workload CA -> hub     kept, kept, kept | destroyed and retired, destroyed
                                  -> leaf device "pump-9"                      retired
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import AlreadyExists, Busy, Damaged, KeyUnavailable, NotFound, StoreError, UsageError
from leafward.manager.start import LAST_SEEN
from leafward.manager.time_floor import TimeFloor
from leafward.manager.wipe import Wanted, preview, wipe
from leafward.manager.wipe_epoch import owner_epoch
from leafward.manager.wipe_issued import NAME, key_digest, note_issued, read_issued
from leafward.pki.chain import fingerprint
from leafward.pki.verify import verify
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from tests.manager.wipe_world import Owner, found_in, judged, kept_files, lists, read, start, use, wiped

DAY = timedelta(days=1)


pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


def test_nothing_of_the_owner_is_found_and_the_makers_half_is_as_it_was(
    owner: Owner, clock: Any, receipt: Path
) -> None:
    before = kept_files(owner.home)
    done = wiped(owner.home, clock, receipt)
    assert (done.owner_epoch, done.resumed, done.repeated) == (1, False, False)
    assert found_in(owner.home, owner.secrets) == set()
    assert kept_files(owner.home) == before
    left = {str(path.relative_to(owner.home.root)) for path in owner.home.root.rglob("*") if path.is_file()}
    assert left == {
        "manager/device-ca/certificate.pem",
        "manager/device-ca/key.pem",
        "manager/epoch",
        "manager/last-seen",
        "manager/lock",
        "manager/receipts/000001.pem",
        "manager/retired/crl.pem",
        "run/hub.lock",
        "run/lock",
        "run/provisioning.lock",
    }


def test_the_receipt_says_what_was_destroyed(owner: Owner, clock: Any, receipt: Path) -> None:
    wiped(owner.home, clock, receipt, challenge="4711")
    assert judged(receipt, owner.root, clock(), "4711").valid
    said = read(receipt).statement
    hub = owner.chain.leaf
    assert {(key.kind, key.key, key.certificate) for key in said.keys} == {
        ("workload-ca", key_digest(owner.workload_ca), fingerprint(owner.workload_ca)),
        ("hub-server", key_digest(hub), fingerprint(hub)),
        ("module-encryption", None, None),
    }
    assert said.counts == {"devices": 2, "modules": 1, "leaf_credentials": 1, "messages": 3, "sessions": 2}
    assert [one.sha256 for one in said.retired] == [fingerprint(owner.workload_ca)]
    assert said.retired_leaf_certificates == 1
    assert (said.device, said.owner_epoch, said.clock_behind) == ("iotgateway.ca", 1, False)
    assert receipt.read_bytes() == (owner.home.receipts / "000001.pem").read_bytes()


def test_whoever_has_the_list_refuses_what_the_owner_had(owner: Owner, clock: Any, receipt: Path) -> None:
    """The former owner kept copies of everything: server chain and leaf device verify until the list is given."""
    wiped(owner.home, clock, receipt)
    crls = lists(owner.home)
    for chain, purpose in ((owner.chain, "server"), (owner.leaf, "client")):
        asked: dict[str, Any] = {"now": clock(), "purpose": purpose}
        assert verify(chain, [owner.root], **asked).valid
        verdict = verify(chain, [owner.root], crls=crls, **asked)
        assert (verdict.valid, verdict.rule) == (False, "certificate-revoked")


def test_the_next_owner_begins_anew_below_the_same_device_ca(owner: Owner, clock: Any, receipt: Path) -> None:
    wiped(owner.home, clock, receipt)
    standing = start(owner.home, clock)
    assert standing.owner_epoch == 2
    assert set(standing.issued) == {"workload CA", "hub's server certificate"}
    assert standing.device_ca.chain == owner.standing.device_ca.chain
    chain = standing.hub.pair.chain
    assert verify(chain, standing.anchors, now=clock(), crls=lists(owner.home)).valid
    assert chain.certificates[1] != owner.workload_ca
    assert str(standing.settings.hostname) != "iotedgegw.local"


def test_a_second_owner_leaves_too(owner: Owner, clock: Any, receipt: Path, tmp_path: Path) -> None:
    """The list grows: it retires what both owners had, and the first receipt stays good."""
    wiped(owner.home, clock, receipt)
    clock.forward(30 * DAY)
    second = use(owner.home, clock)
    clock.forward(DAY)
    assert wiped(owner.home, clock, tmp_path / "second.pem").owner_epoch == 2
    crls = lists(owner.home)
    assert len(crls) == 1
    assert read(tmp_path / "second.pem").statement.crl_number == 2
    for one in (owner, second):
        assert verify(one.chain, [owner.root], now=clock(), crls=crls).rule == "certificate-revoked"
    assert judged(receipt, owner.root, clock()).valid
    assert judged(tmp_path / "second.pem", owner.root, clock()).valid


def test_what_was_renewed_is_retired_as_well(owner: Owner, clock: Any, receipt: Path) -> None:
    """The workload CA of last year is gone from the disk, and would verify for two months yet."""
    clock.forward(300 * DAY)
    renewed = start(owner.home, clock)
    assert "workload CA" in renewed.issued
    renewed.workload_ca.settle()
    wiped(owner.home, clock, receipt)
    for old in (owner.workload_ca, renewed.workload_ca.certificate):
        assert lists(owner.home)[0].get_revoked_certificate_by_serial_number(old.serial_number) is not None
    assert len(read(receipt).statement.retired) == 2


def test_again_is_the_same_receipt_again_unless_a_buyer_asks(
    owner: Owner, clock: Any, receipt: Path, tmp_path: Path
) -> None:
    wiped(owner.home, clock, receipt)
    again = wiped(owner.home, clock, tmp_path / "again.pem")
    assert (again.owner_epoch, again.repeated) == (1, True)
    assert (tmp_path / "again.pem").read_bytes() == receipt.read_bytes()
    asked = wiped(owner.home, clock, tmp_path / "asked.pem", challenge="4711")
    assert (asked.owner_epoch, asked.repeated) == (2, False)
    assert judged(tmp_path / "asked.pem", owner.root, clock(), "4711").valid
    assert read(tmp_path / "asked.pem").statement.keys == ()


@pytest.mark.parametrize("lock", ["run/lock", "run/hub.lock", "run/provisioning.lock", "manager/lock"])
def test_a_home_in_use_is_left_alone(owner: Owner, clock: Any, receipt: Path, lock: str) -> None:
    with HomeLock(owner.home.root / lock).hold("somebody"), pytest.raises(Busy) as busy:
        wiped(owner.home, clock, receipt)
    assert "stop the edge first" in str(busy.value.hint)
    assert not owner.home.wipe_marker.exists()
    assert found_in(owner.home, owner.secrets)


def test_a_dry_run_tells_and_changes_nothing(owner: Owner, clock: Any) -> None:
    before = {path: path.read_bytes() for path in owner.home.root.rglob("*") if path.is_file()}
    plan, going = preview(owner.home, TimeFloor(owner.home.manager / LAST_SEEN, clock))
    names = {str(path.relative_to(owner.home.root)) for path in going}
    assert {
        "manager/workload-ca",
        "manager/master.key",
        "registry.db",
        "hub/messages.db",
        "devices",
        "notes.txt",
    } <= names
    assert not any("device-ca" in name for name in names)
    assert plan.counts["devices"] == 2
    after = {path: path.read_bytes() for path in owner.home.root.rglob("*") if path.is_file()}
    # A look at a database may leave its journal's empty files.
    assert {path: data for path, data in after.items() if not path.name.endswith(("-wal", "-shm"))} == {
        path: data for path, data in before.items() if not path.name.endswith(("-wal", "-shm"))
    }


def test_a_device_ca_that_cannot_sign_stops_it_before_it_begins(owner: Owner, clock: Any, receipt: Path) -> None:
    key = owner.home.manager / "device-ca" / "key.pem"
    key.rename(receipt.with_name("elsewhere"))
    with pytest.raises(KeyUnavailable) as refused:
        wiped(owner.home, clock, receipt)
    assert "--without-receipt" in str(refused.value.hint)
    assert found_in(owner.home, owner.secrets)
    done = wiped(owner.home, clock, None)
    assert done.receipt is None
    assert found_in(owner.home, owner.secrets) == set()
    assert owner_epoch(owner.home) == 2


def test_an_expired_device_ca_cannot_sign(owner: Owner, clock: Any, receipt: Path) -> None:
    clock.forward(4000 * DAY)
    with pytest.raises(KeyUnavailable, match="expired"):
        wiped(owner.home, clock, receipt)
    assert not receipt.exists()


def test_where_the_receipt_cannot_go_is_told_first(owner: Owner, clock: Any, receipt: Path) -> None:
    receipt.write_text("something else")
    for where, error in (
        (receipt, AlreadyExists),
        (owner.home.root / "receipt.pem", UsageError),
        (receipt.parent / "none" / "receipt.pem", NotFound),
        (receipt.parent, AlreadyExists),
    ):
        with pytest.raises(error):
            wiped(owner.home, clock, where)
    assert receipt.read_text() == "something else"
    assert found_in(owner.home, owner.secrets)


def test_a_link_out_of_the_home_is_refused(owner: Owner, clock: Any, receipt: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "other-disk"
    elsewhere.mkdir()
    owner.home.hub.rename(elsewhere / "hub")
    owner.home.hub.symlink_to(elsewhere / "hub")
    with pytest.raises(StoreError, match="leads out of the home"):
        wiped(owner.home, clock, receipt)
    assert (elsewhere / "hub" / "messages.db").exists()
    assert found_in(owner.home, owner.secrets)


def test_a_home_that_is_none_is_told(tmp_path: Path, clock: Any) -> None:
    home = Home(tmp_path / "nowhere")
    with pytest.raises(NotFound, match="no gateway"):
        wipe(home, TimeFloor(home.manager / LAST_SEEN, clock), Wanted(tmp_path / "receipt.pem"))
    assert not home.root.exists()


def test_what_does_not_read_is_destroyed_all_the_same(owner: Owner, clock: Any, receipt: Path) -> None:
    """A damaged registry, messages and sessions are "unknown" in the receipt; a key without a certificate is a key."""
    owner.home.registry.write_bytes(b"garbage" * 1000)
    owner.home.messages.write_bytes(b"")
    (owner.home.hub / "sessions.json").write_text("garbage")
    certificate = next((owner.home.manager / "workload-ca").rglob("certificate.pem"))
    certificate.write_text("garbage")
    wiped(owner.home, clock, receipt)
    said = read(receipt).statement
    assert said.counts["devices"] is said.counts["modules"] is said.counts["sessions"] is None
    assert ("workload-ca", key_digest(owner.workload_ca), None) in {(k.kind, k.key, k.certificate) for k in said.keys}
    assert [one.sha256 for one in said.retired] == [fingerprint(owner.workload_ca)]  # it was noted when it was signed
    assert found_in(owner.home, owner.secrets) == set()


def test_a_plan_that_does_not_read_stops_every_start(owner: Owner, clock: Any) -> None:
    owner.home.wipe_marker.write_text('{"version": 2}')
    with pytest.raises(Damaged, match=r"wipe\.json"):
        start(owner.home, clock)


def test_a_list_or_number_that_is_lost_comes_back_from_the_receipts(
    owner: Owner, clock: Any, receipt: Path, tmp_path: Path
) -> None:
    wiped(owner.home, clock, receipt)
    owner.home.owner_epoch.write_bytes(b"")
    owner.home.retired.write_bytes(b"garbage")
    assert start(owner.home, clock).owner_epoch == 2
    wiped(owner.home, clock, tmp_path / "second.pem")
    assert verify(owner.chain, [owner.root], now=clock(), crls=lists(owner.home)).rule == "certificate-revoked"
    assert owner_epoch(owner.home) == 3


def test_another_device_ca_has_a_list_of_its_own(
    owner: Owner, clock: Any, receipt: Path, install: Callable[..., Any], tmp_path: Path
) -> None:
    """The device CA is replaced between two owners: its list stands beside that of the one before."""
    wiped(owner.home, clock, receipt)
    install(common_name="another.ca")
    second = start(owner.home, clock)
    wiped(owner.home, clock, tmp_path / "second.pem")
    crls = lists(owner.home)
    assert len(crls) == 2
    for chain in (owner.chain, second.hub.pair.chain):
        assert verify(chain, [owner.root], now=clock(), crls=crls).rule == "certificate-revoked"
    assert judged(tmp_path / "second.pem", owner.root, clock()).valid


def test_a_clock_that_is_behind_is_said(owner: Owner, clock: Any, receipt: Path) -> None:
    now = clock()
    clock.now = now.replace(year=1970)
    wiped(owner.home, clock, receipt)
    said = read(receipt).statement
    assert said.clock_behind
    assert said.finished <= now
    assert judged(receipt, owner.root, now).valid


def test_notes_of_many_processes_read_back(home: Home, owner: Owner) -> None:
    """One that a power cut left half spoils itself alone."""

    before = len(list(read_issued(home.manager)))
    with (home.manager / NAME).open("ab") as notes:
        notes.write(b"\nworkload-ca 12ab34 ")
    note_issued(home.manager, "workload-ca", owner.standing.workload_ca.pair.chain)
    found = list(read_issued(home.manager))
    assert len(found) == before + 1
    assert found[-1].sha256 == fingerprint(owner.workload_ca)
