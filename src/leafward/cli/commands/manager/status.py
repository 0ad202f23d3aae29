"""`leafward manager status`: what a running manager holds."""

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.roles import ROLE_NAMES
from leafward.store.home import Home


@click.command("status")
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """What the manager holds, until when, and what a person should know about it."""
    from leafward.cli.management_client import get_status

    facts = get_status(home)
    if as_json:
        voice.say_json(facts)
        return
    voice.say(f"{facts['hostname']} ({facts['device_id']}), {'a development chain' if facts['development'] else ''}")
    for role, certificate in facts["certificates"].items():
        until = certificate["not_after"][:10]
        voice.say(f"  {ROLE_NAMES[role]:<12}  {certificate['common_name'] or '-':<32}  until {until}")
    voice.say(f"  the chain ends {facts['chain_ends'][:10]}")
    for warning in facts["warnings"]:
        voice.warn(warning)
