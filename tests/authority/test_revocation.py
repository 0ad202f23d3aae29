"""Revoking: recorded first, told by one list; what is refused, and what a clock, a key or a kill in between changes.

Everywhere: root -> factory -> leaf devices.
"""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from leafward import disk
from leafward.authority.crl_publication import Published, Unpublished
from leafward.errors import AlreadyExists, Busy, KeyUnavailable, LeafwardError, NotFound, RuleViolation, StoreError
from leafward.pki.chain import fingerprint
from leafward.store import database
from leafward.store.revocations import COMPLETE
from tests.authority.revocation_world import DAY, HOUR, Status, World, number, serials


@pytest.fixture
def world(tmp_path: Path, maker_database: str | None) -> Iterator[World]:
    made = World(tmp_path, maker_database)
    yield made
    made.issuance.close()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    """Where the database does not matter: SQLite."""
    made = World(tmp_path)
    yield made
    made.issuance.close()


def test_a_revocation_is_in_inventory_log_database_and_file(world: World) -> None:
    gone, left = world.issue("pump-1"), world.issue("pump-2")
    outcome = world.revoke(gone)
    assert outcome.pending is None
    assert (outcome.issued.status, outcome.issued.revoked, outcome.issued.reason) == (
        Status.REVOKED,
        world.now,
        "keyCompromise",
    )
    crl = world.crl()
    assert serials(crl) == [gone.serial_number]
    assert left.serial_number not in serials(crl)
    assert crl.is_signature_valid(world.factory.chain.leaf.public_key())
    (entry,) = world.logged("crl")
    assert (entry.serial, entry.issuer_key_id) == (1, world.key_id)
    assert entry.sha256 == hashlib.sha256(world.file().read_bytes()).hexdigest()
    assert world.revocation.publication.lists.der(world.key_id, COMPLETE) == world.file().read_bytes()
    world.check_log()


def test_its_name_is_free(here: World) -> None:
    here.revoke(here.issue("pump-1"))
    assert here.held(here.issue("pump-1")).status is Status.VALID


def test_each_list_has_a_greater_number(world: World) -> None:
    for expected in range(1, 4):
        world.revoke(world.issue(f"pump-{expected}"))
        assert number(world.crl()) == expected
        assert len(serials(world.crl())) == expected


def test_by_name_serial_fingerprint_or_authority(here: World) -> None:
    first, second, third = here.issue("pump-1"), here.issue("pump-2"), here.issue("pump-3")
    for wanted in ("PUMP-1", f"{second.serial_number:x}", fingerprint(third)[:12]):
        here.revocation.revoke(wanted, "superseded", now=here.now)
    assert {here.held(one).status for one in (first, second, third)} == {Status.REVOKED}
    outcome = here.revocation.revoke("test-factory-ca", "cACompromise", now=here.now)
    assert outcome.issued.sha256 == fingerprint(here.factory.chain.leaf)
    assert outcome.published is not None
    assert outcome.published.authority == "test-root-ca"


# ---- refusals


def test_who_is_not_known_is_not_revoked(world: World) -> None:
    with pytest.raises(NotFound, match="pump-9"):
        world.revocation.revoke("pump-9", "keyCompromise", now=world.now)
    assert not world.file().exists()


def test_nobody_is_revoked_twice(world: World) -> None:
    """The first reason and time stand, and the list is not signed again."""
    gone = world.issue()
    world.revoke(gone, "superseded")
    before = world.file().read_bytes()
    world.now += HOUR
    with pytest.raises(AlreadyExists, match="superseded"):
        world.revoke(gone, "keyCompromise")
    assert world.held(gone).reason == "superseded"
    assert world.file().read_bytes() == before


def test_what_has_ended_is_not_revoked(here: World) -> None:
    gone = here.issue(lifetime=DAY)
    here.now += 2 * DAY
    with pytest.raises(RuleViolation, match="expired"):
        here.revoke(gone)


def test_a_root_is_not_revoked(here: World) -> None:
    with pytest.raises(RuleViolation, match="root") as refused:
        here.revocation.revoke("test-root-ca", "cACompromise", now=here.now)
    assert refused.value.code == "root-not-revocable"


# ---- on hold


