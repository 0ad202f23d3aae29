"""The inventory's promises, the same on SQLite and PostgreSQL."""

import hashlib
import itertools
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from leafward.errors import AlreadyExists, NotFound, UsageError
from leafward.store.inventory import Entry, Inventory, Status
from leafward.store.inventory.schema import certificates
from leafward.store.maker_database import open_maker_database

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
YEAR = timedelta(days=365)
ISSUER = "ab" * 20
OTHER_ISSUER = "cd" * 20

Put = Callable[..., None]


def entry(name: str | None = "pump-1", kind: str = "device_ca", **changes: Any) -> Entry:
    """A certificate that the database cannot tell from a real one."""
    der = changes.pop("der", secrets.token_bytes(40))
    values: dict[str, Any] = {
        "serial": secrets.randbits(150) | 1 << 150,
        "issuer_key_id": ISSUER,
        "not_before": NOW - timedelta(hours=1),
        "not_after": NOW + YEAR,
        **changes,
    }
    return Entry(kind=kind, name=name, der=der, sha256=hashlib.sha256(der).hexdigest(), **values)


@pytest.fixture
def engine(tmp_path: Path, maker_database: str | None) -> Iterator[sa.Engine]:
    engine = open_maker_database(maker_database or tmp_path / "maker.db")
    yield engine
    engine.dispose()


@pytest.fixture
def inventory(engine: sa.Engine) -> Iterator[Inventory]:
    opened = Inventory(engine)
    yield opened
    opened.close()


@pytest.fixture
def put(engine: sa.Engine, inventory: Inventory) -> Put:
    """Inserts entries in one transaction, at the next places of a log."""
    numbers = itertools.count()

    def insert(*entries: Entry, lot: str | None = None, replacing: dict[str, str | None] | None = None) -> None:
        with engine.begin() as connection:
            inventory.replace(connection, entries, replacing or {})
            inventory.insert(connection, entries, [next(numbers) for _ in entries], issued=NOW, lot=lot)

    return insert


def names(page: Any) -> list[str]:
    return [found.name for found in page.found]


def test_what_is_put_in_comes_out(inventory: Inventory, put: Put) -> None:
    one = entry()
    put(one, lot="lot-7")
    found = inventory.get("pump-1", NOW)
    assert (found.log_index, found.sha256, found.kind, found.name) == (0, one.sha256, "device_ca", "pump-1")
    assert (found.serial, found.issuer_key_id, found.lot) == (one.serial, ISSUER, "lot-7")
    assert (found.not_before, found.not_after, found.issued) == (one.not_before, one.not_after, NOW)
    assert (found.status, found.revoked, found.reason, found.replaced_by) == (Status.VALID, None, None, None)
    assert inventory.der(one.sha256) == one.der
    assert inventory.has(one.sha256)
    assert not inventory.has("0" * 64)


def test_a_serial_is_given_out_once_by_an_issuer(inventory: Inventory, put: Put) -> None:
    """Another issuer may use the same one: RFC 5280 4.1.2.2."""
    put(entry("one", serial=77))
    put(entry("two", serial=77, issuer_key_id=OTHER_ISSUER))
    twin = entry("three", serial=77)
    with pytest.raises(IntegrityError):
        put(twin)
    why = inventory.conflict([twin], NOW)
    assert why is not None
    assert "serial 4d" in why.what
    assert "device_ca 'one'" in (why.why or "")


def test_a_name_lives_once_in_a_kind(inventory: Inventory, put: Put) -> None:
    """Names are compared without case; another kind is another name."""
    held = entry("Pump-1")
    put(held, entry("pump-1", "leaf_device"))
    rival = entry("pUMP-1")
    with pytest.raises(IntegrityError):
        put(rival)
    why = inventory.conflict([rival], NOW)
    assert isinstance(why, AlreadyExists)
    assert "Pump-1" in why.what
    assert held.sha256 in (why.why or "")
    assert "2027-11-01T12:00:00Z" in (why.why or "")
    assert "--replace" in (why.hint or "")


