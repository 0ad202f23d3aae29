"""How the `leafward ca` commands read the inventory and show what they find."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.service import system_clock

if TYPE_CHECKING:
    from leafward.authority.issuance import Issuance
    from leafward.store.inventory import Issued


def pages(issuance: "Issuance", **wanted: Any) -> Iterator["Issued"]:
    """All certificates that a search finds, read a page at a time."""
    now, after = system_clock(), None
    while True:
        page = issuance.ledger.inventory.search(now=now, after=after, **wanted)
        yield from page.found
        after = page.next
        if after is None:
            return


def facts(issued: "Issued") -> dict[str, Any]:
    """What the inventory knows of a certificate, as JSON values: times in RFC 3339, numbers in hexadecimal."""
    values = asdict(issued)
    for name in ("not_before", "not_after", "issued", "revoked"):
        values[name] = f"{values[name]:%Y-%m-%dT%H:%M:%SZ}" if values[name] is not None else None
    return {**values, "serial": f"{issued.serial:x}", "status": str(issued.status)}


def line(issued: "Issued") -> str:
    """A certificate as one line of a list."""
    name = issued.name if issued.name is not None else f"serial {issued.serial:x}"
    return f"{issued.sha256[:16]}  {issued.kind:<16}  {issued.not_after:%Y-%m-%d}  {issued.status:<8}  {name}"


def say_json_list(rows: Iterable[dict[str, Any]]) -> None:
    """A JSON list, written as the rows come: a million of them need no memory."""
    click.echo("[", nl=False)
    for number, row in enumerate(rows):
        click.echo(("\n," if number else "") + json.dumps(row, ensure_ascii=False), nl=False)
    click.echo("]")


def show_found(found: Iterable["Issued"], as_json: bool) -> None:
    """Certificates as lines, or as a JSON list."""
    if as_json:
        say_json_list(facts(issued) for issued in found)
        return
    empty = True
    for issued in found:
        voice.say(line(issued))
        empty = False
    if empty:
        voice.hint("nothing found; leafward ca list --all shows every certificate")
