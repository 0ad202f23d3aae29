"""`leafward provisioning`: the provisioning service, alone, as a service manager starts it."""

import logging

import click

from leafward.cli import voice
from leafward.cli.options import home_option
from leafward.store.home import Home


@click.group("provisioning")
def command() -> None:
    """The provisioning service."""


@command.command()
@click.option("--verbose", "-v", is_flag=True, help="Log what it does.")
@home_option
def run(home: Home, verbose: bool) -> None:
    """Runs the provisioning service until SIGTERM."""
    from leafward.cli import parts
    from leafward.cli.service import serve, set_up_logging

    set_up_logging("provisioning", logging.INFO if verbose else logging.WARNING)
    serve(parts.provisioning(home), lambda _facts: voice.say("the provisioning service is up"))
