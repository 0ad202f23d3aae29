"""The four voices of the command line, and the rules they keep.

    say    what was asked for, on standard output; nothing else ever goes there
    warn   it worked, and something needs a look, on standard error
    fail   it did not work: what happened and why, on standard error, once
    hint   what to do next, under a `fail` or a `warn`

Sentences start in lower case, as they follow "leafward:", and end without a full stop. Colour only on a terminal.
"""

import json
import sys
from collections.abc import Mapping

import click

from leafward.errors import LeafwardError


def say(text: str = "") -> None:
    """What was asked for."""
    click.echo(text)


def say_json(value: Mapping[str, object] | list[object]) -> None:
    """One JSON value on one line, flushed, so that a program reading a pipe sees it at once."""
    click.echo(json.dumps(value, ensure_ascii=False))
    sys.stdout.flush()


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
