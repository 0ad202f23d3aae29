"""`leafward ca log export`: the log as static files."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_log import FOLDER, open_log, progress_bar
from leafward.cli.ca_options import passphrase_option
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("export")
@click.argument("folder", type=FOLDER)
@passphrase_option
@home_option
@json_option
def command(folder: Path, home: Home, as_json: bool) -> None:
    """Signs the log and writes it into FOLDER as static files (C2SP tlog-tiles); again: what is new."""
    from leafward.store.issuance_log.export import export as write_files

    log = open_log(home)
    note = log.checkpoint()
    state = log.state()
    assert state.key is not None
    with progress_bar("exporting", quiet=as_json) as progress:
        done = write_files(log.engine, note, state.key, folder, progress=progress)
    if as_json:
        voice.say_json({"folder": str(folder), "origin": done.origin, "size": done.size, "root": done.root.hex()})
    else:
        voice.say(f"{folder}: {done.size} entries of {done.origin}")
