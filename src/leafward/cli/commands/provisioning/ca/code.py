"""`leafward provisioning ca code`."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import ca_facts, opened
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("code")
@click.argument("name")
@home_option
@json_option
def command(name: str, home: Home, as_json: bool) -> None:
    """Makes a verification code; an earlier one is void. It holds for seven days."""
    from leafward.provisioning.enrolling import new_code

    with opened(home) as books:
        ca = new_code(books.cas, name, system_clock())
    if as_json:
        voice.say_json({**ca_facts(ca), "verification_code": ca.code})
        return
    voice.say(str(ca.code))
    voice.hint(f"have the CA sign a certificate of this common name: leafward ca leaf {ca.code} --profile verification")