def test_the_database_itself_keeps_names_and_serials(engine: sa.Engine, put: Put) -> None:
    """Whoever writes past our own code meets the same two rules."""
    put(entry("pump-1", serial=77))
    copied = sa.select(*(sa.literal(99).label("log_index") if c.name == "log_index" else c for c in certificates.c))
    for changes in ({"sha256": "1" * 64, "serial": "1"}, {"sha256": "2" * 64, "name_key": "another"}):
        with engine.begin() as connection:
            row = {**connection.execute(copied).mappings().one(), **changes}
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(sa.insert(certificates).values(**row))


def test_cross_certificates_share_a_name(put: Put) -> None:
    put(entry("Root", "cross_certificate"), entry("Root", "cross_certificate"), entry("Root", "root_ca"))


def test_nothing_of_a_refused_batch_stays(engine: sa.Engine, inventory: Inventory, put: Put) -> None:
    put(entry("taken"))
    with pytest.raises(IntegrityError):
        put(entry("new-1"), entry("taken"), entry("new-2"))
    assert names(inventory.search(now=NOW)) == ["taken"]


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ([entry("twin"), entry("TWIN")], "2 times in one batch"),
        ([entry("one", serial=5), entry("two", serial=5)], "serial 5 2 times in one batch"),
    ],
)
def test_twins_in_one_batch(inventory: Inventory, put: Put, batch: list[Entry], words: str) -> None:
    with pytest.raises(IntegrityError):
        put(*batch)
    why = inventory.conflict(batch, NOW)
    assert why is not None
    assert words in why.what


def test_crls_and_ocsp_answers_are_no_certificates(inventory: Inventory, put: Put) -> None:
    put(entry(None, "crl", serial=1), entry(None, "ocsp", serial=1), entry(None, "ocsp", serial=1))
    assert inventory.is_empty()


def test_a_replaced_certificate_frees_its_name(inventory: Inventory, put: Put) -> None:
    old, new = entry(), entry()
    put(old)
    put(new, replacing={new.sha256: None})
    assert inventory.get(old.sha256, NOW).status is Status.REPLACED
    assert inventory.get(old.sha256, NOW).replaced_by == new.sha256
    living = inventory.living("device_ca", "PUMP-1", NOW)
    assert living is not None
    assert living.sha256 == new.sha256


def test_only_the_one_that_was_meant_is_replaced(inventory: Inventory, put: Put) -> None:
    """Two renew the same one: the second finds that it does not live any more."""
    old, first, second = entry(), entry(), entry()
    put(old)
    put(first, replacing={first.sha256: old.sha256})
    with pytest.raises(NotFound, match=old.sha256):
        put(second, replacing={second.sha256: old.sha256})
    assert [found.status for found in inventory.search(now=NOW).found] == [Status.REPLACED, Status.VALID]


def test_another_kind_is_not_replaced(inventory: Inventory, put: Put) -> None:
    put(entry("pump-1", "leaf_device"))
    new = entry("pump-1", "device_ca")
    put(new, replacing={new.sha256: None})
    assert {found.status for found in inventory.search(now=NOW).found} == {Status.VALID}


def test_expiry_needs_nobody(inventory: Inventory, put: Put) -> None:
    """notAfter is inside the validity (RFC 5280 4.1.2.5): it is expired a second later."""
    put(entry(not_after=NOW))
    assert inventory.get("pump-1", NOW).status is Status.VALID
    assert inventory.get("pump-1", NOW + timedelta(seconds=1)).status is Status.EXPIRED
    assert inventory.living("device_ca", "pump-1", NOW + timedelta(seconds=1)) is None
    assert [(c.status, c.number) for c in inventory.counts(NOW + YEAR)] == [(Status.EXPIRED, 1)]


def test_the_name_of_an_expired_certificate_is_released_when_it_is_wanted(inventory: Inventory, put: Put) -> None:
    put(entry(not_after=NOW))
    successor, later = entry(), NOW + timedelta(days=1)
    with pytest.raises(IntegrityError):
        put(successor)
    assert inventory.conflict([successor], later) is None
    assert inventory.release_expired([successor], later) == 1
    put(successor)
    assert [found.status for found in inventory.search(now=later).found] == [Status.EXPIRED, Status.VALID]


