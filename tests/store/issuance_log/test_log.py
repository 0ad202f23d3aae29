"""The log in a database: append, checkpoint and proof keep their promises, in one process and in several."""

import json
import multiprocessing
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leafward.errors import AccessDenied, InputError, NotFound, StoreError
from leafward.store.issuance_log.checkpoint import Checkpoint
from leafward.store.issuance_log.log import IssuanceLog
from leafward.store.issuance_log.note import Note
from leafward.store.issuance_log.tree import EMPTY_ROOT, Frontier, leaf_hash
from leafward.store.maker_database import open_maker_database
from tests.store.issuance_log.logs import LogFolder, Signer, append, closing_log, crl_entry


@pytest.fixture
def made(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "maker")


def root_of(entries: list[bytes]) -> bytes:
    frontier = Frontier()
    frontier.extend(map(leaf_hash, entries))
    return frontier.root()


def test_positions_have_no_gaps_over_processes(made: LogFolder) -> None:
    with closing_log(made) as log:
        assert append(log, [b"a", b"b"]) == [0, 1]
        assert append(log, []) == []
    with closing_log(made) as log:
        assert append(log, [b"c"]) == [2]
        assert log.entries(0, 9) == [b"a", b"b", b"c"]
        state = log.state()
        assert (state.size, state.root, state.signed) == (3, root_of([b"a", b"b", b"c"]), None)


def test_a_transaction_that_is_rolled_back_leaves_nothing(made: LogFolder) -> None:
    with closing_log(made) as log:
        append(log, [b"a"])
        with log.engine.begin() as connection:
            log.append(connection, [b"lost"] * 300)
            connection.rollback()
        assert append(log, [b"b"]) == [1]
        assert log.state().root == root_of([b"a", b"b"])
    assert made.query("SELECT COUNT(*) FROM log_tiles") == [(0,)]


def test_several_appends_in_one_transaction(made: LogFolder) -> None:
    with closing_log(made) as log, log.engine.begin() as connection:
        assert log.append(connection, [b"a"]) == [0]
        assert log.append(connection, [b"b"] * 300) == list(range(1, 301))
        assert log.append(connection, [b"c"] * 300) == list(range(301, 601))
    with closing_log(made) as log:
        assert log.state().root == root_of([b"a"] + [b"b"] * 300 + [b"c"] * 300)


@pytest.mark.parametrize("entry", [b"", b"x" * 65_536])
def test_entries_that_no_reader_could_take_are_refused(made: LogFolder, entry: bytes) -> None:
    with closing_log(made) as log:
        with pytest.raises(InputError, match="wrong size"):
            append(log, [b"good", entry])
        assert append(log, [b"x" * 65_535]) == [0]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 700), min_size=1, max_size=6))
