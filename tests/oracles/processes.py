"""Judges that are a process a chain: a few at a time, each with its own files."""

import os
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.oracles.case import Case

Judge = Callable[[Case], str]


def ask_each(cases: Sequence[Case], judge: Judge) -> list[str]:
    """The verdicts, in order."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(judge, cases))


def run(command: Sequence[str]) -> tuple[int, str]:
    """(exit code, everything said) of a command."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
    return done.returncode, done.stdout
