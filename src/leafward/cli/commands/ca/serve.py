"""`leafward ca serve`: the authority's server, for devices that enrol by themselves."""

import logging
from typing import Any

import click

from leafward.cli import voice
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import ANYWHERE, PORT, home_option, json_option
from leafward.store.home import Home

DEFAULT_PORT = 9443
DEFAULT_HTTP_PORT = 9080


@click.command("serve")
@click.option("--bind", metavar="ADDRESS", default=ANYWHERE, show_default=True, help="Address to listen on.")
@click.option("--port", type=PORT, default=DEFAULT_PORT, show_default=True, help="HTTPS: EST; 0: any.")
@click.option(
    "--http-port", type=PORT, default=DEFAULT_HTTP_PORT, show_default=True, help="HTTP: revocation lists; 0: any."
)
@click.option("--name", "names", multiple=True, metavar="HOST", help="Name or address that devices use; repeatable.")
@click.option("--tls-issuer", metavar="NAME", help="Which authority signs the server's own certificate.")
@click.option("--verbose", "-v", is_flag=True, help="Log what it does.")
@passphrase_option
@home_option
@json_option
def command(
    *,
    bind: str,
    port: int,
    http_port: int,
    names: tuple[str, ...],
    tls_issuer: str | None,
    verbose: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Serves EST (RFC 7030) and the revocation lists until SIGTERM.

    Devices enrol with their identity or with an account (leafward ca account). The server issues its own certificate,
    for the names given with --name; without any, for this machine's name.
    """
    from leafward.authority.est_settings import read_est
    from leafward.authority.serve import ServeOptions
    from leafward.cli import parts
    from leafward.cli.service import serve, set_up_logging
    from leafward.pki.names import parse_gateway_host
    from leafward.store.device_settings import machine_name

    set_up_logging("authority", logging.INFO if verbose else logging.WARNING)
    issuance = open_issuance(home)
    hosts = tuple(dict.fromkeys(parse_gateway_host(name) for name in names)) or (machine_name(),)
    issuer = issuance.authorities.get(tls_issuer) if tls_issuer else None
    options = ServeOptions(bind, port, http_port, hosts, issuer)

    def ready(facts: dict[str, Any]) -> None:
        if as_json:
            voice.say_json(facts)
            return
        voice.say(f"EST at {facts['url']}")
        voice.say(f"labels: {', '.join(facts['labels'])}; without one: {facts['default_label']}")
        if facts["http_url"]:
            voice.say(f"revocation at {facts['http_url']}")
        voice.say("Ctrl-C stops it.")

    serve(parts.authority(issuance, read_est(home.settings), options), ready)