def test_tiles_are_the_same_in_any_batches(tmp_path_factory: pytest.TempPathFactory, batches: list[int]) -> None:
    made = LogFolder(tmp_path_factory.mktemp("log") / "maker")
    at = 0
    for batch in batches:
        made.filled(batch, first=at)
        at += batch
    report = made.verify()
    assert report.is_good, report.differences
    assert report.root == root_of([crl_entry(number) for number in range(at)])
    assert made.query("SELECT COUNT(*) FROM log_tiles") == [(at // 256,)]


def _append_in_a_process(folder: Path, name: str, count: int) -> None:
    log = IssuanceLog(open_maker_database(folder / "maker.db"), folder / "log")
    for number in range(count):
        append(log, [f"{name} {number}".encode()] * 3)
    log.engine.dispose()


def test_processes_and_threads_take_turns(made: LogFolder) -> None:
    """Two processes and two threads append at once: each batch stands together, and the tree is whole."""
    made.filled(1)
    context = multiprocessing.get_context("spawn")
    workers: list[multiprocessing.process.BaseProcess | threading.Thread] = [
        context.Process(target=_append_in_a_process, args=(made.folder, f"process {n}", 20)) for n in range(2)
    ]
    with closing_log(made) as log:

        def run(name: str) -> None:
            for number in range(20):
                append(log, [f"{name} {number}".encode()] * 3)
                log.checkpoint()

        workers += [threading.Thread(target=run, args=(f"thread {n}",)) for n in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        log.checkpoint()
        found = log.entries(1, 1000)
        assert len(found) == 4 * 20 * 3
        for at in range(0, len(found), 3):
            assert found[at] == found[at + 1] == found[at + 2]
        assert log.state().root == root_of(log.entries(0, 1000))
    report = made.verify()
    # The entries of this test are no entries of leafward's; nothing else may differ.
    assert {found.code for found in report.differences} == {"entry-malformed"}


def test_a_checkpoint_is_signed_once_a_size(made: LogFolder) -> None:
    with closing_log(made) as log:
        with pytest.raises(NotFound, match="no entries"):
            log.checkpoint()
        append(log, [b"a"])
        first = log.checkpoint()
        assert log.checkpoint() == first
        assert made.signer.asked == 1
        append(log, [b"b"])
        second = log.checkpoint()
        assert made.signer.asked == 2
    assert (made.folder / "log" / "checkpoint").read_text() == second
    found = Checkpoint.from_note(Note.parse(second.encode()), made.signer.verifier)
    assert (found.size, found.root) == (2, root_of([b"a", b"b"]))
    assert [size for size, _ in made.query("SELECT size, note FROM log_checkpoints ORDER BY size")] == [1, 2]


def test_a_log_has_one_key(made: LogFolder) -> None:
    made.filled(1)
    other = LogFolder(made.folder, Signer())
    with closing_log(other) as log:
        append(log, [b"b"])
        with pytest.raises(AccessDenied, match="not the key"):
            log.checkpoint()
    renamed = LogFolder(made.folder, Signer("another.example/name", made.signer.key))
    with closing_log(renamed) as log, pytest.raises(AccessDenied, match="not the key"):
        log.checkpoint()
    assert other.signer.asked == 0


def test_a_log_without_a_signer_is_for_reading_and_appending(made: LogFolder) -> None:
    made.filled(2)
    log = IssuanceLog(open_maker_database(made.database), made.folder / "log")
    assert append(log, [b"c"]) == [2]
    assert log.proof(1).entry == crl_entry(1)
    with pytest.raises(AccessDenied, match="no key to sign with"):
        log.proof(2)
    log.engine.dispose()


def test_a_new_log_is_empty(made: LogFolder) -> None:
    with closing_log(made) as log:
        state = log.state()
        assert (state.size, state.root, state.key) == (0, EMPTY_ROOT, None)
        log.check_not_restored()
        assert log.find("00" * 32) is None
        with pytest.raises(NotFound, match="no entry 0"):
            log.proof(0)
    assert made.verify().is_good


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_every_entry_is_proved(made: LogFolder, size: int) -> None:
    made.filled(size)
    with closing_log(made) as log:
        proofs = list(log.proofs(range(size)))
    for position, proof in enumerate(proofs):
        assert proof.index == position
        assert proof.verified(made.signer.verifier).size == size
        json.dumps(proof.to_json())


def test_a_proof_of_what_is_not_signed_yet_signs_it(made: LogFolder) -> None:
    made.filled(2)
    with closing_log(made) as log:
        append(log, [b"c"])
        assert log.proof(1).verified(made.signer.verifier).size == 2
        assert log.proof(2).verified(made.signer.verifier).size == 3
        for position in (-1, 3):
            with pytest.raises(NotFound, match=f"no entry {position}"):
                log.proof(position)


def test_an_entry_is_found_by_its_sha256(made: LogFolder) -> None:
    made.filled(300)
    with closing_log(made) as log:
        sha256 = log.entries(299, 300)[0].decode().splitlines()[-1]
        assert log.find(sha256) == 299
        assert log.find("00" * 32) is None


def test_a_full_disk_signs_nothing_and_loses_nothing(made: LogFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    made.filled(2)
    before = (made.folder / "log" / "checkpoint").read_text()
    with closing_log(made) as log:
        append(log, [crl_entry(2)])

        def full(_note: str) -> None:
            raise StoreError("cannot write", why="No space left on device")

        monkeypatch.setattr(log.file, "write", full)
        with pytest.raises(StoreError, match="No space"):
            log.checkpoint()
    assert (made.folder / "log" / "checkpoint").read_text() == before
    assert made.query("SELECT COUNT(*) FROM log_checkpoints") == [(1,)]
    with closing_log(made) as log:
        log.checkpoint()
    assert made.verify().is_good


def test_a_kill_between_file_and_commit_changes_nothing(made: LogFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file was replaced, the row did not commit: the next checkpoint of that size is the same note."""
    with closing_log(made) as log:
        append(log, [crl_entry(0)])
        write = log.file.write

        def killed(note: str) -> None:
            write(note)
            raise KeyboardInterrupt

        monkeypatch.setattr(log.file, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            log.checkpoint()
    with closing_log(made) as log:
        log.check_not_restored()
        append(log, [crl_entry(1)])
        log.checkpoint()
    assert made.verify().is_good


def test_an_append_costs_little(made: LogFolder) -> None:
    """Less than 8 microseconds of processor an entry: two hashes, a row, and a 256th of a tile."""
    entries = [crl_entry(number) for number in range(5_000)]
    with closing_log(made) as log:
        append(log, entries[:500])
        best = min(_cost(log, entries) for _ in range(6))
    assert best / len(entries) < 8e-6


def _cost(log: IssuanceLog, entries: list[bytes]) -> float:
    start = time.process_time()
    for at in range(0, len(entries), 1000):
        append(log, entries[at : at + 1000])
    return time.process_time() - start
