"""`leafward ca crl`: publishes revocation lists, and shows them."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_revocation import list_facts, open_maker, say_list
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from collections.abc import Iterable

    from leafward.authority.authorities import Authority
    from leafward.authority.crl_publication import Published, Unpublished
    from leafward.authority.issuance import Issuance

_ISSUER = click.option("--issuer", metavar="NAME", help="The lists of this authority only.")


@click.group("crl", invoke_without_command=True)
@_ISSUER
@click.option("--all", "everything", is_flag=True, help="Those that are not due, too.")
@click.option("--complete", is_flag=True, help="The complete list of the CA as well; from now on it is kept up.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long they hold; default: [maker] crl_days.")
@passphrase_option
@home_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    *,
    issuer: str | None,
    everything: bool,
    complete: bool,
    days: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Publishes the revocation lists that are due: with something new to tell, or half of whose time is over.

    Run it now and then where no `leafward ca serve` runs, which does the same by itself. The files are in maker/crl/,
    for any web server.

    \b
    Examples:
      leafward ca crl
      leafward ca crl --issuer root-ca --days 180
      leafward ca crl show --json
    """
    if context.invoked_subcommand is not None:
        return
    from leafward.authority.revocation import Revocation

    issuance, now = open_maker(home), system_clock()
    lifetime = timedelta(days=days) if days else None
    authority = issuance.authorities.get(issuer) if issuer else None
    revocation = Revocation(issuance)
    found: list[Published | Unpublished] = []
    if complete:
        found += [revocation.complete(one, now=now, lifetime=lifetime) for one in _able(issuance, authority)]
    _show(
        [*found, *revocation.publish_due(now=now, authority=authority, everything=everything, lifetime=lifetime)],
        as_json,
    )


@command.command("show")
@_ISSUER
@click.option("--pem", "as_pem", is_flag=True, help="Print the lists themselves.")
@home_option
@json_option
def show(*, issuer: str | None, as_pem: bool, home: Home, as_json: bool) -> None:
    """The lists as they were published last: number, times, how many certificates are in each."""
    from leafward.authority.crl_publication import Publication
    from leafward.pki.pem import write_block

    issuance = open_maker(home)
    authorities = [issuance.authorities.get(issuer)] if issuer else list(issuance.authorities)
    publication = Publication(issuance.folder, issuance.ledger, issuance.publishing)
    published = [one for authority in authorities for one in publication.published(authority)]
    if as_pem:
        for one in published:
            der = publication.lists.der(one.issuer_key_id, one.partition) or b""
            click.echo(write_block("X509 CRL", der), nl=False)
    elif as_json:
        voice.say_json([list_facts(one) for one in published])
    else:
        for one in published:
            say_list(one)
        if not published:
            voice.hint("nothing is published yet: leafward ca crl")


def _able(issuance: "Issuance", authority: "Authority | None") -> "list[Authority]":
    return [authority] if authority else [one for one in issuance.authorities if one.key is not None]


def _show(found: "Iterable[Published | Unpublished]", as_json: bool) -> None:
    from leafward.authority.crl_publication import Published, Unpublished

    signed = [one for one in found if isinstance(one, Published)]
    failed = [one for one in found if isinstance(one, Unpublished)]
    if as_json:
        voice.say_json([list_facts(one) for one in signed])
    for one in signed if not as_json else ():
        say_list(one)
    for lost in failed:
        voice.warn(f"a revocation list of {lost.authority!r} is due and was not signed: {lost.reason}")
    if failed:
        raise failed[0].reason
    if not signed and not as_json:
        voice.say("no revocation list is due")
