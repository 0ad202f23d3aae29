"""`leafward hub run`: the hub, alone, as a service manager starts it."""

from typing import Any

import click

from leafward.cli.log_options import chosen_format, log_level, log_options
from leafward.cli.options import home_option, https_ports, listen_options
from leafward.store.home import Home


@click.command("run")
@listen_options
@log_options
@home_option
def command(
    *, home: Home, bind: str, mqtt_port: int, https_port: int | None, verbose: bool, log_format: str | None
) -> None:
    """Runs the hub until SIGTERM. It takes its certificate from the manager, as any module does.

    Its settings are in the home's leafward.toml, whatever file the manager was started with (`--config`).
    """
    from leafward.cli import parts
    from leafward.cli.service import run_part

    run_part(
        "hub",
        parts.hub(home, bind, mqtt_port, https_ports(https_port)),
        _started,
        log_level=log_level(verbose),
        log_format=chosen_format(home, log_format),
    )


def _started(found: dict[str, Any]) -> tuple[str, list[str]]:
    amqp = f", AMQP on port {found['amqp_port']}" if "amqp_port" in found else ""
    return f"MQTT over TLS on port {found['mqtt_port']}, HTTPS on port {found['https_port']}{amqp}", []
