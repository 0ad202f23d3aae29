"""A disk that fails: kills the process, cuts the power or refuses, at any one of the system calls that matter."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

CALLS = ("open", "fsync", "rename", "replace", "link", "symlink", "mkdir", "unlink", "rmdir", "chmod", "fchmod")


class Killed(BaseException):  # no Exception: nothing may catch it by the way
    """The process ends here."""


class FaultyDisk:
    """While entered, the system call number `at` under `root` does not happen.

    With `error` it fails with that error number, once. Without, the process is dead: each later call fails too, so no
    clean-up of the dying process helps. `power_cut` rebuilds what a disk may hold afterwards: of a file the bytes at
    its last fsync, of a folder the names at its last fsync. With `eager`, the names of files reached the disk earlier
    than they had to, while everything else did not: a disk writes in the order it likes.
    """

    def __init__(self, root: Path, *, at: int, error: int | None = None) -> None:
        self.root, self.at, self.error = root, at, error
        self.calls = 0
        self.hit = ""
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        self._folders: set[int] = set()
        self._held: list[int] = []
        self._real = {name: getattr(os, name) for name in CALLS}
        for folder, _, files in os.walk(root):  # what is there at the start is on the disk
            self._remember(os.open(folder, os.O_RDONLY))
            for file in files:
                self._remember(os.open(Path(folder, file), os.O_RDONLY))

    def __enter__(self) -> "FaultyDisk":
        for name in CALLS:
            setattr(os, name, self._wrapped(name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        for name, real in self._real.items():
            setattr(os, name, real)
        return kind is Killed

    def power_cut(self, target: Path, *, eager: bool) -> Path:
        """Builds in `target` what the disk holds after the power comes back."""
        self._rebuild(self.root.stat().st_ino, self.root, target, eager)
        return target

    def close(self) -> None:
        while self._held:
            os.close(self._held.pop())

    def _wrapped(self, name: str) -> Callable[..., object]:
        def call(*arguments: object, **keywords: object) -> object:
            self.calls += 1
            if self.calls == self.at:
                self.hit = name
                if self.error is not None:
                    raise OSError(self.error, os.strerror(self.error))
            if self.calls >= self.at and self.error is None:
                raise Killed
            result = self._real[name](*arguments, **keywords)
            if name == "fsync":
                self._remember(os.dup(int(str(arguments[0]))))
            return result

        return call

    def _remember(self, descriptor: int) -> None:
        # The descriptor stays open, so that the number of a removed file is not given to a new one.
        self._held.append(descriptor)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(descriptor) as entries:
                self._names[status.st_ino] = {entry.name: entry.inode() for entry in entries}
            self._folders.add(status.st_ino)
            with os.scandir(descriptor) as entries:
                self._folders |= {entry.inode() for entry in entries if entry.is_dir(follow_symlinks=False)}
        else:
            self._bytes[status.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def _rebuild(self, inode: int, live: Path, target: Path, eager: bool) -> None:
        target.mkdir()
        names = dict(self._names.get(inode, {}))
        if eager and live.is_dir() and live.stat().st_ino == inode:
            names |= {path.name: path.lstat().st_ino for path in live.iterdir() if not path.is_dir()}
        for name, child in names.items():
            if child in self._folders:
                self._rebuild(child, live / name, target / name, eager)
            else:
                (target / name).write_bytes(self._bytes.get(child, b""))


Prepare = Callable[[Path], None]


class Faults:
    """Runs an action again and again, each time on a fresh folder with a fault one system call later."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp_path = tmp_path

    def kills(self, prepare: Prepare, action: Callable[[Path], object]) -> Iterator[tuple[Path, str]]:
        """After a kill at every instant, and after the end: the folder as it is left, and as power cuts leave it."""
        for disk, error in self._runs(prepare, action, None):
            assert error is None, error
            instant = f"before {disk.hit} ({disk.at})" if disk.hit else "after the end"
            late = disk.power_cut(disk.root.with_suffix(".late"), eager=False)
            eager = disk.power_cut(disk.root.with_suffix(".eager"), eager=True)
            yield disk.root, f"kill {instant}"
            yield late, f"power cut {instant}"
            yield eager, f"power cut, eager disk, {instant}"

    def refusals(
        self, prepare: Prepare, action: Callable[[Path], object], error: int = errno.ENOSPC
    ) -> Iterator[tuple[Path, Exception | None, str]]:
        """After each system call in turn failed with `error`: the folder, and what `action` raised."""
        for disk, raised in self._runs(prepare, action, error):
            yield disk.root, raised, f"{disk.hit} ({disk.at})"

    def _runs(
        self, prepare: Prepare, action: Callable[[Path], object], number: int | None
    ) -> Iterator[tuple[FaultyDisk, Exception | None]]:
        at = 0
        while True:
            at += 1
            root = self._tmp_path / f"run-{at}"
            root.mkdir()
            prepare(root)
            disk = FaultyDisk(root, at=at, error=number)
            raised: Exception | None = None
            try:
                with disk:
                    try:
                        action(root)
                    except Exception as error:
                        raised = error
                yield disk, raised
                if not disk.hit:
                    assert at > 3, "the action makes hardly any system call: the fault never struck"
                    return
            finally:
                disk.close()


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path)
