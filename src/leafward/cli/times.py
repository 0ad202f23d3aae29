"""Times on the command line: RFC 3339, and nothing that only looks like it."""

import re
from datetime import datetime

import click

from leafward.errors import InputError, UsageError

# RFC 3339 section 5.6; `fromisoformat` takes more than that.
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def parse_time(text: str) -> datetime:
    """An aware time. Raises `InputError`.

    >>> parse_time("2030-01-01T00:00:00Z").isoformat()
    '2030-01-01T00:00:00+00:00'
    """
    try:
        if not _RFC3339.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise InputError(f"{text!r} is no time", why="expected RFC 3339, as 2030-01-01T00:00:00Z") from error


def checked_time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """A callback that lets a time through as it was written. Raises `UsageError`."""
    try:
        if value is not None:
            parse_time(value)
    except InputError as error:
        raise UsageError(error.what, why=error.why) from error
    return value
