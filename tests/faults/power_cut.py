"""What a power cut takes: bytes that no fsync made durable, names in a folder that no fsync made durable.

    written, not flushed          the file is as at its last flush: empty, or, on some file systems, so many zeros
    named, folder not flushed     each folder by itself keeps its newest names, or falls back to those of its last flush

SQLite flushes its files itself, out of our sight: they are left as they are.
"""

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tests.faults.seam import Journal

Cut = Literal["bytes", "zeros", "names", "some names"]
CUTS: tuple[Cut, ...] = ("names", "bytes", "some names", "zeros")


class Unflushed(Journal):
    """Keeps what a power cut would bring back. `aside` is a folder on the same file system, outside of the home."""

    def __init__(self, home: Path, aside: Path) -> None:
        self._home = home
        self._aside = aside
        self._kept = 0
        self._names: list[tuple[Path, Callable[[], None]]] = []
        self._bytes: dict[int, bytes] = {}
        self._made: set[Path] = set()
        # The system's own, whoever stands between meanwhile.
        self._link, self._unlink, self._rename, self._mkdir = os.link, os.unlink, os.rename, os.mkdir
        aside.mkdir()

    def changes(self, name: str, path: Path, other: Path | None, descriptor: int | None) -> None:
        match name:
            case "write" | "pwrite" | "ftruncate" if descriptor is not None:
                self._will_be_written(Path(f"/proc/self/fd/{descriptor}"))
            case "open" if os.path.lexists(path):
                self._will_be_written(path)
            case "open":
                # Known by its name until its first write: it has no inode yet.
                self._names.append((path.parent, lambda: self._unlink(path)))
            case "mkdir":
                self._names.append((path.parent, lambda: shutil.rmtree(path)))
            case "rmdir":
                self._names.append((path.parent, lambda: self._mkdir(path, 0o700)))
            case "unlink" | "remove":
                self._names.append((path.parent, self._bring_back(path)))
            case "link" if other is not None:
                self._names.append((other.parent, lambda: self._unlink(other)))
            case "rename" | "replace" if other is not None:
                self._will_be_renamed(path, other)

    def flushed(self, path: Path, descriptor: int) -> None:
        if path.is_dir():
            self._names = [(folder, undo) for folder, undo in self._names if folder != path]
        else:
            self._bytes.pop(os.fstat(descriptor).st_ino, None)

    def cut(self, kind: Cut, seed: int) -> None:
        """Makes the disk what it is after a power cut at this instant."""
        if kind in ("names", "some names"):
            chance = random.Random(seed)
            lost = {folder: kind == "names" or chance.random() < 0.5 for folder, _ in self._names}
            for folder, undo in reversed(self._names):
                if lost[folder]:
                    with contextlib.suppress(FileNotFoundError):  # its folder is durably gone
                        undo()
        for path in (*self._home.rglob("*"), *self._aside.iterdir()):
            if path.is_file() and (before := self._bytes.get(path.stat().st_ino)) is not None:
                now = path.read_bytes()
                path.write_bytes(before + bytes(len(now) - len(before)) if kind == "zeros" else before)

    def _will_be_written(self, path: Path) -> None:
        if (number := path.stat().st_ino) not in self._bytes:
            self._bytes[number] = path.read_bytes()

    def _will_be_renamed(self, path: Path, other: Path) -> None:
        back = self._bring_back(other) if other.is_file() else None

        def undo() -> None:
            self._rename(other, path)
            if back is not None:
                back()

        self._names.append((other.parent, undo))

    def _bring_back(self, path: Path) -> Callable[[], None]:
        self._kept += 1
        kept = self._aside / str(self._kept)
        self._link(path, kept, follow_symlinks=False)
        return lambda: self._link(kept, path)
