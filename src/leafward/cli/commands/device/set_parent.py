"""`leafward device set-parent`: a device that was moved to another line, and a gateway that was put behind another."""

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument, facts_of
from leafward.cli.options import checked_by, home_option, json_option
from leafward.errors import UsageError
from leafward.store.home import Home


@click.command("set-parent")
@device_argument
@click.argument("parent", metavar="[GATEWAY]", required=False, callback=checked_by("parse_device_id"))
@click.option("--none", "none", is_flag=True, help="It is before this gateway, behind no other.")
@home_option
@json_option
def command(*, device_id: str, parent: str | None, none: bool, home: Home, as_json: bool) -> None:
    """Says which child gateway a device, or another gateway, is behind from now on.

    That gateway's hub may connect on its behalf, and the one before may not any more: connections that rest on the
    old place are cut within a second. Nothing else of the device changes.

    \b
    Examples:
      leafward device set-parent pump-7 line-3
      leafward device set-parent pump-7 --none
    """
    from leafward.cli.edge import require_root
    from leafward.provisioning.devices import find_device, move_device
    from leafward.store.registry import Registry

    if (parent is None) != none:
        raise UsageError("say where the device is", hint="give the gateway's device id, or --none")
    require_root(home)
    with Registry.open(home.registry) as registry:
        move_device(registry, device_id, parent)
        facts = facts_of(find_device(registry, device_id))
    if as_json:
        voice.say_json(facts)
    else:
        voice.say(f"{device_id} is behind {parent}" if parent else f"{device_id} is behind no other gateway")
