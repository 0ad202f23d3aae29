"""One edge a home: a lock that the kernel lets go of when its holder dies, however it dies.

A file that says "locked" outlives a kill and stops the next start; `flock` does not. The file only says who the holder
is, for the message to the one who comes second. Imports nothing slow.
"""

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from leafward.disk import PRIVATE, make_folder, told
from leafward.errors import Busy

# A holder writes its name just after it takes the lock: how often, and how long, the second one looks for it.
_LOOKS = 20
_BETWEEN_LOOKS = 0.005


class HomeLock:
    """The lock of one home, or of anything else that only one process may do at a time.

    Promises: of all processes, and of all `HomeLock`s of one path in a process, at most one holds it; it is free the
    moment its holder releases it or dies; the lock file stays where it is, since removing it would let two processes
    hold two files of one name. Children started by `subprocess` do not inherit it; forked ones do (do not fork while
    holding it). Thread-safe. It never waits for the lock: who comes second is told at once.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """True while this very object holds the lock."""
        return self._descriptor is not None

    def acquire(self, role: str) -> None:
        """Takes the lock and writes down `role` ("up", "manager", …) and the process id for others to read.

        Raises `Busy`, naming the holder, when it is held; `StoreError` when the disk refuses.
        """
        make_folder(self._path.parent)
        with self._guard, told(f"cannot lock {self._path}"):
            if self._descriptor is not None:
                raise _busy(self._path)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
            try:
                _take(descriptor, self._path)
                _write_holder(descriptor, role)
            except BaseException:
                os.close(descriptor)
                raise
            self._descriptor = descriptor

    def release(self) -> None:
        """Lets go of the lock; without effect when this object does not hold it."""
        with self._guard:
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is not None:
                with contextlib.suppress(OSError):  # a full or failing disk must not keep the lock from being freed
                    os.ftruncate(descriptor, 0)
                os.close(descriptor)

    def holder(self) -> tuple[int, str] | None:
        """Process id and role of a living holder, as it wrote them down; None where there is none. Takes nothing."""
        return _holder(self._path)

    @contextlib.contextmanager
    def hold(self, role: str) -> Iterator[None]:
        """`acquire` on entering, `release` on leaving."""
        self.acquire(role)
        try:
            yield
        finally:
            self.release()


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(path) from None


def _write_holder(descriptor: int, role: str) -> None:
    # One write after the truncation, so that a reader sees nothing, or all of it. A full disk has no room for a name;
    # the lock is the kernel's, and holds without one.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "role": role}).encode(), 0)


def _busy(path: Path) -> Busy:
    holder = _holder(path)
    if holder is None:
        return Busy(f"{path.parent} is in use", why="another process holds its lock", hint="stop it first")
    pid, role = holder
    return Busy(
        f"{path.parent} is in use",
        why=f"process {pid} ('{role}') holds {path}",
        hint=f"stop it first (kill {pid}), or choose another home",
    )


def _holder(path: Path) -> tuple[int, str] | None:
    """Process id and role of the holder. A name left behind by a dead one is passed over."""
    for _ in range(_LOOKS):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            said = json.loads(path.read_bytes())
            pid, role = int(said["pid"]), str(said["role"])
            if _alive(pid):
                return pid, role
        time.sleep(_BETWEEN_LOOKS)
    return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's process: alive
    return True
