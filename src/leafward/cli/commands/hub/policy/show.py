"""`leafward hub policy show`: a policy's connection string."""

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.policy_options import policy_argument
from leafward.store.home import Home


@click.command("show")
@policy_argument
@click.option("--secondary", is_flag=True, help="With the secondary key.")
@home_option
@json_option
def command(name: str, secondary: bool, home: Home, as_json: bool) -> None:
    """Shows what a service client is configured with. Whoever has it may do what the policy allows."""
    from leafward.cli import hub_client

    path = f"/hub/policies/{hub_client.segment(name)}"
    facts = hub_client.ask(home, "GET", path, what=f"the policy {name!r} cannot be shown").json()
    if as_json:
        voice.say_json(facts)
    else:
        voice.say(facts["secondary_connection_string" if secondary else "primary_connection_string"])
