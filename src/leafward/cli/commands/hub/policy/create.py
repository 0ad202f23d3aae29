"""`leafward hub policy create`: a policy with two fresh keys."""

import json

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.policy_options import policy_argument
from leafward.store.home import Home

PERMISSIONS = ("ServiceConnect", "RegistryRead")


@click.command("create")
@policy_argument
@click.option(
    "--permission",
    "permissions",
    type=click.Choice(PERMISSIONS, case_sensitive=False),
    multiple=True,
    default=("ServiceConnect",),
    show_default=True,
    help="What it allows; may be given several times.",
)
@home_option
@json_option
def command(name: str, permissions: tuple[str, ...], home: Home, as_json: bool) -> None:
    """Makes the policy NAME with two fresh keys, and shows the connection string with the first of them.

    ServiceConnect: messages to devices and their feedback, twins, direct methods. RegistryRead: which devices there
    are, without keys.
    """
    from leafward.cli import hub_client

    body = json.dumps({"permissions": sorted(set(permissions))}).encode()
    path = f"/hub/policies/{hub_client.segment(name)}"
    facts = hub_client.ask(home, "PUT", path, what=f"the policy {name!r} was not made", body=body).json()
    if as_json:
        voice.say_json(facts)
    else:
        voice.say(facts["primary_connection_string"])
