"""`leafward up`: the whole edge in one command."""

import logging
from typing import Any

import click

from leafward.cli.options import checked_by, home_option, listen_options
from leafward.store.home import Home


@click.command("up")
@click.option(
    "--hostname",
    metavar="NAME",
    callback=checked_by("parse_gateway_host"),
    help="The name leaf devices use; kept for the next start.",
)
@listen_options
@click.option(
    "--root-name",
    metavar="CN",
    callback=checked_by("parse_common_name"),
    help="Common name of a new development root CA.",
)
@click.option(
    "--intermediate-name",
    metavar="CN",
    callback=checked_by("parse_common_name"),
    help="Common name of a new development intermediate CA.",
)
@click.option(
    "--device-ca-name",
    metavar="CN",
    callback=checked_by("parse_common_name"),
    help="Common name of a new development device CA.",
)
@click.option("--demo", is_flag=True, help="Add a demonstration leaf device and show what it sends.")
@click.option("--verbose", "-v", is_flag=True, help="Log what the parts do.")
@home_option
def command(home: Home, verbose: bool, **options: Any) -> None:
    """The whole edge: makes what is missing, starts manager, hub and provisioning, runs until Ctrl-C.

    \b
    Examples:
      leafward up
      leafward up --demo
      leafward up --hostname iotedgegw.local --root-name "Azure IoT Hub CA Cert Test Only" \\
        --intermediate-name "Azure IoT Hub Intermediate Cert Test Only" --device-ca-name iotgateway.ca
    """
    from leafward.cli.signals import Signals

    # Before anything that takes its time: from here on, a signal means a clean stop.
    with Signals() as signals:
        from leafward.cli.up import Options, run

        run(home, Options(**options, log_level=logging.INFO if verbose else logging.WARNING), signals)
