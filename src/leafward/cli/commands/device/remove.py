"""`leafward device remove`: out of the registry, and what was made for it here with it."""

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument
from leafward.cli.options import dry_run_option, home_option, json_option, yes_option
from leafward.store.home import Home


@click.command("remove")
@device_argument
@yes_option
@dry_run_option
@json_option
@home_option
def command(device_id: str, *, yes: bool, dry_run: bool, as_json: bool, home: Home) -> None:
    """Removes a device from the registry, with the certificate and key that were made for it here."""
    from leafward.cli.credentials import forget
    from leafward.cli.edge import require_root
    from leafward.provisioning.devices import find_device
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        find_device(registry, device_id)
        if not dry_run:
            if not yes:
                voice.agree(f"Remove the device {device_id!r} and its credentials?")
            registry.remove(device_id)
    if not dry_run:
        forget(home, device_id)
    voice.say_removed(device_id, {"device_id": device_id}, dry_run=dry_run, as_json=as_json)
