"""`leafward trust uninstall`: the root is trusted no longer."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli.trust.command import change, changing_options
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.cli.trust.find import Wanted


@click.command("uninstall")
@changing_options
def command(*, root_file: Path | None, wanted: "Wanted", dry_run: bool, yes: bool, home: Home, as_json: bool) -> int:
    """Takes the root out of trust stores: this certificate, by its fingerprint, where `install` put it.

    What somebody else put in, under another name, is left and told of.
    """
    return change("uninstall", root_file, home, wanted, dry_run=dry_run, yes=yes, as_json=as_json)
