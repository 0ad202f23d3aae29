"""`leafward hub policy delete`: takes a policy away."""

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.policy_options import policy_argument
from leafward.store.home import Home


@click.command("delete")
@policy_argument
@click.option("--dry-run", is_flag=True, help="Show what would be deleted; change nothing.")
@yes_option
@home_option
@json_option
def command(*, name: str, dry_run: bool, yes: bool, home: Home, as_json: bool) -> None:
    """Deletes a policy. Connections that came in by it are closed at once, and nobody comes in by it again."""
    from leafward.cli import hub_client

    path = f"/hub/policies/{hub_client.segment(name)}"
    what = f"the policy {name!r} was not deleted"
    if dry_run:
        hub_client.ask(home, "GET", path, what=what)
        voice.say(f"would delete the policy {name}")
        return
    if not yes:
        voice.agree(f"Delete the policy {name!r}? Services that use it will be refused.")
    hub_client.ask(home, "DELETE", path, what=what)
    if as_json:
        voice.say_json({"deleted": name})
    else:
        voice.say(f"deleted {name}")
