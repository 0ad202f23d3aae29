"""`leafward device show`: one leaf device."""

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument, facts_of
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("show")
@device_argument
@click.option("--secrets", is_flag=True, help="Show the connection string too.")
@home_option
@json_option
def command(device_id: str, secrets: bool, home: Home, as_json: bool) -> None:
    """One leaf device."""
    from leafward.cli.credentials import connection_string
    from leafward.cli.edge import gateway_name, require_root
    from leafward.provisioning.devices import find_device
    from leafward.store.registry import Registry

    require_root(home)
    with Registry.open(home.registry) as registry:
        identity = find_device(registry, device_id)
    facts = facts_of(identity)
    if secrets:
        facts["connection_string"] = connection_string(identity, gateway_name(home))
    if as_json:
        voice.say_json(facts)
        return
    for key, value in facts.items():
        voice.say(f"{key.replace('_', ' '):<19}  {value if value is not None else '-'}")
