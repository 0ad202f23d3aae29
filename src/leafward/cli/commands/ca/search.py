"""`leafward ca search`: finds certificates in the inventory."""

from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.inventory import Count

STATUSES = ("valid", "revoked", "expired", "replaced")


@click.command("search")
@click.argument("text", required=False)
@click.option("--kind", metavar="KIND", help="Of this kind only: device_ca, leaf_device, …")
@click.option("--status", type=click.Choice(STATUSES), help="With this status only.")
@click.option("--lot", metavar="LOT", help="Of this factory lot only.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many.")
@click.option("--after", metavar="PLACE", help="Where the list before ended.")
@click.option("--count", "counting", is_flag=True, help="How many there are of each kind and status.")
@home_option
@json_option
def command(
    text: str | None,
    *,
    kind: str | None,
    status: str | None,
    lot: str | None,
    limit: int,
    after: str | None,
    counting: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Finds certificates: TEXT is part of a name, or the beginning of a serial number or fingerprint.

    \b
    Examples:
      leafward ca search pump
      leafward ca search 4c:01:9a --kind device_ca
      leafward ca search --status revoked --json
      leafward ca search --count
    """
    from leafward.cli.ca_inventory import facts, show_found
    from leafward.store.inventory import Status

    inventory = open_issuance(home).ledger.inventory
    if counting:
        _show_counts(inventory.counts(system_clock()), as_json)
        return
    found_status = Status(status) if status else None
    page = inventory.search(text, now=system_clock(), kind=kind, status=found_status, lot=lot, after=after, limit=limit)
    if as_json:
        voice.say_json({"certificates": [facts(issued) for issued in page.found], "next": page.next})
        return
    show_found(page.found, as_json)
    if page.next is not None:
        voice.hint(f"there are more: the same command with --after {page.next}")


def _show_counts(counts: "list[Count]", as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        voice.say_json([{**asdict(count), "status": str(count.status)} for count in counts])
        return
    for count in counts:
        voice.say(f"{count.number:>10}  {count.status:<8}  {count.kind}")
