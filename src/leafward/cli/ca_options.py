"""The options that the `leafward ca` commands share."""

from datetime import timedelta
from pathlib import Path

import click

from leafward.cli.options import Command


def key_option(function: Command) -> Command:
    """`--key`: the kind of a new key."""
    return click.option("--key", default="ec-p256", show_default=True, metavar="TYPE", help="Kind of the new key.")(
        function
    )


def days_option(function: Command) -> Command:
    """`--days`: the lifetime; the issuer's own end caps it."""
    return click.option("--days", type=click.IntRange(1), help="Lifetime; default: the profile's.")(function)


def issuer_option(function: Command) -> Command:
    """`--issuer`: which authority signs."""
    return click.option("--issuer", metavar="NAME", help="Which authority signs; default: the last of the chain.")(
        function
    )


def csr_option(function: Command) -> Command:
    """`--csr`: a request made where the key is."""
    help_text = "Request made on the device; else the key is made here."
    return click.option("--csr", type=click.Path(path_type=Path), help=help_text)(function)


def out_option(function: Command) -> Command:
    """`--out`: where the files go."""
    help_text = "Folder for the files; default: ./NAME"
    return click.option("--out", type=click.Path(file_okay=False, path_type=Path), help=help_text)(function)


def lifetime(days: int | None) -> timedelta | None:
    """`--days` as a lifetime; None: the profile's."""
    return timedelta(days=days) if days is not None else None
