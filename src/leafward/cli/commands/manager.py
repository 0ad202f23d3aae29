"""`leafward manager`: the device's security manager, alone, as a service manager starts it."""

import logging
from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.roles import ROLE_NAMES
from leafward.store.home import Home


@click.group("manager")
def command() -> None:
    """The device's security manager."""


@command.command()
@click.option("--verbose", "-v", is_flag=True, help="Log what it does.")
@home_option
def run(home: Home, verbose: bool) -> None:
    """Runs the manager until SIGTERM. The device CA must be there (`leafward ca device --install`)."""
    from leafward.cli import parts
    from leafward.cli.service import serve, set_up_logging

    set_up_logging("manager", logging.INFO if verbose else logging.WARNING)
    serve(parts.manager(home), _started)


@command.command()
@home_option
@json_option
def status(home: Home, as_json: bool) -> None:
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


def _started(facts: dict[str, Any]) -> None:
    voice.say("the manager is up")
    for warning in facts["warnings"]:
        voice.warn(warning)
