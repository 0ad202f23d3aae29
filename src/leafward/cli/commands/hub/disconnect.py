"""`leafward hub disconnect`: ends one client's connection."""

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument
from leafward.cli.options import checked_by, home_option
from leafward.store.home import Home


@click.command("disconnect")
@device_argument
@click.option("--module", metavar="M", callback=checked_by("parse_module_id"), help="A module of the device.")
@home_option
def command(device_id: str, module: str | None, home: Home) -> None:
    """Ends the connection of a device, or of one of its modules. Its session stays, and it may connect again.

    To keep a device out: `leafward device disable`.
    """
    from leafward.cli import hub_client

    hub_client.disconnect(home, device_id, module)
    voice.say(f"disconnected {device_id if module is None else f'{device_id}/{module}'}")
