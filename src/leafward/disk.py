"""Files that survive a power cut: write new, fsync, rename, fsync the folder.

The one room that `keys` and `store` share below them, so that a file is made durable in one way only. Modes are
explicit arguments; nothing depends on the umask.

Whatever changes the disk is called as `os.…` by its name at that instant (pathlib and shutil do so too). That is the
seam: `tests/faults` stands between, counts the steps, kills the process at each of them, and lets the disk refuse.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from leafward.errors import AlreadyExists, Damaged, NotFound, StoreError

PRIVATE = 0o600
PUBLIC = 0o644
PRIVATE_FOLDER = 0o700

# Larger than any certificate file we write; a bound so that a wrong path (a device, a core dump) is not read whole.
MAX_FILE_SIZE = 16 * 1024 * 1024


def make_folder(path: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Makes `path` and its parents, durable, each new one with `mode`. An existing folder is left as it is."""
    with told(f"cannot make the folder {path}"):
        missing = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            folder.mkdir(mode=mode, exist_ok=True)
            folder.chmod(mode)
            sync_folder(folder.parent)


def write_file(path: Path, data: bytes, *, mode: int) -> None:
    """Replaces `path` by `data` so that a reader, or the next start after a kill, finds the old bytes or the new.

    Raises `StoreError` naming the path when the disk refuses; no half-written file is left behind.
    """
    with told(f"cannot write {path}"):
        with _new_file(path, data, mode) as new:
            new.rename(path)
        sync_folder(path.parent)


def create_file(path: Path, data: bytes, *, mode: int) -> None:
    """Like `write_file`, but for a `path` that must not exist yet; of several at once, one succeeds.

    Raises `AlreadyExists`, and changes nothing, when something stands there. Needs a file system with hard links: a
    rename cannot refuse to replace. After a kill a file `.{name}.….new` may be left beside it (see `leftovers`).
    """
    with told(f"cannot write {path}"):
        try:
            with _new_file(path, data, mode) as new:
                os.link(new, path)
                new.unlink()
        except FileExistsError:
            raise AlreadyExists(f"{path} exists", why="it is never overwritten", hint="remove it first") from None
        sync_folder(path.parent)


def leftovers(path: Path) -> list[Path]:
    """The unfinished new versions of `path` that killed processes left behind."""
    return [other for other in path.parent.glob(".*.new") if other.name[: -len("01234567.new")] == f".{path.name}."]


@contextlib.contextmanager
def _new_file(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A file beside `path` that holds `data` durably, for the caller to put in place; gone when that fails."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        try:
            os.fchmod(descriptor, mode)
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield new
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            new.unlink(missing_ok=True)
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    """A disk that is nearly full takes a part, and says so only when asked for the rest."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_file(path: Path, *, limit: int = MAX_FILE_SIZE) -> bytes:
    """The bytes of `path`. Raises `NotFound` when it does not exist, `Damaged` when it is larger than `limit`."""
    with told(f"cannot read {path}"), path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Damaged(f"{path} is too large", why=f"got more than {limit} bytes", hint="restore it, or move it away")
    return data


def holds(path: Path, data: bytes) -> bool:
    """Whether `path` reads back as exactly `data`: what does not, for whatever reason, is to be written anew."""
    try:
        return read_file(path, limit=len(data)) == data
    except (NotFound, StoreError):
        return False


def remove_file(path: Path) -> None:
    """Removes `path`, durably; a file that is not there is no error."""
    with told(f"cannot remove {path}"):
        try:
            path.unlink()
        except FileNotFoundError:
            return
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes renames, creations and removals in a folder durable."""
    _sync(path, os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Makes what any process wrote into a file durable."""
    _sync(path, 0)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Turns an `OSError` into an error of ours that says what was tried, why it failed and what to do next."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(what, why="it does not exist", hint="check the path") from error
    except OSError as error:
        raise StoreError(what, why=os.strerror(error.errno or errno.EIO), hint=_HINTS.get(error.errno or 0)) from error


_HINTS = {
    errno.ENOSPC: "free some space on that disk, then try again",
    errno.EDQUOT: "raise the quota or free some space, then try again",
    errno.EACCES: "run as the user that owns it, or correct its permissions",
    errno.EPERM: "run as the user that owns it, or correct its permissions",
    errno.EROFS: "the disk is mounted read-only: look for disk errors in the system's log",
    errno.EIO: "the disk may be failing: look for disk errors in the system's log",
    errno.EISDIR: "a folder stands where a file belongs",
    errno.ENOTDIR: "a file stands where a folder belongs",
    errno.EEXIST: "something else stands there: move it away",
    errno.ELOOP: "a link stands there that leads nowhere: remove it",
}
