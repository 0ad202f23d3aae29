"""The disk refuses: at each step of a start, and as a real disk that is full, or read-only.

step k: ENOSPC | EROFS | EIO   ->  an error that names the file and what to do, or a start that did not need it
the disk is good again         ->  the next start is as if nothing had been
"""

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafward.errors import LeafwardError
from leafward.store.home import Home
from leafward.store.lock import HomeLock
from tests.faults.damage import NOT_OURS
from tests.faults.homes import copied, makers_half, start, started
from tests.faults.look import Look, Scenario
from tests.faults.scenarios import SCENARIOS
from tests.faults.seam import Seam
from tests.faults.summary import Count
from tests.faults.test_kills import ROOT

ERRORS = {"full": errno.ENOSPC, "read-only": errno.EROFS, "failing": errno.EIO}
# What a full disk still allows, and a read-only one does not.
TAKES_NO_ROOM = frozenset({"unlink", "remove", "rmdir", "chmod", "fchmod", "ftruncate", "fsync", "read"})
# Made by the harness's own eyes, or SQLite's: no call of ours to refuse.
NOT_THE_DISK = frozenset({"sign", "signed", "statement", "commit"})


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: the refusals are made here, the disk itself is not tried."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="leafward", dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


class Refusing:
    """Refuses step number `at`, and, where `for_good`, all after it that the error would."""

    def __init__(self, at: int, number: int, *, for_good: bool, reads: bool = False) -> None:
        self._at, self._number, self._for_good, self._reads = at, number, for_good, reads
        self._step = -1
        self.refused: list[tuple[str, Path]] = []

    def __call__(self, name: str, path: Path) -> None:
        if name in NOT_THE_DISK or (name == "read") != self._reads:
            return
        self._step += 1
        if self._step < self._at or (self._step > self._at and not self._for_good):
            return
        if self._number == errno.ENOSPC and name in TAKES_NO_ROOM:
            return
        self.refused.append((name, path))
        raise OSError(self._number, os.strerror(self._number))


def attempt(scenario: Scenario, home: Home, refusing: Refusing, *, reads: bool) -> LeafwardError | None:
    """What the act was refused with; any other exception is a traceback, and fails the test."""
    try:
        with Seam(home.root, refusing, reads=reads):
            scenario.act(home)
    except LeafwardError as error:
        return error
    return None


def judge(error: LeafwardError | None, home: Home, number: int) -> None:
    if error is not None:
        said = f"{error.what} {error.why}"
        assert str(home.root) in said, error
        assert os.strerror(number) in said, error
        assert error.hint, error


@pytest.mark.parametrize("name", ["first start", "start with both due"])
def test_each_step_refused(name: str, quick: Path, count: Count, thorough: bool) -> None:
    """Once, as a bad sector; or from then on, as a full disk. By turns, or each in each way when asked."""
    scenario = SCENARIOS[name]
    base, undisturbed = Home(quick / "base"), quick / "undisturbed"
    scenario.prepare(base)
    look = Look(scenario, copied(base, undisturbed), Home(undisturbed))
    step = refused = 0
    ways = [(number, for_good) for number in ERRORS.values() for for_good in (True, False)]
    while True:
        reached = False
        for number, for_good in ways if thorough else [ways[step % len(ways)]]:
            home = copied(base, quick / "home")
            refusing = Refusing(step, number, for_good=for_good)
            judge(attempt(scenario, home, refusing, reads=False), home, number)
            assert makers_half(home) == makers_half(base)
            look(home, openssl=False)
            shutil.rmtree(home.root)
            refused += bool(refusing.refused)
            reached |= refusing._step >= step
        if not reached:
            break
        step += 1
    assert refused > step / 2
    count("steps refused by the disk: full, read-only, failing", refused)


def test_each_read_refused(quick: Path, count: Count) -> None:
    """A file that cannot be read is made anew where it is ours, and named where it is not."""
    base = Home(quick / "base")
    started(base)
    scenario = SCENARIOS["first start"]
    step = 0
    while True:
        home = copied(base, quick / "home")
        refusing = Refusing(step, errno.EIO, for_good=False, reads=True)
        error = attempt(scenario, home, refusing, reads=True)
        if not refusing.refused:
            break
        judge(error, home, errno.EIO)
        if error is not None:
            (_, path), *_ = refusing.refused
            assert str(path.relative_to(home.root)) in {*NOT_OURS, "manager/epoch"}, error
        assert makers_half(home) == makers_half(base)
        start(home)
        assert start(home).issued == ()
        shutil.rmtree(home.root)
        step += 1
    assert step > 8
    count("steps refused by the disk: full, read-only, failing", step)


def test_a_lock_needs_no_room(tmp_path: Path) -> None:
    """A full disk must not keep the manager from starting: the lock is the kernel's."""
    (tmp_path / "lock").touch()  # as after any start
    with Seam(tmp_path, Refusing(0, errno.ENOSPC, for_good=True)):
        lock = HomeLock(tmp_path / "lock")
        lock.acquire("manager")
        assert lock.held
        lock.release()


def small_disk(*arguments: str) -> dict[str, int]:
    """Runs the program in a mount namespace of its own; skips where that is not allowed."""
    own = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace here")
    program = Path(__file__).parent / "scripts" / "small_disk.py"
    ended = subprocess.run(
        [*own, sys.executable, str(program), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])},
    )
    if ended.returncode == 77:
        pytest.skip(ended.stderr.strip())
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)  # type: ignore[no-any-return]


def test_a_real_disk_that_is_too_small(count: Count, thorough: bool) -> None:
    """A tmpfs with one page left, two pages, …: SQLite and the kernel refuse for themselves."""
    found = small_disk("full", "1" if thorough else "4")
    assert found["refused"] > 3
    assert found["started"] > 0
    count("starts on a real disk that is full or read-only", found["refused"] + found["started"])


def test_a_real_disk_that_is_read_only(count: Count) -> None:
    found = small_disk("read-only", "1")
    count("starts on a real disk that is full or read-only", found["refused"] + found["started"])
