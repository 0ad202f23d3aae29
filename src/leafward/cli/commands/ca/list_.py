"""`leafward ca list`: the authorities, and what they issued."""

from typing import cast

import click

from leafward.cli import voice
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("list")
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """The authorities, and what they issued."""
    from leafward.pki.summary import roles, summarise

    issuance = open_issuance(home)
    found = [(authority.name, authority.chain) for authority in issuance.authorities]
    found += [("-", chain) for chain in issuance.issued()]
    rows = [(name, summarise(chain.leaf, roles(chain.certificates)[0])) for name, chain in found]
    if as_json:
        from dataclasses import asdict

        voice.say_json(cast("list[object]", [{"name": name, **asdict(summary)} for name, summary in rows]))
        return
    for name, summary in rows:
        voice.say(
            f"{summary.sha256[:16]}  {summary.role:<16}  {summary.not_after[:10]}  {name:<34}  {summary.common_name}"
        )
    if not rows:
        voice.hint('no authority yet: leafward ca init --cn "Example Root CA"')
