"""`leafward provisioning ca list`."""

from typing import cast

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import ca_facts, opened, say_ca
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("list")
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """The CAs that are registered, proved or not."""
    with opened(home) as books:
        found = books.cas.all()
    if as_json:
        voice.say_json(cast("list[object]", [ca_facts(ca) for ca in found]))
        return
    for ca in found:
        say_ca(ca, as_json=False)
    if not found:
        voice.hint("no CA yet: leafward provisioning ca add CERT")
