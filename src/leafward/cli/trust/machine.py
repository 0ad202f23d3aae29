"""The machine whose stores are meant: what tells its system, its user's home, its programs. A value, so that a test can
be any machine."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leafward import disk
from leafward.errors import LeafwardError


@dataclass(frozen=True)
class Machine:
    """`platform` as `sys.platform` has it; `release` the fields of os-release; `tree` where the file system begins."""

    platform: str
    release: Mapping[str, str] = field(default_factory=dict)
    user_home: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    which: Callable[[str], str | None] = shutil.which
    tree: Path = Path("/")

    @classmethod
    def here(cls) -> "Machine":
        """This one."""
        return cls(sys.platform, _os_release(Path("/etc/os-release")), Path.home(), os.environ)

    @property
    def systems(self) -> list[str]:
        """The Linux distribution and those it is made of, nearest first."""
        return [name for name in (self.release.get("ID", ""), *self.release.get("ID_LIKE", "").split()) if name]


def _os_release(path: Path) -> dict[str, str]:
    """The fields of os-release (freedesktop.org); none where there is no such file."""
    try:
        text = disk.read_file(path).decode(errors="replace")
    except LeafwardError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs if value}
