"""The gate: a signature is in the inventory and in the log, or nowhere."""

import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from leafward.authority.ledger import Ledger
from leafward.errors import AlreadyExists, Busy, Damaged, NotFound, StoreError
from leafward.store import database
from leafward.store.inventory import Status, entry_texts
from leafward.store.issuance_log.entry import LogEntry
from tests.authority.ledger_entries import ISSUER, NOW, YEAR, Clock, differences, entry, names, open_ledger, real_entry


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, maker_database: str | None, clock: Clock) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "maker", maker_database, clock) as opened:
        yield opened


def test_what_is_recorded_is_in_both(ledger: Ledger) -> None:
    first, second = real_entry("pump-1"), real_entry("pump-2")
    crl = entry(None, "crl", serial=1)
    assert ledger.record([first, crl]) == [0, 1]
    assert ledger.record([second], lot="lot-1") == [2]
    assert names(ledger) == ["pump-1", "pump-2"]
    assert [found.log_index for found in ledger.inventory.search(now=NOW).found] == [0, 2]
    logged = [LogEntry.parse(text) for text in ledger.log.entries(0, 3)]
    assert [(one.kind, one.serial, one.sha256) for one in logged] == [
        (one.kind, one.serial, one.sha256) for one in (first, crl, second)
    ]
    assert {one.time for one in logged} == {NOW}
    assert differences(ledger) == []


def test_the_texts_are_those_of_the_log(ledger: Ledger) -> None:
    for one in (entry(), entry(None, "ocsp"), entry(serial=1)):
        parsed = LogEntry.parse(entry_texts([one], NOW)[0])
        assert (parsed.kind, parsed.issuer_key_id, parsed.serial, parsed.time) == (one.kind, ISSUER, one.serial, NOW)


def test_nothing_is_nothing(ledger: Ledger) -> None:
    assert ledger.record([]) == []


def test_a_name_in_use_is_refused_and_named_and_nothing_is_written(ledger: Ledger) -> None:
    held = real_entry("pump-1")
    ledger.record([held])
    with pytest.raises(AlreadyExists) as refused:
        ledger.record([entry("pump-2"), entry("PUMP-1"), entry("pump-3")])
    assert held.sha256 in str(refused.value)
    assert "until" in str(refused.value)
    assert names(ledger) == ["pump-1"]
    assert ledger.log.state().size == 1
    assert differences(ledger) == []


def test_a_serial_given_out_is_refused(ledger: Ledger) -> None:
    ledger.record([entry("one", serial=5)])
    with pytest.raises(AlreadyExists, match="serial 5"):
        ledger.record([entry("two", serial=5)])


def test_the_same_certificate_is_recorded_once(ledger: Ledger) -> None:
    one = entry("one", "cross_certificate")
    ledger.record([one])
    with pytest.raises(AlreadyExists, match="is recorded"):
        ledger.record([one])


def test_twins_in_one_batch_are_refused(ledger: Ledger) -> None:
    with pytest.raises(AlreadyExists, match="2 times"):
        ledger.record([entry("twin"), entry("twin")])
    assert ledger.inventory.is_empty()


def test_replacing(ledger: Ledger) -> None:
    """Whoever lives, nobody, or the one that is meant and no other."""
    first, second, third = entry(), entry(), entry()
    ledger.record([first], replacing={first.sha256: None})
    ledger.record([second], replacing={second.sha256: first.sha256})
    with pytest.raises(NotFound, match=first.sha256):
        ledger.record([third], replacing={third.sha256: first.sha256})
    ledger.record([third], replacing={third.sha256: None})
    statuses = [found.status for found in ledger.inventory.search(now=NOW).found]
    assert statuses == [Status.REPLACED, Status.REPLACED, Status.VALID]


def test_the_name_of_an_expired_one_is_free(ledger: Ledger, clock: Clock) -> None:
    ledger.record([entry(not_after=NOW + YEAR)])
    clock.now = NOW + YEAR
    with pytest.raises(AlreadyExists):
        ledger.record([entry(not_after=NOW + 2 * YEAR)])
    clock.now += timedelta(seconds=1)
    assert ledger.record([entry(not_after=NOW + 2 * YEAR)]) == [1]


