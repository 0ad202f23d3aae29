"""Reading what a person named, within bounds: a file of a gigabyte, a pipe that never ends or a device costs little.

Nothing is written, and nothing is opened that could block: a pipe (`<(command)` in a shell) has a few seconds.
"""

import os
import select
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAX_BYTES = 4 * 1024 * 1024  # a system's trust bundle has 250 KiB
MAX_FILES = 100  # of a folder
MAX_FOLDER_BYTES = 8 * MAX_BYTES
PIPE_SECONDS = 10.0
_CHUNK = 64 * 1024

# What a folder is searched for; the rest of it (logs, settings, databases) is left alone.
SUFFIXES = frozenset(
    {".pem", ".crt", ".cer", ".cert", ".der", ".key", ".p12", ".pfx", ".p7b", ".p7c", ".crl", ".csr", ".req"}
)


@dataclass(frozen=True, slots=True)
class FileRead:
    """A file as read. `data` is None where it could not be, and `why` says why; `missing`: there is nothing there.

    `mode` are the permission bits of a regular file, else None.
    """

    path: Path
    data: bytes | None = field(default=None, repr=False)
    mode: int | None = None
    why: str = ""
    missing: bool = False


def read(path: Path) -> FileRead:
    """One file, no more than `MAX_BYTES` of it. Never raises for what stands there, or does not."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if stat.S_ISREG(found.st_mode):
                return _read_regular(path, descriptor, found)
            if stat.S_ISFIFO(found.st_mode):
                return _read_pipe(path, descriptor)
            return FileRead(path, why=f"it is {_kind(found.st_mode)}, not a file")
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        return FileRead(path, why="nothing is there", missing=True)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        return FileRead(path, why=(getattr(error, "strerror", None) or str(error)).lower())


def _read_regular(path: Path, descriptor: int, found: os.stat_result) -> FileRead:
    if found.st_size > MAX_BYTES:
        return FileRead(path, why=_too_large(f"{found.st_size} bytes"))
    # Some files of /proc and the like say 0 and hold more.
    return _checked(path, _chunks(descriptor), stat.S_IMODE(found.st_mode))


def _read_pipe(path: Path, descriptor: int) -> FileRead:
    deadline = time.monotonic() + PIPE_SECONDS
    return _checked(path, _chunks(descriptor, deadline), None)


def _checked(path: Path, chunks: Iterator[bytes | None], mode: int | None) -> FileRead:
    data = bytearray()
    for chunk in chunks:
        if chunk is None:
            return FileRead(path, why=f"nothing came for {PIPE_SECONDS:.0f} s")
        data += chunk
        if len(data) > MAX_BYTES:
            return FileRead(path, why=_too_large("more"))
    return FileRead(path, bytes(data), mode)


def _chunks(descriptor: int, deadline: float | None = None) -> Iterator[bytes | None]:
    """The bytes as they come; None where they do not come in time."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while True:
        if deadline is not None and not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            yield None
            return
        chunk = os.read(descriptor, _CHUNK)
        if not chunk:
            return
        yield chunk


def _too_large(got: str) -> str:
    return f"it is too large to be looked at: got {got}, expected at most {MAX_BYTES}"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def files_of(folder: Path) -> list[Path]:
    """The files of a folder that by their names may hold what is looked for, sorted, no more than `MAX_FILES`.

    Raises `OSError` where it cannot be listed.
    """
    found: list[Path] = []
    with os.scandir(folder) as entries:
        for seen, entry in enumerate(entries):
            if seen > MAX_FILES * MAX_FILES or len(found) >= MAX_FILES:
                break
            if Path(entry.name).suffix.lower() in SUFFIXES and not entry.is_dir():
                found.append(Path(entry.path))
    return sorted(found)
