"""Whatever is changed, removed, inserted, reordered or forked in the database, verification finds, and says which."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leafward.store.issuance_log.difference import Report, differing
from leafward.store.issuance_log.signatures import Held
from leafward.store.issuance_log.tree import leaf_hash
from tests.store.issuance_log.logs import LogFolder, Signer, append, closing_log, codes, crl_entry

# Two full tiles and a part of one.
SIZE = 600


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> LogFolder:
    made = LogFolder(tmp_path_factory.mktemp("original") / "maker")
    made.filled(300).filled(200, first=300).filled(SIZE - 500, first=500)
    with closing_log(made) as log:
        append(log, [crl_entry(SIZE)])  # beyond what is signed
    assert made.verify().is_good
    return made


@pytest.fixture
def made(original: LogFolder, tmp_path: Path) -> LogFolder:
    """A copy to be ruined."""
    return original.copy(tmp_path / "maker")


def only(report: Report) -> tuple[str, int | None, int | None]:
    assert len(report.differences) == 1, [str(found) for found in report.differences]
    found = report.differences[0]
    return found.code, found.first, found.last


def read(made: LogFolder, position: int) -> bytes:
    entry = made.query("SELECT entry FROM log_entries WHERE position = ?", position)[0][0]
    assert isinstance(entry, bytes)
    return entry


# table, key columns, column, and the code under which a flipped byte of it is told
COLUMNS = [
    # A flipped kind can make a list's entry a certificate's, or the other way round: then the inventory disagrees too.
    (
        "log_entries",
        "position",
        "entry",
        {"entry-changed", "entry-malformed", "certificate-missing", "certificate-not-logged"},
    ),
    ("log_entries", "position", "leaf_hash", {"leaf-hash-changed"}),
    ("log_tiles", "level * 1000 + position", "hashes", {"tile-changed"}),
    ("log_tiles", "level * 1000 + position", "root", {"tile-changed"}),
    ("log_head", "id", "frontier", {"head-changed"}),
    ("log_checkpoints", "size", "note", {"checkpoint-forged"}),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(COLUMNS), st.data())
def test_any_flipped_byte_of_any_row_is_found(
    original: LogFolder,
    tmp_path_factory: pytest.TempPathFactory,
    column: tuple[str, str, str, set[str]],
    data: st.DataObject,
) -> None:
    table, key, name, expected = column
    made = original.copy(tmp_path_factory.mktemp("flip") / "maker")
    rows = made.query(f"SELECT {key}, CAST({name} AS BLOB) FROM {table} ORDER BY 1")
    which, value = data.draw(st.sampled_from(rows))
    assert isinstance(value, bytes)
    at = data.draw(st.integers(0, len(value) - 1))
    changed = value[:at] + bytes([value[at] ^ data.draw(st.integers(1, 255))]) + value[at + 1 :]
    stored: object = changed
    if name == "note":  # a column of text: what is no UTF-8 could not be read at all
        stored = changed.decode("latin-1")
    made.sql(f"UPDATE {table} SET {name} = ? WHERE {key} = ?", stored, which)
    report = made.verify()
    assert codes(report) & expected, report.differences
    # Nothing else is blamed.
    assert codes(report) <= expected, report.differences
    if table == "log_entries":
        assert {(found.first, found.last) for found in report.differences} == {(which, which)}


@pytest.mark.parametrize("position", [0, 255, 256, 599, 600])
def test_a_removed_row(made: LogFolder, position: int) -> None:
    made.sql("DELETE FROM log_entries WHERE position = ?", position)
    report = made.verify()
    assert ("entry-missing", position, position) in {(f.code, f.first, f.last) for f in report.differences}
    assert codes(report) <= {"entry-missing", "not-compared"}
    # Where a tile knows its hash, or nothing stands behind it, the rest is verified all the same.
    assert (codes(report) == {"entry-missing"}) == (position != 599)


def test_many_removed_rows_are_one_line(made: LogFolder) -> None:
    made.sql("DELETE FROM log_entries WHERE position BETWEEN 100 AND 400")
    assert only(made.verify()) == ("entry-missing", 100, 400)


def _rewrite(made: LogFolder, start: int, entries: list[bytes]) -> None:
    """The rows from `start` on become these entries, with their own leaf hashes."""
    made.sql("DELETE FROM log_entries WHERE position >= ?", start)
    for at, entry in enumerate(entries):
        values = (start + at, entry, leaf_hash(entry))
        made.sql("INSERT INTO log_entries (position, entry, leaf_hash) VALUES (?, ?, ?)", *values)


def test_a_removed_entry_whose_place_was_closed(made: LogFolder) -> None:
    """Entry 300 is gone and everything after it moved down, hashes and all."""
    _rewrite(made, 300, [read(made, position) for position in range(301, SIZE + 1)])
    report = made.verify()
    found = [(f.code, f.first, f.last) for f in report.differences]
    assert found[:3] == [("entry-missing", SIZE, SIZE), ("entry-removed", 300, 300), ("fork", 500, 599)]


def test_an_inserted_entry(made: LogFolder) -> None:
    moved = [read(made, position) for position in range(100, SIZE + 1)]
    _rewrite(made, 100, [crl_entry(4711, "forged"), *moved])
    report = made.verify()
    assert (report.differences[0].code, report.differences[0].first) == ("entry-inserted", 100)
    assert ("entry-moved", 256, 511) in {(f.code, f.first, f.last) for f in report.differences}
    assert any((f.code, f.first) == ("entry-inserted", SIZE + 1) for f in report.differences)


def test_an_appended_row_that_was_never_logged(made: LogFolder) -> None:
    forged = crl_entry(4711, "forged")
    for position in (-1, SIZE + 1):
        values = (position, forged, leaf_hash(forged))
        made.sql("INSERT INTO log_entries (position, entry, leaf_hash) VALUES (?, ?, ?)", *values)
    report = made.verify()
    assert [(f.code, f.first) for f in report.differences] == [("entry-inserted", -1), ("entry-inserted", SIZE + 1)]


@pytest.mark.parametrize(("one", "other"), [(10, 20), (0, 255), (300, 301)])
def test_two_entries_in_each_other_s_place(made: LogFolder, one: int, other: int) -> None:
    first, second = read(made, one), read(made, other)
    for position, entry in ((one, second), (other, first)):
        made.sql(
            "UPDATE log_entries SET entry = ?, leaf_hash = ? WHERE position = ?", entry, leaf_hash(entry), position
        )
    assert only(made.verify()) == ("entry-reordered", one, other)


def test_reordered_over_the_edge_of_a_tile(made: LogFolder) -> None:
    first, second = read(made, 5), read(made, 400)
    for position, entry in ((5, second), (400, first)):
        made.sql(
            "UPDATE log_entries SET entry = ?, leaf_hash = ? WHERE position = ?", entry, leaf_hash(entry), position
        )
    assert [(f.code, f.first) for f in made.verify().differences] == [("entry-changed", 5), ("entry-changed", 400)]


def test_a_changed_entry_of_the_tail_with_its_hash(made: LogFolder) -> None:
    """No tile knows entry 550 yet: the head's subtrees and the signature narrow it down."""
    changed = crl_entry(4711, "forged")
    made.sql("UPDATE log_entries SET entry = ?, leaf_hash = ? WHERE position = 550", changed, leaf_hash(changed))
    report = made.verify()
    found = [(f.code, f.first, f.last) for f in report.differences]
    # What was signed at 500 holds, what was signed at 600 does not: neither the row nor the file of it.
    assert found == [("head-changed", 512, 575), ("fork", 500, 599), ("fork", None, None)]