def test_more_in_the_same_transaction(ledger: Ledger) -> None:
    """What a lot notes of its progress is there with the certificate, or not at all."""
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE progress (done INTEGER)")

    def note(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO progress VALUES (1)")

    def fail(connection: sa.Connection) -> None:
        note(connection)
        raise NotFound("the reader is gone")

    def noted() -> int:
        with ledger.engine.connect() as connection:
            return int(connection.exec_driver_sql("SELECT count(*) FROM progress").scalar_one())

    ledger.record([entry("one")], also=note)
    assert noted() == 1
    with pytest.raises(NotFound):
        ledger.record([entry("two")], also=fail)
    with pytest.raises(AlreadyExists):
        ledger.record([entry("one")], also=note)
    assert noted() == 1
    assert names(ledger) == ["one"]
    assert ledger.log.state().size == 1


def test_what_also_breaks_is_not_called_a_name_in_use(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE progress (done INTEGER UNIQUE)")

    def note(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO progress VALUES (1)")

    ledger.record([entry("one")], also=note)
    with pytest.raises(StoreError) as refused:
        ledger.record([entry("two")], also=note)
    assert not isinstance(refused.value, AlreadyExists)
    assert names(ledger) == ["one"]


def test_a_ledger_opened_again_goes_on(tmp_path: Path, ledger: Ledger, maker_database: str | None) -> None:
    ledger.record([real_entry("one")])
    with open_ledger(tmp_path / "maker", maker_database) as again:
        assert again.record([real_entry("two")]) == [1]
        assert names(ledger) == ["one", "two"]
    assert differences(ledger) == []


def test_a_restored_backup_issues_nothing(tmp_path: Path) -> None:
    """one -> copy -> two (signed) -> the copy put back: the checkpoint beside it is younger."""
    maker = tmp_path / "maker"
    with open_ledger(maker, None) as ledger:
        ledger.record([real_entry("one")])
    shutil.copy(maker / "maker.db", tmp_path / "copy.db")
    with open_ledger(maker, None) as ledger:
        ledger.record([real_entry("two")])
    for file in maker.glob("maker.db*"):
        file.unlink()
    shutil.copy(tmp_path / "copy.db", maker / "maker.db")
    with open_ledger(maker, None) as ledger, pytest.raises(Damaged, match="older"):
        ledger.record([real_entry("three")])


def test_a_full_disk_issues_nothing(tmp_path: Path) -> None:
    """The database may not grow: at each size from here on the entry is in both or in neither."""
    hints: list[str | None] = []
    with open_ledger(tmp_path / "maker", None) as ledger:
        ledger.record([entry("first")])
        with ledger.engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        limit = pages

        @sa.event.listens_for(ledger.engine, "checkout")
        def bound(connection: sqlite3.Connection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {limit}")

        # The connection that the ledger keeps is not taken out again; after a refusal it takes another.
        ledger.record([entry("second")], also=lambda connection: bound(connection.connection.driver_connection))
        recorded = 2
        for limit in range(pages, pages + 12):
            batch = [
                entry(f"pump-{limit}-{number}", der=bytes([number]) * 900 + limit.to_bytes(4)) for number in range(20)
            ]
            try:
                ledger.record(batch)
                recorded += len(batch)
            except StoreError as error:
                hints.append(error.hint)
            assert ledger.log.state().size == recorded == len(names(ledger))
    assert len(hints) > 3
    assert set(hints) == {"free some space on that disk"}
    assert recorded > 2


def test_a_database_in_use_is_told_and_nothing_is_written(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, maker_database: str | None
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr("leafward.store.maker_database.PATIENCE_SECONDS", 0.1)
    with open_ledger(tmp_path / "maker", maker_database) as impatient:
        with ledger.engine.begin() as connection:
            database.lock_for_writing(connection)
            with pytest.raises(Busy, match="in use"):
                impatient.record([entry("one")])
        impatient.record([entry("two")])
        assert names(impatient) == ["two"]
