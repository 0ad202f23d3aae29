"""`leafward manager`: the device's security manager, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "run": "the manager alone, as a service manager starts it",
    "status": "what it holds, until when, and what a person should know about it",
}


@click.group("manager", cls=LazyGroup, package="leafward.cli.commands.manager", table=COMMANDS)
def command() -> None:
    """The device's security manager."""
