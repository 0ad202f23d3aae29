"""`leafward enrolment remove`."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import enrolment_argument, etag_option, group_option, opened
from leafward.cli.options import dry_run_option, home_option, yes_option
from leafward.store.home import Home


@click.command("remove")
@enrolment_argument
@group_option
@etag_option
@yes_option
@dry_run_option
@home_option
def command(enrolment_id: str, *, group: bool, etag: str | None, yes: bool, dry_run: bool, home: Home) -> None:
    """Forgets an enrolment. Devices that it has admitted stay registered (`leafward device remove`)."""
    with opened(home) as books:
        found = books.enrolments.get(enrolment_id, group=group)
        if dry_run:
            voice.say(f"would remove {found.label}")
            return
        if not yes:
            voice.agree(f"Remove {found.label}?")
        books.enrolments.remove(enrolment_id, group=group, etag=etag or found.etag)
    voice.say(f"removed {found.id}")
