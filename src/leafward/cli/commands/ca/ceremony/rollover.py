"""`leafward ca ceremony rollover`: offline, makes the root that follows another."""

from pathlib import Path

import click

from leafward.cli.ca_ceremony import STICK, people_option
from leafward.cli.ca_limits import asked_lifetime, forever_option
from leafward.cli.ca_options import days_option, encrypt_options, key_at_option, key_option
from leafward.cli.ca_output import open_issuance, show_chain
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home


@click.command("rollover")
@click.argument("name")
@click.option("--stick", type=STICK, help="Folder for the certificates and the transcript.")
@people_option
@key_option
@key_at_option
@encrypt_options
@days_option
@forever_option
@home_option
@json_option
def command(
    name: str,
    *,
    stick: Path | None,
    by: tuple[str, ...],
    key: str,
    key_at: KeyReference | None,
    days: int | None,
    forever: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Offline: makes the root that follows NAME, as `leafward ca rollover`, and writes the transcript."""
    from leafward.authority import ceremony
    from leafward.authority.rollover import roll_over
    from leafward.pki.key_types import parse_key_type

    issuance, now = open_issuance(home), system_clock()
    old, lifetime = issuance.authorities.get(name), asked_lifetime(days, forever)
    made = roll_over(issuance, old, parse_key_type(key), now=now, lifetime=lifetime, at=key_at)
    transcript = ceremony.tell_of_rollover(issuance, old, made, by=by, now=now)
    copies = ceremony.copy_to_stick(stick, ceremony.rollover_files(made), transcript) if stick else []
    facts = {"name": made.root.name, "transcript": str(transcript), "stick": ", ".join(map(str, copies)) or None}
    show_chain(made.root.chain, facts, as_json)
