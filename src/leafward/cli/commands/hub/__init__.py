"""`leafward hub`: what leaf devices and modules connect to, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "run": "the hub alone, as a service manager starts it",
    "status": "who is connected, and the counters",
    "routes": "where messages go; check a route, or try a message on them",
    "upstream": "the connection to what is above this gateway, and what waits for it",
    "failures": "which leaf devices cannot connect, why, and who can mend it",
    "policy": "shared access policies, by which services come in",
    "disconnect": "end one client's connection; it may come back",
}


@click.group("hub", cls=LazyGroup, package="leafward.cli.commands.hub", table=COMMANDS)
def command() -> None:
    """The hub."""
