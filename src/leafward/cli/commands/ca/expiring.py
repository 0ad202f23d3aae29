"""`leafward ca expiring`: what ends soon."""

from datetime import timedelta

import click

from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("expiring")
@click.option("--days", type=click.IntRange(0, 36500), default=30, show_default=True, help="Within so many days.")
@click.option("--kind", metavar="KIND", help="Of this kind only: device_ca, leaf_device, …")
@home_option
@json_option
def command(days: int, kind: str | None, home: Home, as_json: bool) -> None:
    """The living certificates that end within some days, those that end first first."""
    from leafward.cli.ca_inventory import pages, show_found
    from leafward.store.inventory import Status

    before = system_clock() + timedelta(days=days)
    show_found(pages(open_issuance(home), kind=kind, status=Status.VALID, expiring_before=before), as_json)
