"""A database that went back in time is met before anything is issued with it; and what to do then works."""

from collections.abc import Callable
from pathlib import Path

import pytest

from leafward.errors import Damaged
from leafward.store.issuance_log.tree import leaf_hash
from tests.store.issuance_log.logs import LogFolder, Signer, append, closing_log, codes, crl_entry


@pytest.fixture
def made(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "maker")


def restored(made: LogFolder, more: int) -> None:
    """backup -> `more` entries, signed -> the database of the backup is put back, the checkpoint file is not."""
    backup = made.copy(made.folder.with_name("backup"))
    made.filled(more, first=1000)
    made.database.write_bytes(backup.database.read_bytes())
    for name in ("maker.db-wal", "maker.db-shm"):
        made.folder.joinpath(name).unlink(missing_ok=True)


def refusals(made: LogFolder) -> list[Damaged]:
    """What each door says: looking, appending, signing."""
    found = []
    with closing_log(made) as log:
        doors: list[Callable[[], object]] = [
            log.check_not_restored,
            lambda: append(log, [crl_entry(7)]),
            log.checkpoint,
        ]
        for door in doors:
            with pytest.raises(Damaged) as caught:
                door()
            found.append(caught.value)
    return found


@pytest.mark.parametrize("more", [1, 300])
def test_an_old_copy_is_refused_everywhere(made: LogFolder, more: int) -> None:
    made.filled(5)
    restored(made, more)
    for error in refusals(made):
        assert "older than its issuance log" in error.what
        assert error.why is not None
        assert f"it has 5 entries, and {5 + more} were signed" in error.why
        assert error.hint is not None
        assert "restore the newest copy" in error.hint
    assert made.query("SELECT size FROM log_head") == [(5,)]
    assert codes(made.verify()) == {"log-older"}


def test_a_copy_from_before_the_first_signature_is_refused(made: LogFolder) -> None:
    with closing_log(made) as log:
        append(log, [crl_entry(0)])
    restored(made, 3)
    for error in refusals(made):
        assert "older than its issuance log" in error.what


def test_a_new_database_beside_an_old_checkpoint_is_refused(made: LogFolder) -> None:
    made.filled(2)
    for path in made.folder.glob("maker.db*"):
        path.unlink()
    with closing_log(made) as log, pytest.raises(Damaged, match="older than its issuance log"):
        append(log, [crl_entry(0)])


def test_a_copy_that_went_on_without_its_checkpoint_is_refused(made: LogFolder) -> None:
    """Both copies grew apart, and the file is of the other: as many entries, and not the same ones."""
    made.filled(5)
    other = made.copy(made.folder.with_name("other"))
    made.filled(4, first=1000)
    other.filled(4, first=2000)
    (made.folder / "log" / "checkpoint").write_bytes((other.folder / "log" / "checkpoint").read_bytes())
    for error in refusals(made):
        assert "not the one that was signed" in error.what


def test_a_running_process_meets_it_too(made: LogFolder) -> None:
    """The process had found the database good before the old copy was put under it."""
    made.filled(5)
    backup = made.copy(made.folder.with_name("backup"))
    with closing_log(made) as log:
        append(log, [crl_entry(5)])
        log.checkpoint()
        append(log, [crl_entry(6)])
    with closing_log(made) as log:
        log.check_not_restored()
        log.engine.dispose()
        made.database.write_bytes(backup.database.read_bytes())
        with pytest.raises(Damaged, match="older than its issuance log"):
            append(log, [crl_entry(5)])


def test_the_checkpoint_file_cannot_be_removed_or_changed_unseen(made: LogFolder) -> None:
    made.filled(5)
    file = made.folder / "log" / "checkpoint"
    good = file.read_bytes()
    file.unlink()
    for error in refusals(made):
        assert "is gone" in error.what
    for bad in (
        b"",
        good[:-3],
        good.replace(b"\n5\n", b"\n4\n"),
        LogFolder(made.folder.with_name("x")).filled(1) and b"x",
    ):
        file.write_bytes(bad)
        for error in refusals(made):
            assert "is no checkpoint of this log" in error.what
    file.write_bytes(good)
    with closing_log(made) as log:
        assert append(log, [crl_entry(5)]) == [5]


def test_a_checkpoint_of_somebody_else_is_refused(made: LogFolder) -> None:
    made.filled(5)
    stranger = LogFolder(made.folder.with_name("stranger"), Signer(made.signer.name)).filled(5)
    (made.folder / "log" / "checkpoint").write_bytes((stranger.folder / "log" / "checkpoint").read_bytes())
    for error in refusals(made):
        assert "is no checkpoint of this log" in error.what


def test_the_newest_copy_put_back_is_good(made: LogFolder) -> None:
    made.filled(5)
    backup = made.copy(made.folder.with_name("backup"))
    made.database.write_bytes(b"ruined")
    made.database.write_bytes(backup.database.read_bytes())
    with closing_log(made) as log:
        log.check_not_restored()
        assert append(log, [crl_entry(5)]) == [5]


def test_a_restart_is_another_log_with_the_same_entries(made: LogFolder) -> None:
    """After a loss beyond repair: the old key and checkpoint are kept as evidence, and sign nothing more."""
    made.filled(5)
    old = made.signer.verifier
    restored(made, 3)
    made.signer = Signer("log.example.com/maker-2")
    with closing_log(made) as log:
        aside = log.restart()
        assert (aside / "checkpoint").is_file()
        assert aside.name == f"log.{old.key_id.hex()}"
        assert append(log, [crl_entry(5)]) == [5]
        log.checkpoint()
        assert log.proof(0).verified(made.signer.verifier).size == 6
    report = made.verify()
    assert report.is_good, report.differences
    with closing_log(made) as log:
        assert log.restart() != aside


def test_a_log_that_does_not_extend_its_last_checkpoint_is_not_signed(made: LogFolder) -> None:
    """Somebody changed a tail entry and what is kept about it; the file is gone, the row in the database speaks."""
    made.filled(3)
    changed = crl_entry(99)
    made.sql("UPDATE log_entries SET entry = ?, leaf_hash = ? WHERE position = 2", changed, leaf_hash(changed))
    frontier = made.query("SELECT frontier FROM log_head")[0][0]
    assert isinstance(frontier, bytes)
    made.sql("UPDATE log_head SET frontier = ?", frontier[:32] + leaf_hash(changed))
    asked = made.signer.asked
    for error in refusals(made):
        assert "not the one that was signed" in error.what
    assert made.signer.asked == asked
