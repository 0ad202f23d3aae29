"""`leafward hub policy rotate`: one of a policy's keys made anew."""

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.policy_options import policy_argument
from leafward.store.home import Home


@click.command("rotate")
@policy_argument
@click.option("--secondary", is_flag=True, help="The secondary key; the primary stays good.")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@yes_option
@home_option
@json_option
def command(*, name: str, secondary: bool, dry_run: bool, yes: bool, home: Home, as_json: bool) -> None:
    """Makes one of a policy's two keys anew, and shows its connection string.

    To change over without a gap: rotate the secondary, give it to the services, then rotate the primary. Connections
    of the policy are closed; they come back with whichever key is still good.
    """
    from leafward.cli import hub_client

    which = "secondary" if secondary else "primary"
    path = f"/hub/policies/{hub_client.segment(name)}"
    if dry_run:
        hub_client.ask(home, "GET", path, what=f"the policy {name!r} cannot be changed")
        voice.say(f"would change the {which} key of {name}")
        return
    if not secondary and not yes:
        voice.agree(f"A service that has only the primary key of {name!r} will be refused. Go on?")
    query = {"secondary": "1"} if secondary else {}
    facts = hub_client.ask(
        home, "POST", f"{path}/rotate", what=f"the policy {name!r} was not changed", query=query
    ).json()
    if as_json:
        voice.say_json(facts)
    else:
        voice.say(facts[f"{which}_connection_string"])
