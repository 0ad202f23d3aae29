"""What is done to a machine as values: a command, a file to write, a file to remove. Shown first, taken afterwards.

So `--dry-run` shows what would be done, and a test can read what would be done on a machine that it does not have.
"""

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from leafward import disk
from leafward.errors import NotFound, StoreError

# Generous: rebuilding the certificates of a slow gateway takes half a minute.
SECONDS = 300
_LONGEST_REASON = 300  # characters of what a failed command said


@dataclass(frozen=True)
class Run:
    """A command. `given` is its standard input; `environment` is added to ours and may hold a password."""

    argv: tuple[str, ...]
    given: bytes = field(default=b"", repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return shlex.join(self.argv) + (" < the root certificate" if self.given else "")


@dataclass(frozen=True)
class Write:
    """A file for everybody to read."""

    path: Path
    data: bytes = field(repr=False)

    def __str__(self) -> str:
        return f"write {self.path}"


@dataclass(frozen=True)
class Remove:
    """A file that is ours."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: bytes
    error: str


Step: TypeAlias = Run | Write | Remove
Ask: TypeAlias = Callable[[Run], Answer]


def ask_machine(run: Run) -> Answer:
    """Runs a command to its end. Raises `NotFound` where there is no such program, `StoreError` where it hangs."""
    try:
        # In plain English: what some of these tools print is read.
        environment = {**os.environ, "LC_ALL": "C", **run.environment}
        done = subprocess.run(
            run.argv, input=run.given, capture_output=True, timeout=SECONDS, env=environment, check=False
        )
    except FileNotFoundError as error:
        raise NotFound(f"there is no {run.argv[0]} on this machine", hint="install it, then try again") from error
    except OSError as error:
        raise StoreError(f"{run.argv[0]} cannot be started", why=error.strerror) from error
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"{run.argv[0]} did not end", why=f"waited {SECONDS} seconds") from error
    return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace"))


def take(step: Step, ask: Ask = ask_machine) -> None:
    """Does a step. Raises `StoreError` with what the command said."""
    if isinstance(step, Run):
        answer = ask(step)
        if answer.code != 0:
            raise StoreError(f"{step.argv[0]} failed", why=_reason(answer), hint=_hint())
        return
    try:
        if isinstance(step, Remove):
            disk.remove_file(step.path)
        else:
            disk.make_folder(step.path.parent, 0o755)
            disk.write_file(step.path, step.data, mode=disk.PUBLIC)
    except StoreError as error:
        raise StoreError(error.what, why=error.why, hint=_hint() or error.hint) from error


def _reason(answer: Answer) -> str:
    """The last line that it said; some tools complain on standard output."""
    said = answer.error.strip() or answer.out.decode(errors="replace").strip()
    return said.splitlines()[-1][:_LONGEST_REASON] if said else f"exit code {answer.code}"


def _hint() -> str | None:
    is_root = getattr(os, "geteuid", lambda: 0)() == 0
    return None if is_root else "the system's store is changed by root alone: sudo, with --root FILE"
