"""`leafward manager`: the device's security manager, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "run": "the manager alone, as a service manager starts it",
    "install": "manager, hub and provisioning as services of systemd",
    "child": "the device CA of a gateway behind this one",
    "status": "what it holds, until when, what comes next, and what a person should know about it",
    "rotate": "new certificates while everything runs, and nobody is dropped",
    "events": "what happened in a running manager, and what happens",
    "wipe": "destroy the operator's half, for whoever sells the device",
    "import": "a leafward.toml from IoT Edge's config.yaml or config.toml",
    "check-config": "everything that is wrong with a settings file, with its lines",
    "verify-receipt": "check the receipt of a wipe with the maker's root alone",
}


@click.group("manager", cls=LazyGroup, package="leafward.cli.commands.manager", table=COMMANDS)
def command() -> None:
    """The device's security manager."""
