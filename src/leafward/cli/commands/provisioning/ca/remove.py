"""`leafward provisioning ca remove`."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import opened
from leafward.cli.options import dry_run_option, home_option, yes_option
from leafward.store.home import Home


@click.command("remove")
@click.argument("name")
@yes_option
@dry_run_option
@home_option
def command(name: str, yes: bool, dry_run: bool, home: Home) -> None:
    """Forgets a CA: it admits nobody any more. Devices that it has admitted stay registered."""
    with opened(home) as books:
        ca = books.cas.get(name)
        if dry_run:
            voice.say(f"would remove the CA {ca.name}")
            return
        if not yes:
            voice.agree(f"Remove the CA {ca.name!r}?")
        books.cas.remove(ca.name, etag=ca.etag)
    voice.say(f"removed the CA {ca.name}")
