"""Writes the units where systemd finds them, and takes them away again. A file that somebody changed is left alone.

Each file begins with a line that holds the digest of the rest. So the file itself says whether it is as it was
written: what a person changed differs from its digest, or has none, and nobody needs a list of what was installed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from leafward import disk
from leafward.errors import AlreadyExists, NotFound

Action = Literal["written", "updated", "unchanged", "replaced", "removed", "absent"]

_MARK = "# Made by leafward manager install; to change it, use a drop-in. Digest of what follows: "
_FOLDER_MODE = 0o755


@dataclass(frozen=True)
class Step:
    """What is done with one file."""

    path: Path
    action: Action


def marked(text: str) -> bytes:
    """The text as it is written: its digest first."""
    return f"{_MARK}{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode()


def is_as_written(data: bytes) -> bool:
    """Whether a file is as some version of leafward wrote it."""
    first, _, rest = data.partition(b"\n")
    return first == f"{_MARK}{hashlib.sha256(rest).hexdigest()}".encode()


def install(root: Path, texts: Mapping[Path, str], *, force: bool, dry_run: bool) -> list[Step]:
    """Writes the files below `root`. All or none: raises `AlreadyExists`, before anything is written, that names every
    file which somebody changed, unless `force` is given. With `dry_run` nothing is written.
    """
    steps = [_install_step(root / path, marked(text)) for path, text in texts.items()]
    _refuse_changed([step.path for step in steps if step.action == "replaced"], force=force)
    if not dry_run:
        for (path, text), step in zip(texts.items(), steps, strict=True):
            if step.action != "unchanged":
                disk.make_folder((root / path).parent, _FOLDER_MODE)
                disk.write_file(root / path, marked(text), mode=disk.PUBLIC)
    return steps


def uninstall(root: Path, paths: list[Path], *, force: bool, dry_run: bool) -> list[Step]:
    """Removes the files, and the drop-in folders that are empty then. Raises as `install` does."""
    found = {root / path: _read(root / path) for path in paths}
    _refuse_changed([path for path, data in found.items() if data and not is_as_written(data)], force=force)
    if not dry_run:
        for path in (path for path, data in found.items() if data is not None):
            disk.remove_file(path)
            if (
                path.parent.name.endswith(".d")
                and path.parent.parent.name == "system"
                and not any(path.parent.iterdir())
            ):
                path.parent.rmdir()
    return [Step(path, "absent" if data is None else "removed") for path, data in found.items()]


def _install_step(path: Path, wanted: bytes) -> Step:
    found = _read(path)
    if found is None:
        return Step(path, "written")
    if found == wanted:
        return Step(path, "unchanged")
    return Step(path, "updated" if is_as_written(found) else "replaced")


def _read(path: Path) -> bytes | None:
    try:
        return disk.read_file(path)
    except NotFound:
        return None


def _refuse_changed(paths: list[Path], *, force: bool) -> None:
    if paths and not force:
        raise AlreadyExists(
            "files that somebody changed are not overwritten",
            why=", ".join(map(str, paths)),
            hint="move the changes to a drop-in (systemctl edit UNIT), or give --force to lose them",
        )
