"""`leafward enrolment device-key`: the key that a device of a group signs with."""

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import opened
from leafward.cli.options import checked_by, home_option, json_option
from leafward.errors import UsageError
from leafward.store.home import Home


@click.command("device-key")
@click.argument("group_id", metavar="GROUP")
@click.argument("registration_id", metavar="REGISTRATION_ID", callback=checked_by("parse_registration_id"))
@click.option("--secondary", is_flag=True, help="From the group's secondary key.")
@home_option
@json_option
def command(group_id: str, registration_id: str, secondary: bool, home: Home, as_json: bool) -> None:
    """The key of one device of a group by symmetric key: give the device this one, never the group's."""
    from leafward.provisioning.key_attestation import derived_key
    from leafward.store.enrolments import SymmetricKeys
    from leafward.wire.base64_text import encode_base64

    with opened(home) as books:
        group = books.enrolments.get(group_id, group=True)
    keys = group.attestation
    if not isinstance(keys, SymmetricKeys):
        raise UsageError(f"{group.label} is not by symmetric key")
    key = encode_base64(derived_key(keys.secondary if secondary else keys.primary, registration_id))
    if as_json:
        voice.say_json({"registration_id": registration_id, "group": group.id, "symmetric_key": key})
    else:
        voice.say(key)
