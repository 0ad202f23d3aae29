"""What the `leafward ca log` commands do alike: open the log, show how far a long pass is."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli.ca_output import open_issuance
from leafward.cli.options import Command
from leafward.errors import NotFound
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.ledger import Ledger
    from leafward.store.issuance_log.log import IssuanceLog

NOT_AS_SIGNED = 1
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


def log_key_option(function: Command) -> Command:
    """`--key KEY|FILE`, or `--log-key`: the log's public key as its auditor knows it."""
    help_text = "The log's public key: the line that `leafward ca log key` prints, or its file."
    return click.option("--key", "--log-key", "log_key", metavar="KEY|FILE", help=help_text)(function)


def open_ledger(home: Home) -> "Ledger":
    """The ledger of a home. Raises `NotFound` where nothing was ever issued: nothing is made then."""
    issuance = open_issuance(home)
    if not issuance.has_issued:
        raise NotFound(f"no issuance log in {home.root}", hint='leafward ca init --cn "Example Root CA" begins it')
    return issuance.ledger


def open_log(home: Home) -> "IssuanceLog":
    """The log of a home. Raises as `open_ledger`."""
    return open_ledger(home).log


@contextlib.contextmanager
def progress_bar(what: str, *, quiet: bool) -> "Iterator[Callable[[int, int], None] | None]":
    """A bar on standard error, on a terminal only; its length is known with the first call."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=1, label=what, file=sys.stderr, show_pos=True) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        yield progress
