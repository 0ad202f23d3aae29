"""`leafward enrolment list`."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import group_option, opened
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("list")
@group_option
@home_option
@json_option
def command(group: bool, home: Home, as_json: bool) -> None:
    """The individual enrolments, or with --group the groups; with --json one object a line, without keys."""
    from leafward.provisioning.enrolment_json import attestation_body, enrolment_body

    found = False
    with opened(home) as books:
        for enrolment in books.enrolments.all(group=group):
            found = True
            if as_json:
                voice.say_json(enrolment_body(enrolment))
                continue
            kind = attestation_body(enrolment.attestation, group=group, secrets=False)["type"]
            voice.say(f"{enrolment.id:<24}  {kind:<12}  {'enabled' if enrolment.enabled else 'disabled'}")
    if not found and not as_json:
        voice.hint(f"none yet: leafward enrolment add ID{' --group' if group else ''}")
