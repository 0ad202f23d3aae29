"""store/lock.py: one holder, named to the second; free when the holder dies."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leafward.errors import Busy, StoreError
from leafward.store.lock import HomeLock

HOLDER = """
import sys
from pathlib import Path
from leafward.store.lock import HomeLock
lock = HomeLock(Path(sys.argv[1]))
lock.acquire("manager")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "run" / "lock"


def test_second_process_is_told_who_holds_it(path: Path) -> None:
    """process A holds -> B: Busy with A's pid and role; A ends -> B gets it."""
    lock = HomeLock(path)
    with another_process(path) as process:
        with pytest.raises(Busy, match=rf"process {process.pid} \('manager'\)") as caught:
            lock.acquire("up")
        assert f"kill {process.pid}" in (caught.value.hint or "")
        assert not lock.held
        process.communicate()
        lock.acquire("up")
    assert lock.held
    lock.release()


def test_killed_holder_does_not_stop_the_next(path: Path) -> None:
    """holder killed with SIGKILL, its name still in the file -> the next one gets the lock and writes its own."""
    with another_process(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert json.loads(path.read_text())["pid"] == process.pid
        lock = HomeLock(path)
        lock.acquire("up")
    assert json.loads(path.read_text()) == {"pid": os.getpid(), "role": "up"}
    lock.release()


def test_second_lock_in_the_same_process(path: Path) -> None:
    first, second = HomeLock(path), HomeLock(path)
    with first.hold("up"):
        for lock in (first, second):
            with pytest.raises(Busy, match=rf"process {os.getpid()} \('up'\)"):
                lock.acquire("hub")
        assert first.held
    with second.hold("hub"):
        assert not first.held


def test_release_may_be_repeated_and_spares_another_holder(path: Path) -> None:
    first, second = HomeLock(path), HomeLock(path)
    first.acquire("up")
    first.release()
    with second.hold("hub"):
        first.release()
        with pytest.raises(Busy, match="'hub'"):
            first.acquire("up")


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b'{"pid": "x"}', b'{"pid": 1, "role"'])
def test_holder_that_is_not_named(path: Path, left: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A holder that did not write its name (yet) -> Busy all the same."""
    monkeypatch.setattr("leafward.store.lock._BETWEEN_LOOKS", 0)
    with HomeLock(path).hold("up"):
        path.write_bytes(left)
        with pytest.raises(Busy, match="another process"):
            HomeLock(path).acquire("hub")


def test_name_of_a_dead_one_is_not_blamed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leafward.store.lock._BETWEEN_LOOKS", 0)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with HomeLock(path).hold("up"):
        path.write_text(json.dumps({"pid": dead.pid, "role": "hub"}))
        with pytest.raises(Busy) as caught:
            HomeLock(path).acquire("hub")
    assert str(dead.pid) not in str(caught.value)


def test_of_many_threads_one_gets_it(path: Path) -> None:
    start, got = threading.Barrier(8), []

    def acquire() -> None:
        lock = HomeLock(path)
        start.wait()
        try:
            lock.acquire("up")
        except Busy:
            return
        got.append(lock)

    threads = [threading.Thread(target=acquire) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].release()


def test_files_are_private_and_links_are_not_followed(path: Path, tmp_path: Path) -> None:
    with HomeLock(path).hold("up"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.unlink()
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError):
        HomeLock(path).acquire("up")
    assert not (tmp_path / "victim").exists()


def test_children_do_not_keep_it(path: Path) -> None:
    """holder starts a child and releases -> free, while the child lives."""
    lock = HomeLock(path)
    lock.acquire("up")
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        lock.release()
        with HomeLock(path).hold("up"):
            assert child.poll() is None
    finally:
        child.communicate()
