"""The ledger and its log: what is recorded is logged and signed, and inventory and log are held against each other."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from leafward.authority.ledger import Ledger
from leafward.authority.log_keys import known_key, open_log
from leafward.authority.log_signing import INTERVAL
from leafward.authority.log_verification import find_position, read_key, read_proof, verify_files, verify_home
from leafward.errors import Damaged, EncodingError, KeyUnavailable, NotFound
from leafward.store.issuance_log.difference import Report
from leafward.store.issuance_log.export import export
from tests.authority.ledger_entries import NOW, Clock, open_ledger, real_entry


@pytest.fixture
def maker(tmp_path: Path) -> Path:
    return tmp_path / "maker"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(maker: Path, maker_database: str | None, clock: Clock) -> Iterator[Ledger]:
    with open_ledger(maker, maker_database, clock) as opened:
        yield opened


def tamper(ledger: Ledger, statement: str, **values: object) -> None:
    with ledger.engine.begin() as connection:
        assert connection.execute(sa.text(statement), values).rowcount > 0


def found(report: Report) -> set[tuple[str, int | None]]:
    return {(one.code, one.first) for one in report.differences}


def test_what_is_recorded_is_logged_signed_and_proved(maker: Path, ledger: Ledger) -> None:
    entries = [real_entry(f"pump-{n}") for n in range(5)]
    assert ledger.record(entries) == [0, 1, 2, 3, 4]
    note = ledger.log.checkpoint()
    state = ledger.log.state()
    assert state.key == known_key(maker)
    assert state.note == note
    for wanted in (entries[3].sha256, f"{entries[3].serial:x}", "pump-3"):
        assert find_position(ledger, wanted, now=NOW) == 3
    assert entries[3].sha256.encode() in ledger.log.proof(3).entry
    assert verify_home(ledger.log, now=NOW).is_good


def test_the_key_is_the_maker_s_own_and_its_name_says_whose(maker: Path, ledger: Ledger) -> None:
    ledger.record([real_entry("Example Root CA")])
    ledger.log.checkpoint()
    key = known_key(maker)
    assert key is not None
    assert key.name.startswith("example-root-ca/issuance/")
    assert (maker / "log" / "key.pem").stat().st_mode & 0o777 == 0o600
    assert repr(ledger.log.state()).count("PRIVATE") == 0
    assert read_key(str(maker / "log" / "verifier-key")) == read_key(str(key)) == key


def test_a_log_is_signed_while_it_is_written_and_when_it_is_closed(
    maker: Path, maker_database: str | None, clock: Clock
) -> None:
    with open_ledger(maker, maker_database, clock) as ledger:
        for number in range(3):
            ledger.record([real_entry(f"pump-{number}")])
        assert ledger.log.state().signed is None
        clock.now += INTERVAL
        ledger.record([real_entry("pump-3")])
        signed = ledger.log.state().signed
        assert signed is not None
        assert signed.size == 4
        ledger.record([real_entry("pump-4")])
    with open_ledger(maker, maker_database) as ledger:
        signed = ledger.log.state().signed
        assert signed is not None
        assert signed.size == 5


def test_a_station_without_the_key_issues_and_another_signs(
    tmp_path: Path, postgresql: object, caplog: pytest.LogCaptureFixture
) -> None:
    """Two stations, one database: the first has the log's key, the second says that it has not."""
    database = postgresql.database()  # type: ignore[attr-defined]
    with open_ledger(tmp_path / "first", database) as ledger:
        ledger.record([real_entry("pump-1")])
    with open_ledger(tmp_path / "second", database) as ledger:
        ledger.record([real_entry("pump-2")])
        with pytest.raises(KeyUnavailable, match="cannot be signed here"):
            ledger.log.checkpoint()
    assert "not signed up to its end" in caplog.text
    shutil.copytree(tmp_path / "first" / "log", tmp_path / "second" / "log")
    with open_ledger(tmp_path / "second", database) as ledger:
        ledger.log.checkpoint()
    with open_ledger(tmp_path / "first", database) as ledger:
        report = verify_home(ledger.log, now=NOW)
        assert (report.is_good, report.size, report.signed) == (True, 2, 2)