def test_a_living_name_is_not_released(inventory: Inventory, put: Put) -> None:
    put(entry())
    assert inventory.release_expired([entry()], NOW) == 0
    assert inventory.get("pump-1", NOW).status is Status.VALID


def test_revoking(inventory: Inventory, put: Put) -> None:
    """The name is free afterwards; the first reason and time stand."""
    one = entry()
    put(one)
    inventory.revoke(one.sha256, "key_compromise", NOW, partition=3)
    found = inventory.get(one.sha256, NOW)
    assert (found.status, found.revoked, found.reason) == (Status.REVOKED, NOW, "key_compromise")
    with pytest.raises(AlreadyExists, match="key_compromise"):
        inventory.revoke(one.sha256, "superseded", NOW + YEAR)
    put(entry())
    with pytest.raises(NotFound):
        inventory.revoke("0" * 64, "superseded", NOW)


def test_a_revoked_certificate_stays_revoked_after_its_end(inventory: Inventory, put: Put) -> None:
    one = entry()
    put(one)
    inventory.revoke(one.sha256, "superseded", NOW)
    assert inventory.get(one.sha256, NOW + 2 * YEAR).status is Status.REVOKED


def test_what_a_crl_lists(inventory: Inventory, put: Put) -> None:
    mine = [entry(f"pump-{number}", serial=number + 1) for number in range(3)]
    other = entry("pump-9", issuer_key_id=OTHER_ISSUER)
    put(*mine, other)
    for number, one in enumerate([*mine, other]):
        inventory.revoke(one.sha256, "superseded", NOW, partition=number % 2)
    assert [line.serial for line in inventory.revoked(ISSUER)] == [1, 2, 3]
    assert [line.serial for line in inventory.revoked(ISSUER, partition=0)] == [1, 3]
    line = next(inventory.revoked(ISSUER, partition=1))
    assert (line.revoked, line.reason, line.not_after, line.partition) == (NOW, "superseded", NOW + YEAR, 1)


def test_many_living_names_at_once(inventory: Inventory, put: Put) -> None:
    """More than one statement takes."""
    put(*(entry(f"pump-{number}") for number in range(1200)))
    asked = [f"PUMP-{number}" for number in range(0, 2400, 2)]
    assert len(inventory.all_living("device_ca", asked, NOW)) == 600
    assert inventory.all_living("leaf_device", asked, NOW) == {}


def test_getting_one(inventory: Inventory, put: Put) -> None:
    """By fingerprint, its beginning, serial as tools print it, name; the living one of several with a name."""
    old, new = entry("pump-1", serial=0xABCDEF0123456789), entry("pump-1")
    put(old)
    put(new, replacing={new.sha256: None})
    for wanted in (old.sha256, old.sha256[:8], old.sha256.upper(), "ab:cd:ef:01:23:45:67:89", "0xABCDEF0123456789"):
        assert inventory.get(wanted, NOW).sha256 == old.sha256, wanted
    assert inventory.get("Pump-1", NOW).sha256 == new.sha256
    inventory.revoke(new.sha256, "superseded", NOW)
    with pytest.raises(NotFound, match="several"):
        inventory.get("pump-1", NOW)
    for nobody in ("pump-2", "ffffffff", ""):
        with pytest.raises(NotFound):
            inventory.get(nobody, NOW)


def test_a_name_in_two_kinds_needs_the_kind(inventory: Inventory, put: Put) -> None:
    put(entry("pump-1"), entry("pump-1", "device_identity"))
    with pytest.raises(NotFound, match="several"):
        inventory.get("pump-1", NOW)
    assert inventory.get("pump-1", NOW, kind="device_identity").kind == "device_identity"


