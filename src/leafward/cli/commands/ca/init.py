"""`leafward ca init`: makes a root CA."""

from pathlib import Path

import click

from leafward.cli.ca_limits import asked_lifetime, forever_option
from leafward.cli.ca_options import days_option, encrypt_options, key_at_option, key_option, proof_option
from leafward.cli.ca_output import open_issuance, proved, show_authority
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home


@click.command("init")
@click.option("--cn", required=True, metavar="NAME", help="Common name of the root.")
@key_option
@key_at_option
@encrypt_options
@days_option
@forever_option
@proof_option
@home_option
@json_option
def command(
    *,
    cn: str,
    key: str,
    key_at: KeyReference | None,
    days: int | None,
    forever: bool,
    proof: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Makes a root CA."""
    from leafward.pki.key_types import parse_key_type

    lifetime, issuance = asked_lifetime(days, forever), open_issuance(home)
    made = issuance.root(cn, parse_key_type(key), now=system_clock(), lifetime=lifetime, at=key_at)
    show_authority(made, as_json, **proved(issuance, made.chain, proof))