def test_a_lost_key_is_not_made_again(maker: Path, ledger: Ledger) -> None:
    ledger.record([real_entry("pump-1")])
    ledger.log.checkpoint()
    (maker / "log" / "key.pem").unlink()
    log = open_log(ledger.engine, maker)
    with ledger.engine.begin() as connection:
        log.append(connection, [b"more"])
    with pytest.raises(KeyUnavailable):
        log.checkpoint()
    assert not (maker / "log" / "key.pem").exists()


def test_a_restored_backup_records_nothing(maker: Path, clock: Clock) -> None:
    """backup -> two more, signed -> the backup is put back: the next certificate is refused, and nothing is written."""
    with open_ledger(maker, None, clock) as ledger:
        ledger.record([real_entry("pump-1")])
    backup = (maker / "maker.db").read_bytes()
    with open_ledger(maker, None, clock) as ledger:
        ledger.record([real_entry("pump-2"), real_entry("pump-3")])
    (maker / "maker.db").write_bytes(backup)
    with open_ledger(maker, None, clock) as ledger:
        with pytest.raises(Damaged, match="older than its issuance log: it has 1 entries, and 3 were signed"):
            ledger.record([real_entry("pump-2")])
        assert ledger.log.state().size == 1
        assert {one.code for one in verify_home(ledger.log, now=NOW).differences} == {"log-older"}


COLUMNS = {
    "sha256": "'" + "00" * 32 + "'",
    "kind": "'hub_server'",
    "name": "'pump-9'",
    "name_key": "'pump-9'",
    "issuer_key_id": "'abcd'",
    "serial": "'abcd'",
    "not_before": "not_before + 1",
    "not_after": "not_after + 1",
    "issued": "issued - 1",
}


@pytest.mark.parametrize("column", COLUMNS)
def test_any_changed_column_of_the_inventory(ledger: Ledger, column: str) -> None:
    ledger.record([real_entry(f"pump-{n}") for n in range(5)])
    tamper(ledger, f"UPDATE certificates SET {column} = {COLUMNS[column]} WHERE log_index = 2")
    assert found(verify_home(ledger.log, now=NOW)) == {("certificate-differs", 2)}


def test_a_changed_certificate(ledger: Ledger) -> None:
    entries = [real_entry(f"pump-{n}") for n in range(5)]
    ledger.record(entries)
    for der in (entries[3].der, entries[2].der[:-1] + b"\x00", b"nonsense", b""):
        tamper(ledger, "UPDATE certificate_bodies SET der = :der WHERE log_index = 2", der=der)
        assert found(verify_home(ledger.log, now=NOW)) == {("certificate-changed", 2)}


def test_removed_and_smuggled_certificates(ledger: Ledger) -> None:
    ledger.record([real_entry(f"pump-{n}") for n in range(5)])
    tamper(ledger, "UPDATE certificates SET log_index = 77 WHERE log_index = 4")
    tamper(ledger, "DELETE FROM certificates WHERE log_index = 1")
    tamper(ledger, "DELETE FROM certificate_bodies WHERE log_index = 2")
    assert found(verify_home(ledger.log, now=NOW)) == {
        ("certificate-missing", 1),
        ("certificate-missing", 2),
        ("certificate-missing", 4),
        ("certificate-not-logged", 77),
    }


def test_two_certificates_in_each_other_s_place(ledger: Ledger) -> None:
    ledger.record([real_entry(f"pump-{n}") for n in range(5)])
    for table in ("certificates", "certificate_bodies"):
        for old, new in ((1, 99), (3, 1), (99, 3)):
            tamper(ledger, f"UPDATE {table} SET log_index = {new} WHERE log_index = {old}")
    report = verify_home(ledger.log, now=NOW)
    assert found(report) == {("certificate-differs", 1), ("certificate-differs", 3)}


def test_compacted_certificates_are_in_order(ledger: Ledger) -> None:
    entries = [real_entry(f"pump-{n}") for n in range(3)]
    ledger.record(entries)
    later = entries[0].not_after + timedelta(days=1)
    assert ledger.inventory.compact(later).certificates == 3
    assert verify_home(ledger.log, now=later).is_good
    # The same on a day on which they are valid: somebody dropped them.
    assert {one.code for one in verify_home(ledger.log, now=NOW).differences} == {"certificate-missing"}


