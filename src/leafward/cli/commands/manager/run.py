"""`leafward manager run`: the device's security manager, alone, as a service manager starts it."""

import logging
from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option
from leafward.store.home import Home


@click.command("run")
@click.option("--verbose", "-v", is_flag=True, help="Log what it does.")
@home_option
def command(home: Home, verbose: bool) -> None:
    """Runs the manager until SIGTERM. The device CA must be there (`leafward ca device --install`)."""
    from leafward.cli import parts
    from leafward.cli.service import serve, set_up_logging

    set_up_logging("manager", logging.INFO if verbose else logging.WARNING)
    serve(parts.manager(home), _started)


def _started(facts: dict[str, Any]) -> None:
    voice.say("the manager is up")
    for warning in facts["warnings"]:
        voice.warn(warning)
