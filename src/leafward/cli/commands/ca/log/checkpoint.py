"""`leafward ca log checkpoint`: signs the log as it is now."""

import click

from leafward.cli import voice
from leafward.cli.ca_log import open_log
from leafward.cli.ca_options import passphrase_option
from leafward.cli.options import home_option, json_option
from leafward.errors import UsageError
from leafward.store.home import Home


@click.command("checkpoint")
@click.option("--origin", metavar="NAME", help="Names a log that was never signed; default: after the first CA.")
@passphrase_option
@home_option
@json_option
def command(origin: str | None, home: Home, as_json: bool) -> None:
    """Signs the log as it is now, and prints the signed checkpoint."""
    from leafward.authority import log_keys
    from leafward.store.issuance_log.note import is_key_name

    log = open_log(home)
    if origin is not None:
        kept = log.state().key
        if not is_key_name(origin):
            hint = "one without spaces and '+': log.example.com/maker"
            raise UsageError(f"{origin!r} is no name of a log", hint=hint)
        if kept is not None and kept.name != origin:
            raise UsageError(f"the log is named {kept.name!r}", why="its name is signed, and never changes")
        log = log_keys.open_log(log.engine, home.maker, origin=origin)
    note = log.checkpoint()
    if as_json:
        voice.say_json({"checkpoint": note, "size": int(note.split("\n")[1]), "file": str(log.file.path)})
    else:
        click.echo(note, nl=False)
