"""`leafward provisioning`: the service, the CAs it believes, and what it has admitted; one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "run": "the service alone, as a service manager starts it",
    "ca": "CAs that sign devices: register one, and prove that its key is held",
    "registrations": "the devices that were admitted, and their hubs",
}


@click.group("provisioning", cls=LazyGroup, package="leafward.cli.commands.provisioning", table=COMMANDS)
def command() -> None:
    """The provisioning service: devices admit themselves.

    Whom it admits: `leafward enrolment`.
    """
