"""`leafward enrolment show`."""

import click

from leafward.cli.enrolment_options import enrolment_argument, group_option, opened, say_enrolment
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("show")
@enrolment_argument
@group_option
@click.option("--secrets", is_flag=True, help="Show symmetric keys too.")
@home_option
@json_option
def command(enrolment_id: str, group: bool, secrets: bool, home: Home, as_json: bool) -> None:
    """One enrolment."""
    with opened(home) as books:
        say_enrolment(books.enrolments.get(enrolment_id, group=group), as_json, secrets=secrets)
