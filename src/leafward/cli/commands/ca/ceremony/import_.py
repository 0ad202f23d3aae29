"""`leafward ca ceremony import`: online, takes the answer from the stick."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_ceremony import STICK
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import open_issuance
from leafward.cli.ca_revocation import list_facts, say_list
from leafward.cli.commands.ca.import_ import imported_facts, show_imported
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("import")
@click.argument("stick", type=STICK)
@click.option(
    "--log-key", metavar="KEY|FILE", help="Public key of the offline machine's log: its transcript is proved."
)
@passphrase_option
@home_option
@json_option
def command(stick: Path, *, log_key: str | None, home: Home, as_json: bool) -> None:
    """Online: takes the answer from the stick, completes the CAs that wait for it, and keeps the revocation lists."""
    from leafward.authority import ceremony
    from leafward.authority.log_verification import read_key

    key = read_key(log_key) if log_key is not None else None
    found, lists = ceremony.take_in(open_issuance(home), stick, now=system_clock(), log_key=key)
    if as_json:
        told = [{"name": one.authority, "how": "revocation-list", **list_facts(one)} for one in lists]
        voice.say_json([*imported_facts(found), *told])
        return
    show_imported(found, as_json)
    for one in lists:
        say_list(one)
