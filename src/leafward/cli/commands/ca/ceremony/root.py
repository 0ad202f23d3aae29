"""`leafward ca ceremony root`: offline, makes a root CA."""

from pathlib import Path

import click

from leafward.cli.ca_ceremony import STICK, people_option
from leafward.cli.ca_limits import asked_lifetime, forever_option
from leafward.cli.ca_options import days_option, encrypt_options, key_at_option, key_option, proof_option
from leafward.cli.ca_output import open_issuance, proved, show_chain
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home


@click.command("root")
@click.option("--cn", required=True, metavar="NAME", help="Common name of the root.")
@click.option("--stick", type=STICK, help="Folder for the root's certificate and the transcript.")
@people_option
@key_option
@key_at_option
@encrypt_options
@days_option
@forever_option
@proof_option
@home_option
@json_option
def command(
    *,
    cn: str,
    stick: Path | None,
    by: tuple[str, ...],
    key: str,
    key_at: KeyReference | None,
    days: int | None,
    forever: bool,
    proof: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Offline: makes a root CA and writes the transcript."""
    from leafward.authority import ceremony
    from leafward.pki.key_types import parse_key_type

    issuance, now = open_issuance(home), system_clock()
    made = issuance.root(cn, parse_key_type(key), now=now, lifetime=asked_lifetime(days, forever), at=key_at)
    transcript = ceremony.tell_of_root(issuance, made, by=by, now=now)
    files = {"root.pem": made.chain.to_pem(), **ceremony.log_key_file(issuance)}
    copies = ceremony.copy_to_stick(stick, files, transcript) if stick else []
    facts = {"name": made.name, "transcript": str(transcript), "stick": ", ".join(map(str, copies)) or None}
    show_chain(made.chain, {**facts, **proved(issuance, made.chain, proof)}, as_json)
