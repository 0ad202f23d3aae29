"""`certGen.sh`: what a script calls that called the convenience script; the same as `leafward certgen`.

Reached by a link in the folder where the script was, it works in that folder, as the script did; else where it is
called.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from leafward.cli.main import main as leafward


def main() -> NoReturn:
    """Runs the command and exits."""
    leafward(["certgen", *_folder(Path(sys.argv[0])), *sys.argv[1:]])


def _folder(called: Path) -> list[str]:
    """A link that was found on the PATH, as some installers make them, says nothing about a folder."""
    on_path = {Path(folder).resolve() for folder in os.environ.get("PATH", "").split(os.pathsep) if folder}
    linked = called.is_symlink() and called.parent.resolve() not in on_path
    return ["--dir", str(called.parent)] if linked else []
