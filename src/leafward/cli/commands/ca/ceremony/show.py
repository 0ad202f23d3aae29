"""`leafward ca ceremony show`: offline, shows in full what would be signed."""

from pathlib import Path

import click

from leafward.cli.ca_ceremony import STICK, plan_of, show_plan
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("show")
@click.argument("stick", type=STICK)
@click.option("--issuer", metavar="NAME", help="Which CA is to sign; default: the only one.")
@passphrase_option
@home_option
@json_option
def command(stick: Path, *, issuer: str | None, home: Home, as_json: bool) -> None:
    """Offline: shows in full what would be signed, and the digest to compare with the paper. Signs nothing."""
    show_plan(plan_of(open_issuance(home), stick, issuer), as_json)
