"""`leafward trust show`: which stores of this machine trust the root."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.trust.command import chosen, facts_of, found_facts, root_option, store_option
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.cli.trust.find import Wanted

NOT_EVERYWHERE = 1


@click.command("show")
@root_option
@store_option("all")
@home_option
@json_option
def command(*, root_file: Path | None, wanted: "Wanted", home: Home, as_json: bool) -> int:
    """Which stores trust the root. Exit code 0: each that was looked at; 1: not each. Changes nothing."""
    anchor, stores = chosen(root_file, home, wanted)
    looked = stores.look(anchor)
    if as_json:
        voice.say_json({**facts_of(anchor), "stores": [found_facts(work) for work in looked]})
    else:
        voice.say(f"{anchor.name}  sha256 {anchor.sha256}")
        for work in looked:
            word = "unknown" if work.error else "trusted" if work.found.trusted else "not trusted"
            voice.say(f"  {word:<14} {work.store.name}, {work.store.where}")
    for work in looked:
        if work.error is not None:
            voice.warn(str(work.error))
    return 0 if all(work.found.trusted for work in looked if work.error is None) else NOT_EVERYWHERE
