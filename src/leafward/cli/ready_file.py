"""`run/ready.json`: there while every listener answers, and taken away by the very `up` that wrote it.

A home may be deleted and made anew under a running edge; the old one must not take the new one's file along.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import LeafwardError


class ReadyFile:
    """The file of one `up`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written: tuple[int, int] | None = None

    def remove_old(self) -> None:
        """Takes away what a killed `up` left. The caller holds the home's lock."""
        self._path.unlink(missing_ok=True)

    def write(self, facts: dict[str, Any]) -> None:
        """Says that all is ready, as one JSON object."""
        disk.write_file(self._path, json.dumps(facts).encode(), mode=disk.PUBLIC)
        self._written = _identity(self._path)

    def remove(self) -> None:
        """Takes the file away if it is ours."""
        if self._written is not None and _identity(self._path) == self._written:
            self._path.unlink(missing_ok=True)

    def remove_if_ours(self) -> None:
        """For a part that outlives its `up`: takes the file away where it names this very process."""
        with contextlib.suppress(LeafwardError, ValueError, KeyError, AttributeError):
            if os.getpid() in json.loads(disk.read_file(self._path))["pids"].values():
                self._path.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
