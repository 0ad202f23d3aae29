"""Stands between the package and the system: each change of the disk, each signature and each statement is a step.

    leafward.disk, pathlib, shutil ->  os.write, os.fsync, os.rename, …   -> here -> the system
    certificates, requests, lists  ->  before and after the signature     -> here
    SQLAlchemy                     ->  each statement, each commit        -> here (SQLite's own writes are its own)

A step happens before what it names. Only what lies in the home counts. `before` may raise an `OSError` (the disk
refuses) or end the process (the kill); `journal` hears what is done, for power cuts.
"""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography import x509

from leafward.manager import wipe, wipe_retirement
from leafward.pki.prepared import Prepared

Before = Callable[[str, Path], None]

# Calls whose first argument is a path, or a descriptor.
ONE_PATH = ("unlink", "remove", "mkdir", "rmdir", "chmod", "truncate")
TWO_PATHS = ("rename", "replace", "link", "symlink")
DESCRIPTOR = ("fsync", "fdatasync", "ftruncate", "fchmod")
WRITES = ("write", "pwrite")
SIGNERS = (
    (Prepared, "sign"),
    (x509.CertificateSigningRequestBuilder, "sign"),
    (wipe_retirement, "issue_crl"),
    (wipe, "sign_receipt"),
)
_MAKES = os.O_CREAT | os.O_TRUNC


class Journal:
    """Hears what is about to be done, and of each flush. This one forgets it."""

    def changes(self, name: str, path: Path, other: Path | None, descriptor: int | None) -> None:
        """Before a change of `path` (to `other`), or of what `descriptor` is open on."""

    def flushed(self, path: Path, descriptor: int) -> None:
        """After an fsync."""


class Seam:
    """Put in place by `with`; what it counts goes to `before`."""

    def __init__(self, home: Path, before: Before, journal: Journal | None = None, *, reads: bool = False) -> None:
        self._home = str(home)
        self._before = before
        self._journal = journal or Journal()
        self._reads = reads
        self._replaced: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> "Seam":
        for name in (*ONE_PATH, *TWO_PATHS):
            self._replace(os, name, self._by_path(name))
        for name in DESCRIPTOR:
            self._replace(os, name, self._by_descriptor(name))
        for name in WRITES:
            self._replace(os, name, self._writing(name))
        self._replace(os, "open", self._opening(os.open))
        self._replace(io, "open", self._opening_a_stream(io.open))
        for kind, name in SIGNERS:
            self._replace(kind, name, self._signing(getattr(kind, name)))
        sa.event.listen(sa.Engine, "before_cursor_execute", self._statement)
        sa.event.listen(sa.Engine, "commit", self._commit)
        return self

    def __exit__(self, *_: object) -> None:
        """The system's own functions are back."""
        while self._replaced:
            setattr(*self._replaced.pop())
        for name, function in (("before_cursor_execute", self._statement), ("commit", self._commit)):
            if sa.event.contains(sa.Engine, name, function):
                sa.event.remove(sa.Engine, name, function)

    def _replace(self, owner: Any, name: str, instead: Any) -> None:
        self._replaced.append((owner, name, getattr(owner, name)))
        setattr(owner, name, instead)

    def _ours(self, path: Path) -> bool:
        return str(path).startswith(self._home)

    def _by_path(self, name: str) -> Any:
        real = getattr(os, name)

        def instead(*arguments: Any, **options: Any) -> Any:
            path = _whole(arguments[0], options.get("dir_fd"))
            other = _whole(arguments[1], None) if name in TWO_PATHS else None
            if self._ours(other or path):
                self._before(name, other or path)
                self._journal.changes(name, path, other, None)
            return real(*arguments, **options)

        return instead

    def _by_descriptor(self, name: str) -> Any:
        real = getattr(os, name)

        def instead(descriptor: int, *arguments: Any) -> Any:
            path = _open_on(descriptor)
            if not self._ours(path):
                return real(descriptor, *arguments)
            self._before(name, path)
            if "sync" in name:
                done = real(descriptor)
                self._journal.flushed(path, descriptor)
                return done
            self._journal.changes(name, path, None, descriptor)
            return real(descriptor, *arguments)

        return instead

    def _writing(self, name: str) -> Any:
        """A write is two steps: before it, and with the first half of it done."""
        real = getattr(os, name)

        def instead(descriptor: int, data: Any, *place: int) -> int:
            path = _open_on(descriptor)
            if not self._ours(path):
                return int(real(descriptor, data, *place))
            self._before(name, path)
            self._journal.changes(name, path, None, descriptor)
            half = len(data) // 2
            if half == 0:
                return int(real(descriptor, data, *place))
            done = int(real(descriptor, data[:half], *place))
            self._before(f"{name}, half of it", path)
            return done + int(real(descriptor, data[done:], *(at + done for at in place)))

        return instead

    def _opening(self, real: Any) -> Any:
        def instead(path: Any, flags: int, *mode: int, **options: Any) -> int:
            whole = _whole(path, options.get("dir_fd"))
            if self._ours(whole):
                if flags & os.O_TRUNC or (flags & os.O_CREAT and not os.path.lexists(whole)):
                    self._before("open", whole)
                    self._journal.changes("open", whole, None, None)
                elif self._reads and not flags & os.O_DIRECTORY:
                    self._before("read", whole)
            return int(real(path, flags, *mode, **options))

        return instead

    def _opening_a_stream(self, real: Any) -> Any:
        def instead(path: Any, *arguments: Any, **options: Any) -> Any:
            if not isinstance(path, int) and self._ours(whole := _whole(path, None)):
                mode = str(arguments[0] if arguments else options.get("mode", "r"))
                # Such a file is not flushed by anybody.
                assert not set(mode) & set("wax+"), f"{whole} is not written by leafward.disk"
                if self._reads:
                    self._before("read", whole)
            return real(path, *arguments, **options)

        return instead

    def _signing(self, real: Any) -> Any:
        def instead(*arguments: Any, **options: Any) -> Any:
            self._before("sign", Path(self._home))
            signed = real(*arguments, **options)
            self._before("signed", Path(self._home))
            return signed

        return instead

    def _statement(self, connection: Any, _cursor: Any, _statement: str, *_: Any) -> None:
        self._before("statement", Path(connection.engine.url.database))

    def _commit(self, connection: Any) -> None:
        self._before("commit", Path(connection.engine.url.database))


def _whole(path: Any, folder: int | None) -> Path:
    if isinstance(path, int):
        return _open_on(path)
    text = os.fsdecode(path)
    return Path(text) if folder is None or text.startswith("/") else _open_on(folder) / text


def _open_on(descriptor: int) -> Path:
    try:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 - Path.readlink is no cheaper
    except OSError:
        return Path("/")
