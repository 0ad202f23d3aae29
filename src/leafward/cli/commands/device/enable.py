"""`leafward device enable`."""

import click

from leafward.cli.device_options import device_argument, set_enabled
from leafward.cli.options import home_option
from leafward.store.home import Home


@click.command("enable")
@device_argument
@home_option
def command(device_id: str, home: Home) -> None:
    """Lets a disabled device connect again."""
    set_enabled(home, device_id, enabled=True)
