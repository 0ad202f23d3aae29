"""`leafward provisioning registrations`: what an enrolment has admitted."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import group_option, opened
from leafward.cli.options import home_option, json_option
from leafward.errors import NotFound
from leafward.store.home import Home


@click.command("registrations")
@click.argument("enrolment_id", metavar="ID")
@group_option
@home_option
@json_option
def command(enrolment_id: str, group: bool, home: Home, as_json: bool) -> None:
    """The devices that a group has admitted, or with an individual enrolment's ID that one; one a line.

    \b
    Examples:
      leafward provisioning registrations line-3 --group --json
      leafward provisioning registrations pump-7
    """
    from leafward.provisioning.registrations import state_of

    with opened(home) as books:
        after, any_found = "", False
        while rows := books.registrations.of_enrolment(enrolment_id, group=group, after=after, limit=1000):
            after, any_found = rows[-1].registration_id, True
            for row in rows:
                if as_json:
                    voice.say_json(state_of(row).fields())
                else:
                    voice.say(f"{row.device_id:<24}  {row.hub:<24}  {row.status:<9}  {row.updated:%Y-%m-%dT%H:%M:%SZ}")
    if not any_found and not as_json:
        raise NotFound(f"{enrolment_id!r} has admitted nobody", hint="leafward enrolment list")
