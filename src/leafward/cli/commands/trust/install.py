"""`leafward trust install`: the root is trusted on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli.trust.command import change, changing_options
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.cli.trust.find import Wanted


@click.command("install")
@changing_options
def command(*, root_file: Path | None, wanted: "Wanted", dry_run: bool, yes: bool, home: Home, as_json: bool) -> int:
    """Puts the root into trust stores of this machine; where it is already, nothing is changed.

    Asks before it changes anything, says what it did and where, and looks afterwards whether it is trusted.
    """
    return change("install", root_file, home, wanted, dry_run=dry_run, yes=yes, as_json=as_json)