def test_revoked_and_replaced_certificates_are_in_order(ledger: Ledger) -> None:
    old, new = real_entry("pump-1"), real_entry("pump-1")
    ledger.record([old, real_entry("pump-2")])
    ledger.record([new], replacing={new.sha256: old.sha256})
    ledger.inventory.revoke(new.sha256, "key_compromise", NOW)
    assert verify_home(ledger.log, now=NOW).is_good


def test_the_checkpoint_file_is_part_of_it(maker: Path) -> None:
    with open_ledger(maker, None) as ledger:
        ledger.record([real_entry("pump-1")])
    (maker / "log" / "checkpoint").unlink()
    with open_ledger(maker, None) as ledger:
        assert found(verify_home(ledger.log, now=NOW)) == {("checkpoint-missing", None)}


def test_database_files_and_auditor_s_checkpoint_together(tmp_path: Path, maker: Path, ledger: Ledger) -> None:
    """The auditor has files and a key; later the maker's database, and a checkpoint kept in between."""
    ledger.record([real_entry(f"pump-{n}") for n in range(3)])
    kept = tmp_path / "kept"
    kept.write_text(ledger.log.checkpoint())
    ledger.record([real_entry("pump-9")])
    public, key = tmp_path / "public", known_key(maker)
    assert key is not None
    export(ledger.engine, ledger.log.checkpoint(), key, public)
    assert verify_files(public, key, checkpoints=[kept]).is_good
    assert verify_home(ledger.log, now=NOW, checkpoints=[kept], exported=public).is_good
    tamper(ledger, "UPDATE log_entries SET entry = :entry WHERE position = 3", entry=b"forged")
    codes = {one.code for one in verify_home(ledger.log, now=NOW, exported=public).differences}
    assert {"entry-changed", "database-differs"} <= codes


def test_proofs_and_keys_in_files(tmp_path: Path, ledger: Ledger) -> None:
    ledger.record([real_entry("pump-1")])
    proof = ledger.log.proof(0)
    text, values, bad = tmp_path / "proof", tmp_path / "proof.json", tmp_path / "bad"
    text.write_text(str(proof))
    values.write_text(json.dumps(proof.to_json()))
    assert read_proof(text) == read_proof(values) == proof
    bad.write_text("{nonsense")
    with pytest.raises(EncodingError):
        read_proof(bad)
    with pytest.raises(EncodingError):
        read_key(str(bad))
    with pytest.raises(NotFound, match="no file"):
        read_key(str(tmp_path / "missing"))


def test_a_damaged_file_of_the_key_is_said(maker: Path, ledger: Ledger) -> None:
    ledger.record([real_entry("pump-1")])
    ledger.log.checkpoint()
    (maker / "log" / "verifier-key").write_text("nonsense")
    with pytest.raises(Damaged, match="no key of a log"):
        known_key(maker)


def test_any_position_is_found_among_what_is_no_certificate(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        ledger.log.append(connection, [b"leafward/issuance/v1\ncrl\n" + b"ab" * 32 + b"\n"])
    assert find_position(ledger, "AB" * 32, now=NOW) == 0
    with pytest.raises(NotFound):
        find_position(ledger, "cd" * 32, now=NOW)


def test_a_reader_keeps_nobody_waiting(maker: Path) -> None:
    """While a long verification reads, certificates are issued; it sees the log as it was when it began."""
    with open_ledger(maker, None) as ledger, open_ledger(maker, None) as other:
        ledger.record([real_entry(f"pump-{n}") for n in range(300)])
        recorded = []

        def progress(_done: int, _total: int) -> None:
            if not recorded:
                recorded.extend(other.record([real_entry("meanwhile")]))
                other.log.checkpoint()

        report = verify_home(ledger.log, now=NOW, progress=progress)
        assert recorded == [300]
        assert (report.is_good, report.size) == (True, 300)


def test_nothing_of_the_log_stands_in_a_file_of_a_new_maker(maker: Path) -> None:
    """Looking makes no key: `maker/log` appears with the first signature."""
    with open_ledger(maker, None) as ledger:
        assert verify_home(ledger.log, now=NOW).is_good
    assert not (maker / "log").exists()
    with sqlite3.connect(maker / "maker.db") as connection:
        assert connection.execute("SELECT COUNT(*) FROM log_head").fetchone() == (0,)
    connection.close()
