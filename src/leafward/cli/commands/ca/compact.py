"""`leafward ca compact`: gives back the room of expired certificates."""

from datetime import timedelta

import click

from leafward.cli import voice
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("compact")
@click.option("--days", type=click.IntRange(0), default=90, show_default=True, help="Expired for so many days.")
@click.option("--dry-run", is_flag=True, help="Only say what would be dropped.")
@yes_option
@home_option
@json_option
def command(days: int, *, dry_run: bool, yes: bool, home: Home, as_json: bool) -> None:
    """Drops the bytes of certificates that expired long ago. Their facts, and the log's proof of them, stay."""
    inventory = open_issuance(home).ledger.inventory
    before = system_clock() - timedelta(days=days)
    found = inventory.compact(before, dry_run=True)
    if not dry_run and found.certificates:
        if not yes:
            click.confirm(f"Drop {found.certificates} certificates that expired before {before:%Y-%m-%d}?", abort=True)
        found = inventory.compact(before)
    if as_json:
        voice.say_json({"certificates": found.certificates, "octets": found.octets, "dry_run": dry_run})
    else:
        voice.say(f"{'would drop' if dry_run else 'dropped'} {found.certificates} certificates, {found.octets} octets")
