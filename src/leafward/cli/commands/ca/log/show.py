"""`leafward ca log show`: how far the log is, and how far it is signed."""

import click

from leafward.cli import voice
from leafward.cli.ca_log import open_log
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("show")
@click.option("--last", type=click.IntRange(0, 1000), default=0, metavar="N", help="Show the last N entries too.")
@home_option
@json_option
def command(last: int, home: Home, as_json: bool) -> None:
    """How far the log is, and how far it is signed."""
    log = open_log(home)
    state = log.state()
    facts: dict[str, object] = {
        "origin": state.key.name if state.key else None,
        "size": state.size,
        "root": state.root.hex(),
        "signed": state.signed.size if state.signed else 0,
        "key": str(state.key) if state.key else None,
    }
    first = max(0, state.size - last)
    entries = [entry.decode("ascii", "replace").split("\n")[1:-1] for entry in log.entries(first, state.size)]
    if as_json:
        voice.say_json({**facts, "entries": [{"index": first + at, "lines": e} for at, e in enumerate(entries)]})
        return
    for label, value in facts.items():
        voice.say(f"{label:<8}{'-' if value is None else value}")
    for at, lines in enumerate(entries):
        voice.say(f"{first + at:>8}  {'  '.join(lines)}")