def test_a_history_written_anew_is_met_by_its_signatures(made: LogFolder) -> None:
    """Every row, tile and the head are made to fit another history; only the signed checkpoints stay."""
    forged = LogFolder(made.folder.with_name("forged"), made.signer).filled(450)
    forged.filled(SIZE + 1 - 450, text="other", first=450)
    for table in ("log_entries", "log_tiles", "log_head"):
        made.sql(f"DELETE FROM {table}")
        rows = forged.query(f"SELECT * FROM {table}")
        for row in rows:
            made.sql(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", *row)
    report = made.verify()
    assert codes(report) == {"fork"}
    # 300 was signed and holds; 500 does not: the change is between.
    assert (report.differences[0].first, report.differences[0].last) == (300, 499)
    assert report.signed == 300


def test_a_history_signed_anew_is_met_by_what_others_hold(original: LogFolder, tmp_path: Path) -> None:
    """The maker itself, with its key, rewrites everything: whoever kept a checkpoint sees it."""
    kept = (original.folder / "log" / "checkpoint").read_bytes()
    rewritten = LogFolder(tmp_path / "maker", original.signer).filled(450)
    rewritten.filled(SIZE + 1 - 450, text="other", first=450)
    assert rewritten.verify().is_good
    report = rewritten.verify(held=[Held("the auditor's checkpoint", kept)])
    assert codes(report) == {"fork"}
    assert (report.differences[0].first, report.differences[0].last) == (450, 599)


def test_two_copies_that_went_on_apart(original: LogFolder, tmp_path: Path) -> None:
    one, other = original.copy(tmp_path / "one"), original.copy(tmp_path / "other")
    one.filled(50, text="one", first=SIZE + 1)
    other.filled(60, text="other", first=SIZE + 1)
    assert one.verify().is_good
    assert other.verify().is_good
    theirs = Held("the other copy", (other.folder / "log" / "checkpoint").read_bytes())
    assert codes(one.verify(held=[theirs])) == {"log-older"}
    one.filled(50, text="more", first=700)
    report = one.verify(held=[theirs])
    assert codes(report) == {"fork"}
    assert report.differences[0].first == SIZE + 51


def test_a_removed_tile_and_one_too_many(made: LogFolder) -> None:
    made.sql("DELETE FROM log_tiles WHERE position = 1")
    assert codes(made.verify()) == {"tile-missing"}
    made.sql("INSERT INTO log_tiles SELECT 0, 1, hashes, root FROM log_tiles WHERE position = 0")
    assert codes(made.verify()) == {"tile-changed"} or "entry-changed" in codes(made.verify())
    made.sql("INSERT INTO log_tiles SELECT 5, 1, hashes, root FROM log_tiles WHERE position = 0")
    assert "tile-inserted" in codes(made.verify())


@pytest.mark.parametrize("size", [0, 1, 512, 599, 602, 10_000_000, (1 << 62) + 7, -1])
def test_a_head_of_another_size(made: LogFolder, size: int) -> None:
    made.sql("UPDATE log_head SET size = ?", size)
    assert not made.verify().is_good


def test_a_head_that_is_gone_or_nonsense(made: LogFolder) -> None:
    made.sql("UPDATE log_head SET size = 'many'")
    assert codes(made.verify()) == {"head-changed"}
    made.sql("DELETE FROM log_head")
    assert "head-changed" in codes(made.verify())


def test_another_key_in_the_database(made: LogFolder) -> None:
    """A forger with a key of his own signs everything anew: the key that is known is not his."""
    made.sql("UPDATE log_head SET verifier_key = ?", str(Signer().verifier))
    assert codes(made.verify()) == {"key-changed"}
    made.sql("UPDATE log_head SET verifier_key = 'nonsense'")
    assert codes(made.verify()) == {"key-changed"}


def test_a_checkpoint_under_another_size(made: LogFolder) -> None:
    made.sql("UPDATE log_checkpoints SET size = 301 WHERE size = 300")
    assert codes(made.verify()) == {"checkpoint-forged"}


def test_everything_removed(made: LogFolder) -> None:
    for table in ("log_entries", "log_tiles", "log_head", "log_checkpoints"):
        made.sql(f"DELETE FROM {table}")
    assert "log-older" in codes(made.verify())


def test_a_long_list_of_differences_is_cut(made: LogFolder) -> None:
    made.sql("UPDATE log_entries SET entry = X'00' WHERE position % 2 = 0")
    report = made.verify()
    assert len(report.differences) == 200
    assert report.not_shown > 100


@given(st.lists(st.binary(min_size=1, max_size=2), min_size=1, max_size=12, unique=True), st.data())
def test_kinds_of_difference(logged: list[bytes], data: st.DataObject) -> None:
    """Whatever differs is told, and positions are in the window."""
    found = data.draw(st.permutations(logged))
    differences = differing(1000, found, logged)
    assert bool(differences) == (found != logged)
    for one in differences:
        assert one.first is not None
        assert one.last is not None
        assert 1000 <= one.first <= one.last < 1000 + len(logged)
