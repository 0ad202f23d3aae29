"""`leafward ca show`: one authority and its chain."""

import click

from leafward.cli.ca_output import open_issuance, show_authority
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("show")
@click.argument("name")
@home_option
@json_option
def command(name: str, home: Home, as_json: bool) -> None:
    """One authority and its chain: by name, common name or the beginning of its fingerprint."""
    show_authority(open_issuance(home).authorities.get(name), as_json)
