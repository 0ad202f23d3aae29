"""`leafward trust`: the root in the stores that programs of this machine read, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "install": "put the root into the system's store, browsers' or Java's",
    "uninstall": "take it out again, and nothing else",
    "show": "which stores of this machine trust it",
}


@click.group("trust", cls=LazyGroup, package="leafward.cli.commands.trust", table=COMMANDS)
def command() -> None:
    """The root certificate in the trust stores of this machine.

    \b
    Examples:
      leafward trust install --dry-run                    what would be done
      sudo leafward trust install --root root.pem         what curl, mosquitto_pub and most programs read
      leafward trust install --store nss                  Firefox and Chromium of this user
      leafward trust show
    """
