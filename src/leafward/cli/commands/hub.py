"""`leafward hub`: the hub, alone, as a service manager starts it."""

import logging

import click

from leafward.cli import voice
from leafward.cli.options import home_option, https_ports, listen_options
from leafward.store.home import Home


@click.group("hub")
def command() -> None:
    """The hub."""


@command.command()
@listen_options
@click.option("--verbose", "-v", is_flag=True, help="Log what it does.")
@home_option
def run(home: Home, bind: str, mqtt_port: int, https_port: int | None, verbose: bool) -> None:
    """Runs the hub until SIGTERM. It takes its certificate from the manager, as any module does."""
    from leafward.cli import parts
    from leafward.cli.service import serve, set_up_logging

    set_up_logging("hub", logging.INFO if verbose else logging.WARNING)
    serve(
        parts.hub(home, bind, mqtt_port, https_ports(https_port)),
        lambda found: voice.say(f"MQTT over TLS on port {found['mqtt_port']}, HTTPS on port {found['https_port']}"),
    )
