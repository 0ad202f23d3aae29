"""`leafward hub policy list`: the policies that there are."""

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("list")
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """The policies that there are, and what each allows. No keys."""
    from leafward.cli import hub_client

    facts = hub_client.ask(home, "GET", "/hub/policies", what="the policies cannot be shown").json()
    if as_json:
        voice.say_json(facts)
        return
    found = facts["policies"]
    width = max((len(policy["name"]) for policy in found), default=0)
    for policy in found:
        voice.say(f"{policy['name']:<{width}}  {', '.join(policy['permissions'])}  since {policy['created'][:10]}")
    if not found:
        voice.hint("no policy yet, so no service may come in: leafward hub policy create NAME")
