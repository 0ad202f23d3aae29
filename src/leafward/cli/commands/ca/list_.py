"""`leafward ca list`: the authorities, and what they issued."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.authority.issuance import Issuance


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Also what is revoked, replaced or expired.")
@home_option
@json_option
def command(home: Home, everything: bool, as_json: bool) -> None:
    """The authorities, and the living certificates they issued."""
    from leafward.cli.ca_inventory import say_json_list

    rows = _rows(open_issuance(home), everything)
    if as_json:
        say_json_list(rows)
        return
    empty = True
    for row in rows:
        voice.say(
            f"{row['sha256'][:16]}  {row['role']:<16}  {row['not_after'][:10]}  {row['status']:<8}  "
            f"{row['name']:<34}  {row['common_name'] or ''}"
        )
        empty = False
    if empty:
        voice.hint('no authority yet: leafward ca init --cn "Example Root CA"')


def _rows(issuance: "Issuance", everything: bool) -> Iterator[dict[str, Any]]:
    """The CAs as they stand in their folders, then the rest as the inventory has it."""
    from leafward.cli.ca_inventory import facts, pages
    from leafward.pki.summary import roles, summarise
    from leafward.store.inventory import Status

    standing = set()
    for authority in issuance.authorities:
        summary = summarise(authority.chain.leaf, roles(authority.chain.certificates)[0])
        standing.add(summary.sha256)
        yield {"name": authority.name, "status": "valid", **asdict(summary)}
    if not issuance.has_issued:
        return
    for issued in pages(issuance, status=None if everything else Status.VALID):
        if issued.sha256 not in standing:
            yield {**facts(issued), "name": "-", "role": issued.kind, "common_name": issued.name}
