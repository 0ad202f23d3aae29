"""`leafward device list`: the leaf devices of this gateway."""

from typing import cast

import click

from leafward.cli import voice
from leafward.cli.device_options import facts_of
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("list")
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """The leaf devices that are registered."""
    from leafward.cli.edge import require_root
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        found = [facts_of(identity) for identity in registry.devices()]
    if as_json:
        voice.say_json(cast("list[object]", found))
        return
    width = max((len(str(facts["device_id"])) for facts in found), default=0)
    for facts in found:
        state = "enabled" if facts["enabled"] else "disabled"
        voice.say(f"{facts['device_id']:<{width}}  {facts['auth']:<15}  {state}")
    if not found:
        voice.hint("no device yet: leafward device add ID")