def test_searching(inventory: Inventory, put: Put) -> None:
    revoked = entry("Boiler-1", "leaf_device", serial=0xFEED << 140)
    put(entry("pump-1"), entry("pump_2"), entry("100% pump", issuer_key_id=OTHER_ISSUER), revoked, lot="lot-1")
    put(entry("old", not_after=NOW - timedelta(days=1)))
    inventory.revoke(revoked.sha256, "superseded", NOW)
    search = inventory.search
    assert names(search("PUMP", now=NOW)) == ["pump-1", "pump_2", "100% pump"]
    assert names(search("p_2", now=NOW)) == ["pump_2"]
    assert names(search("%", now=NOW)) == ["100% pump"]
    assert names(search("fe:ed", now=NOW)) == ["Boiler-1"]
    assert names(search(revoked.sha256[:12], now=NOW)) == ["Boiler-1"]
    assert names(search(now=NOW, kind="leaf_device")) == ["Boiler-1"]
    assert names(search(now=NOW, status=Status.REVOKED)) == ["Boiler-1"]
    assert names(search(now=NOW, status=Status.EXPIRED)) == ["old"]
    assert names(search(now=NOW, lot="lot-1", status=Status.VALID)) == ["pump-1", "pump_2", "100% pump"]
    assert names(search("pump", now=NOW, issuer_key_id=OTHER_ISSUER)) == ["100% pump"]
    assert names(search("'; DROP TABLE certificates", now=NOW)) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_join_without_gap_or_repetition(inventory: Inventory, put: Put, limit: int) -> None:
    put(*(entry(f"pump-{number}", not_after=NOW + timedelta(days=number % 3)) for number in range(7)))
    for wanted in ({}, {"expiring_before": NOW + YEAR}):
        found: list[str] = []
        after = None
        while True:
            page = inventory.search(now=NOW, after=after, limit=limit, **wanted)
            found += names(page)
            after = page.next
            if after is None:
                break
        assert sorted(found) == [f"pump-{number}" for number in range(7)]


def test_a_place_that_is_none_is_refused(inventory: Inventory) -> None:
    with pytest.raises(UsageError, match="no place"):
        inventory.search(now=NOW, after="1 OR 1=1")


def test_what_expires_first_comes_first(inventory: Inventory, put: Put) -> None:
    put(*(entry(f"in-{days}", not_after=NOW + timedelta(days=days)) for days in (40, 10, 20)))
    before = NOW + timedelta(days=30)
    assert names(inventory.search(now=NOW, status=Status.VALID, expiring_before=before)) == ["in-10", "in-20"]


def test_counts(inventory: Inventory, put: Put) -> None:
    gone = entry("gone")
    put(entry("one"), entry("two"), gone, entry("leaf", "leaf_device"))
    inventory.revoke(gone.sha256, "superseded", NOW)
    counted = [(count.kind, count.status, count.number) for count in inventory.counts(NOW)]
    assert counted == [("device_ca", "revoked", 1), ("device_ca", "valid", 2), ("leaf_device", "valid", 1)]


def test_compacting(inventory: Inventory, put: Put) -> None:
    """The bytes of what ended go, in as many steps as it takes; the facts stay, and so does everything that lives."""
    ended = [entry(f"old-{number}", not_after=NOW - timedelta(days=100)) for number in range(1500)]
    alive = entry("alive")
    put(*ended, alive)
    before = NOW - timedelta(days=90)
    asked = inventory.compact(before, dry_run=True)
    assert (asked.certificates, asked.octets) == (1500, 1500 * 40)
    assert inventory.der(ended[0].sha256) == ended[0].der
    assert inventory.compact(before) == asked
    assert inventory.compact(before).certificates == 0
    with pytest.raises(NotFound, match="compacted"):
        inventory.der(ended[0].sha256)
    assert inventory.get("old-7", NOW).status is Status.EXPIRED
    assert inventory.der(alive.sha256) == alive.der


def test_a_batch_larger_than_a_statement_may_be(inventory: Inventory, put: Put) -> None:
    put(*(entry(f"pump-{number}") for number in range(5000)), lot="big")
    assert inventory.counts(NOW)[0].number == 5000
