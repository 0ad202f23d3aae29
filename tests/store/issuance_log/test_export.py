"""Exported files: complete, incremental, durable in the right order; every fault in them is found without the maker."""

import shutil
from pathlib import Path

import pytest

from leafward.errors import Damaged, InputError, NotFound
from leafward.store.issuance_log.difference import Report
from leafward.store.issuance_log.export import export
from leafward.store.issuance_log.export_audit import audit_export
from leafward.store.issuance_log.signatures import Held
from leafward.store.issuance_log.tiles import decode_bundle, encode_bundle, tiles_of
from tests.store.issuance_log.logs import LogFolder, Signer, append, closing_log, codes, crl_entry

SIZE = 600


@pytest.fixture
def made(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "maker")


def publish(made: LogFolder) -> Path:
    folder = made.folder.parent / f"{made.folder.name}-public"
    with closing_log(made) as log:
        export(log.engine, log.checkpoint(), made.signer.verifier, folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def audited(made: LogFolder, folder: Path, *, against: bool = False, held: list[Held] | None = None) -> Report:
    with closing_log(made) as log:
        return audit_export(folder, made.signer.verifier, held=held or [], against=log.engine if against else None)


@pytest.mark.parametrize("size", [1, 255, 256, 257, 512, SIZE])
def test_the_files_of_a_size(made: LogFolder, size: int) -> None:
    folder = publish(made.filled(size))
    assert set(files(folder)) == {"checkpoint", *(tile.path for tile in tiles_of(size))}
    report = audited(made, folder, against=True)
    assert report.is_good, report.differences
    assert (report.size, report.signed) == (size, size)
    first = decode_bundle(next(data for name, data in files(folder).items() if name.startswith("tile/entries/000")))
    assert first == [crl_entry(number) for number in range(min(size, 256))]


def test_an_export_adds_what_is_new_and_touches_nothing_else(made: LogFolder) -> None:
    folder = publish(made.filled(300))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    publish(made)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    publish(made.filled(SIZE - 300, first=300))
    assert (folder / "tile/0/000").stat().st_mtime_ns == before[folder / "tile/0/000"]
    assert not (folder / "tile/0/001.p").exists()  # the full one is there
    assert audited(made, folder, against=True).is_good


def test_partial_tiles_of_earlier_checkpoints_stay(made: LogFolder) -> None:
    folder = publish(made.filled(3))
    publish(made.filled(4, first=3))
    assert {"tile/0/000.p/3", "tile/0/000.p/7", "tile/entries/000.p/3"} <= set(files(folder))
    assert audited(made, folder, against=True).is_good


def test_everybody_may_read_what_is_published(made: LogFolder) -> None:
    folder = publish(made.filled(1))
    assert all(
        path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
        for path in folder.joinpath("tile").rglob("*")
    )


def test_a_killed_export_leaves_the_last_checkpoint_with_all_it_needs(
    made: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish(made.filled(300))
    made.filled(SIZE - 300, first=300)
    before = audited(made, folder)
    for stop in range(1, 6):
        with closing_log(made) as log:
            note, done = log.checkpoint(), []

            def killed(count: int, _total: int) -> None:
                done.append(count)  # noqa: B023
                if count == stop:  # noqa: B023
                    raise KeyboardInterrupt

            with pytest.raises(KeyboardInterrupt):
                export(log.engine, note, made.signer.verifier, folder, progress=killed)
        report = audited(made, folder)
        assert (report.size, codes(report) - {"file-unexpected"}) == (before.size, set())
    publish(made)
    assert audited(made, folder, against=True).is_good


def test_another_log_is_never_mixed_in(made: LogFolder) -> None:
    folder = publish(made.filled(3))
    before = files(folder)
    stranger = LogFolder(made.folder.with_name("stranger"), Signer()).filled(5)
    forked = LogFolder(made.folder.with_name("forked"), made.signer).filled(5, text="other")
    for other, what in ((stranger, "no checkpoint of this log"), (forked, "another log")):
        with closing_log(other) as log, pytest.raises(Damaged, match=what):
            export(log.engine, log.checkpoint(), other.signer.verifier, folder)
    assert files(folder) == before


def test_an_older_log_does_not_go_back(made: LogFolder) -> None:
    """The folder is ahead of the database: the database was restored."""
    made.filled(3)
    old = made.copy(made.folder.with_name("old"))
    folder = publish(made.filled(5, first=3))
    with closing_log(old) as log, pytest.raises(Damaged, match="another log"):
        export(log.engine, log.checkpoint(), made.signer.verifier, folder)


@pytest.fixture
def public(made: LogFolder) -> Path:
    return publish(made.filled(SIZE))


def test_any_changed_file_is_found(made: LogFolder, public: Path) -> None:
    for name, data in files(public).items():
        if name == "checkpoint":
            continue
        for at in (0, len(data) // 2, len(data) - 1):
            (public / name).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            report = audited(made, public)
            assert not report.is_good, (name, at)
            expected = (
                {"entry-changed", "entry-malformed", "bundle-changed", "entry-missing"}
                if "entries" in name
                else {"tile-changed", "entry-changed"}
            )
            assert codes(report) <= expected | {"not-compared", "fork"}, (name, at, report.differences)
        (public / name).write_bytes(data)
    assert audited(made, public).is_good


def test_any_missing_file_is_found(made: LogFolder, public: Path) -> None:
    for name, data in files(public).items():
        if name == "checkpoint":
            continue
        (public / name).unlink()
        report = audited(made, public)
        assert codes(report) - {"not-compared"} == {"entry-missing" if "entries" in name else "tile-missing"}, name
        (public / name).write_bytes(data)


def test_a_changed_entry_is_named(made: LogFolder, public: Path) -> None:
    path = public / "tile/entries/001"
    entries = decode_bundle(path.read_bytes())
    entries[7] = crl_entry(4711, "forged")
    path.write_bytes(encode_bundle(entries))
    report = audited(made, public)
    assert [(f.code, f.first, f.last) for f in report.differences] == [("entry-changed", 263, 263)]


def test_a_stray_file_is_found(made: LogFolder, public: Path) -> None:
    for name in ("tile/0/007", "tile/0/000.p/9x", "tile/readme", "tile/0/002.p/80"):
        (public / name).parent.mkdir(exist_ok=True)
        (public / name).write_bytes(b"x" * 32)
        assert codes(audited(made, public)) == {"file-unexpected"}, name
        (public / name).unlink()


def test_without_a_good_checkpoint_nothing_can_be_said(made: LogFolder, public: Path) -> None:
    with pytest.raises(InputError, match="not signed by the log"):
        audit_export(public, Signer().verifier)
    (public / "checkpoint").write_bytes(b"nonsense")
    with pytest.raises(InputError):
        audit_export(public, made.signer.verifier)
    (public / "checkpoint").unlink()
    with pytest.raises(NotFound, match="no checkpoint"):
        audit_export(public, made.signer.verifier)


def test_an_older_checkpoint_that_the_auditor_kept(made: LogFolder, public: Path) -> None:
    """It is a beginning of the files: good. Of a fork it is not."""
    earlier = LogFolder(made.folder.with_name("earlier"), made.signer).filled(260)
    fork = LogFolder(made.folder.with_name("fork"), made.signer).filled(260, text="other")
    notes = [(folder.folder / "log" / "checkpoint").read_bytes() for folder in (earlier, fork)]
    assert audited(made, public, held=[Held("kept", notes[0])]).is_good
    assert codes(audited(made, public, held=[Held("kept", notes[1])])) == {"fork"}


def test_files_against_another_copy_of_the_database(made: LogFolder) -> None:
    """Two copies of one database went on apart; the files are of the one, and show where the other left."""
    made.filled(300)
    other = made.copy(made.folder.with_name("other"))
    folder = publish(made.filled(100, first=300))
    other.filled(120, text="other", first=300)
    report = audited(other, folder, against=True)
    assert (report.differences[0].code, report.differences[0].first) == ("database-differs", 300)


def test_a_log_that_is_damaged_is_not_exported(made: LogFolder) -> None:
    made.filled(300)
    made.sql("UPDATE log_tiles SET hashes = zeroblob(8192)")
    folder = made.folder.with_name("public")
    with closing_log(made) as log, pytest.raises(Damaged):
        export(log.engine, log.checkpoint(), made.signer.verifier, folder)
    assert not folder.exists()


def test_copies_of_the_folder_verify_too(made: LogFolder, public: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(public, tmp_path / "stick")
    assert audited(made, copied).is_good
    with closing_log(made) as log:
        append(log, [crl_entry(SIZE)])
    assert audited(made, copied, against=True).is_good
