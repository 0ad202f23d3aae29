"""`leafward up`: the whole edge in one command."""

from typing import Any

import click

from leafward.cli.log_options import chosen_format, log_level, log_options
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
@log_options
@home_option
def command(home: Home, verbose: bool, log_format: str | None, **options: Any) -> None:
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
        from leafward.cli import voice
        from leafward.cli.service import failures_told, warn_in_log
        from leafward.cli.up import Options, run

        level, form = log_level(verbose), chosen_format(home, log_format)
        with failures_told("up", level, form) as is_plain:
            warn = voice.warn if is_plain else warn_in_log
            run(home, Options(**options, log_level=level, log_format=form, warn=warn), signals)
