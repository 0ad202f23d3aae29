"""`leafward ca log proof`: proof that a certificate is in the log."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_log import FILE, open_ledger
from leafward.cli.ca_options import passphrase_option
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("proof")
@click.argument("wanted", metavar="SHA256|SERIAL|NAME")
@click.option("--out", type=FILE, help="Write it there; as text, ending .tlog-proof by custom.")
@passphrase_option
@home_option
@json_option
def command(wanted: str, out: Path | None, home: Home, as_json: bool) -> None:
    """Proof that a certificate is in the log: C2SP tlog-proof text, or JSON."""
    import json

    from leafward import disk
    from leafward.authority.log_verification import find_position

    ledger = open_ledger(home)
    found = ledger.log.proof(find_position(ledger, wanted, now=system_clock()))
    text = json.dumps(found.to_json()) + "\n" if as_json else str(found)
    if out is None:
        click.echo(text, nl=False)
    else:
        disk.write_file(out, text.encode(), mode=disk.PUBLIC)
        voice.say(str(out))
