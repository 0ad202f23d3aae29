"""`leafward provisioning run`: the provisioning service, alone, as a service manager starts it."""

from typing import Any

import click

from leafward.cli.log_options import chosen_format, log_level, log_options
from leafward.cli.options import ANYWHERE, PORT, address_option, home_option
from leafward.store.home import Home


@click.command("run")
@address_option("--bind", "Address to listen on; with one of the three the service listens itself.")
@click.option("--mqtt-port", type=PORT, help="MQTT over TLS, 8883 for the SDKs; 0: any.")
@click.option("--https-port", type=PORT, help="HTTPS and MQTT over WebSocket, 443 for the SDKs; 0: any.")
@log_options
@home_option
def command(
    *,
    home: Home,
    bind: str | None,
    mqtt_port: int | None,
    https_port: int | None,
    verbose: bool,
    log_format: str | None,
) -> None:
    """Runs the provisioning service until SIGTERM.

    Beside a hub it needs no ports: the hub's own answer for both. On a machine of its own, --bind, --mqtt-port or
    --https-port has it listen, with the certificate that [provisioning.listen] names.
    """
    from leafward.cli import parts
    from leafward.cli.service import run_part
    from leafward.provisioning.listen_on import ListenOn

    alone = (bind, mqtt_port, https_port) != (None, None, None)
    chosen = ListenOn(
        bind or ANYWHERE, 8883 if mqtt_port is None else mqtt_port, 443 if https_port is None else https_port
    )
    run_part(
        "provisioning",
        parts.provisioning(home, chosen if alone else None),
        _started,
        log_level=log_level(verbose),
        log_format=chosen_format(home, log_format),
        probe=parts.provisioning_probe(home),
    )


def _started(found: dict[str, Any]) -> tuple[str, list[str]]:
    ports = f": MQTT over TLS on port {found['mqtt_port']}, HTTPS on port {found['https_port']}" if found else ""
    return f"the provisioning service is up{ports}", []
