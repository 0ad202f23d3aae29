"""`leafward device rotate-key`: another primary or secondary key, or thumbprint."""

from dataclasses import replace

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument, facts_of
from leafward.cli.options import home_option, json_option, yes_option
from leafward.errors import Busy, UsageError
from leafward.store.home import Home


@click.command("rotate-key")
@device_argument
@click.option("--secondary", is_flag=True, help="The secondary one; the primary stays good.")
@click.option("--thumbprint", metavar="HEX", help="Of a device by thumbprint: of its new certificate.")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@yes_option
@home_option
@json_option
def command(
    device_id: str, *, secondary: bool, thumbprint: str | None, dry_run: bool, yes: bool, home: Home, as_json: bool
) -> None:
    """Makes one of a device's two keys anew, or puts another thumbprint in its place.

    To change over without a gap: rotate the secondary, give it to the device, then rotate the primary. A connection
    that stands is closed, and comes back with whichever key is still good.

    \b
    Examples:
      leafward device rotate-key pump-7 --secondary
      leafward device rotate-key pump-8 --secondary --thumbprint 3F2A…
    """
    from leafward.cli.credentials import connection_string
    from leafward.cli.edge import gateway_name, require_root
    from leafward.provisioning.devices import find_device, fresh_key
    from leafward.store.registry import Registry
    from leafward.store.registry_bulk import put_many

    require_root(home)
    which = "secondary" if secondary else "primary"
    with Registry.open(home.registry) as registry:
        present = find_device(registry, device_id)
        _check_kind(device_id, present.auth, thumbprint)
        change = {f"{which}_thumbprint": thumbprint} if thumbprint else {f"{which}_key": fresh_key()}
        new = replace(present, **change)
        if dry_run:
            voice.say(f"would change the {which} {'thumbprint' if thumbprint else 'key'} of {device_id}")
            return
        if not secondary and not yes:
            voice.agree(f"A device that has only the primary of {device_id!r} will be refused. Go on?")
        (outcome,) = put_many(registry, [new], lambda found, wanted: wanted if found == present else None)
        if outcome == "taken":
            raise Busy(f"{device_id!r} was changed meanwhile", hint="try again")
    facts = facts_of(new)
    # With the key that was made: the other one's string stays as it was.
    shown = replace(new, primary_key=new.secondary_key) if secondary and new.secondary_key else new
    facts["connection_string"] = connection_string(shown, gateway_name(home))
    if as_json:
        voice.say_json(facts)
    else:
        voice.say(facts["connection_string"] or f"changed the {which} thumbprint of {device_id}")


def _check_kind(device_id: str, auth: str, thumbprint: str | None) -> None:
    if auth == "x509-ca":
        hint = "give it a new certificate of the same name"
        raise UsageError(f"{device_id!r} has no key here: its CA speaks for it", hint=hint)
    if (auth == "x509-thumbprint") != (thumbprint is not None):
        raise UsageError(f"{device_id!r} is registered as {auth}", hint="--thumbprint HEX is for x509-thumbprint alone")
