"""Secrets in files: read only when they are a regular file that is its owner's alone."""

import os
import stat
from pathlib import Path

from leafward.disk import MAX_FILE_SIZE, told
from leafward.errors import KeyUnavailable, StoreError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_private(path: Path, what: str) -> bytes:
    """The bytes of `path`: of the very file that was looked at, not of its name. `what` names it in errors: "the key".

    Raises `NotFound` when there is none, `KeyUnavailable` when it is no regular file, when group or others may access
    it, or when the system refuses.
    """
    try:
        with told(f"cannot read {what} {path}"):
            # O_NONBLOCK: a pipe under that name must not hang us before we can refuse it.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                _refuse_unfit(path, what, os.fstat(descriptor).st_mode)
                with open(descriptor, "rb", closefd=False) as file:
                    return file.read(MAX_FILE_SIZE)
            finally:
                os.close(descriptor)
    except StoreError as error:
        raise KeyUnavailable(error.what, why=error.why, hint=error.hint) from error


def _refuse_unfit(path: Path, what: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise KeyUnavailable(f"{what} {path} is no file", hint=f"name the file that holds {what}")
    if mode & _OTHERS:
        raise KeyUnavailable(
            f"{what} {path} is too open",
            why=f"got mode {stat.S_IMODE(mode):04o}, expected 0600: others could have read it",
            hint=f"chmod 600 {path}, and choose a new one if others are on this machine",
        )