def test_a_hold_is_taken_back(world: World) -> None:
    kept = world.issue()
    world.revoke(kept, "certificateHold")
    (line,) = world.crl()
    assert line.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.certificate_hold
    world.now += HOUR
    outcome = world.revocation.release(fingerprint(kept), now=world.now)
    assert (outcome.issued.status, outcome.issued.revoked) == (Status.VALID, None)
    assert serials(world.crl()) == []
    assert number(world.crl()) == 2


def test_a_hold_becomes_final_and_keeps_its_time(world: World) -> None:
    gone, since = world.issue(), world.now
    world.revoke(gone, "certificateHold")
    world.now += HOUR
    with pytest.raises(AlreadyExists):
        world.revoke(gone, "certificateHold")
    world.revoke(gone, "keyCompromise")
    assert (world.held(gone).revoked, world.held(gone).reason) == (since, "keyCompromise")
    with pytest.raises(NotFound, match="for good"):
        world.revocation.release(fingerprint(gone), now=world.now)


def test_a_name_given_away_meanwhile_is_not_taken_back(world: World) -> None:
    kept = world.issue("pump-1")
    world.revoke(kept, "certificateHold")
    world.issue("pump-1")
    with pytest.raises(AlreadyExists, match="lives"):
        world.revocation.release(fingerprint(kept), now=world.now)
    assert world.held(kept).status is Status.REVOKED
    assert serials(world.crl()) == [kept.serial_number]


def test_who_was_replaced_before_the_hold_is_replaced_after_it(here: World) -> None:
    kept = here.issue("pump-1")
    here.issue("pump-1", replacing=True)
    here.revoke(kept, "certificateHold")
    here.revocation.release(fingerprint(kept), now=here.now)
    assert here.held(kept).status is Status.REPLACED


def test_nobody_is_released_who_is_not_on_hold(here: World) -> None:
    with pytest.raises(NotFound, match="not on hold"):
        here.revocation.release(fingerprint(here.issue()), now=here.now)


# ---- the key, the clock, the disk, another station


def test_without_the_key_it_is_recorded_and_published_later(world: World) -> None:
    """The issuer's key is away: the list stands as it was; with the key back, one `ca crl` tells all."""
    first, second = world.issue("pump-1"), world.issue("pump-2")
    world.revoke(first)
    before = world.file().read_bytes()
    key = world.folder / "maker" / "authorities" / "test-factory-ca" / "key.pem"
    hidden = key.rename(key.with_suffix(".away"))
    world.revocation.forget_keys()
    outcome = world.revoke(second)
    assert isinstance(outcome.pending, KeyUnavailable | NotFound)
    assert outcome.published is None
    assert world.held(second).status is Status.REVOKED
    assert world.file().read_bytes() == before
    due = [one for one in world.publish() if isinstance(one, Unpublished)]
    assert [one for one in due if one.authority != "test-factory-ca"] == []
    hidden.rename(key)
    world.revocation.forget_keys()
    assert [one.number for one in world.publish() if one.authority == "test-factory-ca"] == [2]
    assert serials(world.crl()) == [first.serial_number, second.serial_number]
    world.check_log()


def test_a_clock_that_went_back_signs_nothing(world: World) -> None:
    """Revoked at 12:00, clock set to 11:00, another one revoked: recorded, **clock-wrong**; at 13:00 published."""
    first, second = world.issue("pump-1"), world.issue("pump-2")
    world.revoke(first)
    before = world.file().read_bytes()
    world.now -= HOUR
    outcome = world.revoke(second)
    assert isinstance(outcome.pending, RuleViolation)
    assert outcome.pending.code == "clock-wrong"
    assert world.file().read_bytes() == before
    assert len(world.logged("crl")) == 1
    world.now += 2 * HOUR
    assert [one.number for one in world.publish(authority=world.factory)] == [2]
    assert world.crl().last_update_utc == world.now


