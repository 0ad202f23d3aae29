"""`leafward device disable`."""

import click

from leafward.cli.device_options import device_argument, set_enabled
from leafward.cli.options import home_option
from leafward.store.home import Home


@click.command("disable")
@device_argument
@home_option
def command(device_id: str, home: Home) -> None:
    """Refuses a device from now on; its live connection is cut within a second."""
    set_enabled(home, device_id, enabled=False)
