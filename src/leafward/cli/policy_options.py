"""What the commands of shared access policies have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from leafward.errors import InputError, UsageError

Command = TypeVar("Command", bound=Callable[..., Any])


def policy_argument(command: Command) -> Command:
    """`NAME`: a policy's."""
    return click.argument("name", callback=_checked)(command)


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from leafward.wire.access_policy import parse_policy_name

    try:
        return parse_policy_name(value)
    except InputError as error:
        raise UsageError(error.what, why=error.why, hint=error.hint) from error