def test_a_full_disk_after_the_record_is_mended(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database has list 2, the file is list 1, as a kill in between leaves it: the next run writes the file."""
    here.revoke(here.issue("pump-1"))
    first = here.file().read_bytes()

    def full(*_: object, **__: object) -> None:
        raise StoreError("cannot write", why="No space left on device")

    monkeypatch.setattr("leafward.disk.write_file", full)
    outcome = here.revoke(here.issue("pump-2"))
    monkeypatch.undo()
    assert isinstance(outcome.pending, StoreError)
    assert here.file().read_bytes() == first
    assert here.publish(authority=here.factory) == []
    assert number(here.crl()) == 2
    assert len(here.logged("crl")) == 2
    here.check_log()


def test_two_stations_sign_one_after_the_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Station B signs list 2 while A is at it: A's is refused, nothing of it is logged, and A signs list 3."""
    gone, other = world.issue("pump-1"), world.issue("pump-2")
    world.revoke(gone)
    lists = world.revocation.publication.lists
    real, raced = lists.get, []

    def get(key_id: str, partition: int):
        found = real(key_id, partition)
        if not raced:
            raced.append(found)
            monkeypatch.undo()
            world.publish(authority=world.factory, everything=True)
        return found

    monkeypatch.setattr(lists, "get", get)
    outcome = world.revoke(other)
    assert outcome.published is not None
    assert outcome.published.number == 3
    assert [one.serial for one in world.logged("crl")] == [1, 2, 3]
    assert serials(world.crl()) == [gone.serial_number, other.serial_number]
    world.check_log()


def test_the_file_is_the_newest_list_whoever_writes_last(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Station B signs list 2 and writes its file while A is about to write list 1: the file ends as list 2."""
    first, second = here.issue("pump-1"), here.issue("pump-2")
    real = disk.write_file

    def write(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        here.revoke(second)
        assert number(here.crl()) == 2
        real(*arguments, **options)

    monkeypatch.setattr("leafward.disk.write_file", write)
    here.revoke(first)
    assert number(here.crl()) == 2
    assert serials(here.crl()) == [first.serial_number, second.serial_number]


def test_a_database_in_use_is_said(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = here.issue()

    def busy(_: object) -> None:
        raise Busy("the database is in use")

    monkeypatch.setattr(database, "lock_for_writing", busy)
    monkeypatch.setattr("leafward.store.inventory.inventory.lock_for_writing", busy)
    with pytest.raises(Busy):
        here.revoke(gone)
    monkeypatch.undo()
    assert here.held(gone).status is Status.VALID


# ---- when a list is due, and what leaves it


def test_a_list_is_due_by_half_of_its_time(world: World) -> None:
    assert [one.partition for one in world.publish(authority=world.factory)] == [COMPLETE]
    assert world.publish(authority=world.factory) == []
    world.now += timedelta(days=3)
    assert world.publish(authority=world.factory) == []
    world.now += DAY
    assert [one.number for one in world.publish(authority=world.factory)] == [2]
    assert [one.number for one in world.publish(authority=world.factory, everything=True)] == [3]


def test_every_ca_whose_key_is_here_has_its_list(world: World) -> None:
    assert [one.authority for one in world.publish()] == ["test-root-ca", "test-factory-ca"]
    key = world.folder / "maker" / "authorities" / "test-root-ca" / "key.pem"
    key.unlink()
    world.now += 5 * DAY
    world.revocation.forget_keys()
    assert [one.authority for one in world.publish()] == ["test-factory-ca"]
    found = world.publish(authority=world.issuance.authorities.get("test-root-ca"))
    assert [type(one) for one in found] == [Unpublished]


def test_what_has_ended_leaves_after_one_more_list(world: World) -> None:
    """RFC 5280 3.3: it is in one list that begins after its end, and then in none."""
    gone, left = world.issue("pump-1", lifetime=2 * DAY), world.issue("pump-2")
    for one in (gone, left):
        world.revoke(one)
    seen = []
    for _ in range(4):
        world.now += 1.5 * DAY
        world.publish(authority=world.factory, everything=True)
        seen.append((world.now > gone.not_valid_after_utc, gone.serial_number in serials(world.crl())))
        assert left.serial_number in serials(world.crl())
    assert seen == [(False, True), (True, True), (True, False), (True, False)]


def test_a_lifetime_as_asked(here: World) -> None:
    (published,) = here.publish(authority=here.root, lifetime=timedelta(days=180))
    assert isinstance(published, Published)
    assert published.next_update == here.now + timedelta(days=180)


def test_every_refusal_says_what_to_do(here: World) -> None:
    gone = here.issue()
    here.revoke(gone)
    for act in (lambda: here.revoke(gone), lambda: here.revocation.revoke("nobody", "superseded", now=here.now)):
        with pytest.raises(LeafwardError) as refused:
            act()
        assert refused.value.hint
