"""`leafward ca ceremony request-crl`: online, asks for revocations and for the root's revocation lists."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_ceremony import STICK
from leafward.cli.ca_output import open_issuance, show_facts
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("request-crl")
@click.argument("stick", type=STICK)
@click.option("--issuer", metavar="NAME", required=True, help="The CA whose lists they are: the offline root.")
@click.option(
    "--revoke",
    multiple=True,
    metavar="NAME|SERIAL[=REASON]",
    help="A CA, or a serial number, that it is to revoke; may be repeated. Without: the lists alone, anew.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="How long the lists hold; default: the signer's crl_days.")
@home_option
@json_option
def command(stick: Path, *, issuer: str, revoke: tuple[str, ...], days: int | None, home: Home, as_json: bool) -> None:
    """Online: asks the offline root to revoke, and for its revocation lists. Write the digest on paper."""
    from leafward.authority import ceremony
    from leafward.authority.ceremony_lists import list_item

    authorities = open_issuance(home).authorities
    item = list_item(authorities, authorities.get(issuer), revoke, days)
    digest = ceremony.ask_for_lists(stick, item, now=system_clock())
    show_facts({"stick": str(stick), "digest": digest}, as_json)
    if not as_json:
        voice.hint("write the digest on paper; on the offline machine: leafward ca ceremony show STICK")
