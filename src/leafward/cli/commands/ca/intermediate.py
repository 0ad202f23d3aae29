"""`leafward ca intermediate`: makes an intermediate CA."""

import click

from leafward.cli.ca_options import days_option, issuer_option, key_option, lifetime
from leafward.cli.ca_output import open_issuance, show_authority
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("intermediate")
@click.argument("name")
@issuer_option
@click.option("--intermediates-below", type=click.IntRange(0, 8), default=0, show_default=True)
@key_option
@days_option
@home_option
@json_option
def command(
    name: str,
    *,
    issuer: str | None,
    intermediates_below: int,
    key: str,
    days: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Makes an intermediate CA under a root or another intermediate."""
    from leafward.pki.key_types import parse_key_type

    issuance = open_issuance(home)
    made = issuance.intermediate(
        name,
        parse_key_type(key),
        now=system_clock(),
        issuer=issuance.authorities.get(issuer) if issuer else None,
        intermediates_below=intermediates_below,
        lifetime=lifetime(days),
    )
    show_authority(made, as_json)
