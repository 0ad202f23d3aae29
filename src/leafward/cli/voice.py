"""The four voices of the command line, and the rules they keep.

    say    what was asked for, on standard output; nothing else ever goes there
    warn   it worked, and something needs a look, on standard error
    fail   it did not work: what happened and why, on standard error, once
    hint   what to do next, under a `fail` or a `warn`

Sentences start in lower case, as they follow "leafward:", and end without a full stop. Colour only on a terminal.
"""

import json
import os
import sys
from collections.abc import Mapping

import click

from leafward.errors import LeafwardError, StoreError

NOT_AGREED = 1


class ReaderGone(Exception):
    """Whoever read our standard output has gone (`leafward messages | head`), as is its right."""


def say(text: str = "") -> None:
    """What was asked for. Raises `ReaderGone` when nobody reads it any more."""
    if sys.stdout is None or sys.stdout.closed:
        raise ReaderGone
    try:
        click.echo(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        # The interpreter flushes once more at exit, and would complain of the same pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ReaderGone from error
    except OSError as error:
        raise StoreError("cannot write to standard output", why=error.strerror, hint="free some space") from error


def say_json(value: Mapping[str, object] | list[object]) -> None:
    """One JSON value on one line of ASCII, at once: no reader has to guess an encoding or where a line ends."""
    say(json.dumps(value))


def say_removed(name: str, facts: Mapping[str, object], *, dry_run: bool, as_json: bool) -> None:
    """What a command that destroys has done, or with `dry_run` would do. `facts` names it for programs."""
    if as_json:
        say_json({**facts, "removed": not dry_run})
    else:
        say(f"would remove {name}" if dry_run else f"removed {name}")


def agree(question: str) -> None:
    """Asks on standard error before something is destroyed. Exits with 1 unless the answer is yes."""
    try:
        if click.confirm(question, err=True):
            return
    except click.Abort:
        click.echo(err=True)
    click.echo("leafward: nothing was changed", err=True)
    raise click.exceptions.Exit(NOT_AGREED)


def warn(text: str) -> None:
    """It worked, and something needs a look."""
    click.echo(f"{click.style('leafward:', fg='yellow')} warning: {text}", err=True)


def fail(error: LeafwardError) -> None:
    """It did not work: what happened, why, and what to do next."""
    click.echo(f"{click.style('leafward:', fg='red', bold=True)} {error}", err=True)
    if error.hint:
        hint(error.hint)


def hint(text: str) -> None:
    """What to do next."""
    click.echo(f"  {click.style('next:', fg='cyan')} {text}", err=True)
