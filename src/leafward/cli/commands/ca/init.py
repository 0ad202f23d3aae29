"""`leafward ca init`: makes a root CA."""

import click

from leafward.cli.ca_options import days_option, key_option, lifetime
from leafward.cli.ca_output import open_issuance, show_authority
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("init")
@click.option("--cn", required=True, metavar="NAME", help="Common name of the root.")
@key_option
@days_option
@home_option
@json_option
def command(cn: str, key: str, days: int | None, home: Home, as_json: bool) -> None:
    """Makes a root CA."""
    from leafward.pki.key_types import parse_key_type

    made = open_issuance(home).root(cn, parse_key_type(key), now=system_clock(), lifetime=lifetime(days))
    show_authority(made, as_json)
