"""`--verbose` and `--log-format`: how a part that runs says what it does."""

import logging
from typing import cast

import click

from leafward.cli.log_format import FORMATS, LogFormat
from leafward.cli.options import Command
from leafward.store.home import Home


def log_options(command: Command) -> Command:
    """`--verbose` and `--log-format`; the command gets `verbose` and `log_format`."""
    command = click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        help="How log lines look; default: manager.log in leafward.toml, else text.",
    )(command)
    return click.option("--verbose", "-v", is_flag=True, help="Log what it does.")(command)


def log_level(verbose: bool) -> int:
    """`--verbose` as a level of `logging`."""
    return logging.INFO if verbose else logging.WARNING


def chosen_format(home: Home, asked: str | None) -> LogFormat:
    """The format asked for, else that of the settings, for all parts of a home alike.

    A settings file that cannot be read is told of by the part, which reads all of it.
    """
    from leafward.errors import LeafwardError
    from leafward.store.settings_file import read_tables

    if asked is not None:
        return cast("LogFormat", asked)
    try:
        table = read_tables(home.settings).get("manager")
    except LeafwardError:
        return "text"
    return "json" if isinstance(table, dict) and table.get("log") == "json" else "text"
