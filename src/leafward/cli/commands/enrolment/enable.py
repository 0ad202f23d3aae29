"""`leafward enrolment enable`."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import enrolment_argument, group_option, opened
from leafward.cli.options import home_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("enable")
@enrolment_argument
@group_option
@home_option
def command(enrolment_id: str, group: bool, home: Home) -> None:
    """Admits by it again."""
    from leafward.provisioning.enrolling import fresh_etag

    with opened(home) as books:
        books.enrolments.set_enabled(enrolment_id, group=group, enabled=True, etag=fresh_etag(), now=system_clock())
    voice.say(f"enabled {enrolment_id}")
