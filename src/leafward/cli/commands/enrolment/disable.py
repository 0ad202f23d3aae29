"""`leafward enrolment disable`."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import enrolment_argument, group_option, opened
from leafward.cli.options import home_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("disable")
@enrolment_argument
@group_option
@home_option
def command(enrolment_id: str, group: bool, home: Home) -> None:
    """Admits nobody by it any more; devices that it has admitted stay registered (`leafward device disable`)."""
    from leafward.provisioning.enrolling import fresh_etag

    with opened(home) as books:
        books.enrolments.set_enabled(enrolment_id, group=group, enabled=False, etag=fresh_etag(), now=system_clock())
    voice.say(f"disabled {enrolment_id}")
