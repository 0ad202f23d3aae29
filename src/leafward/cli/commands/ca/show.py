"""`leafward ca show`: an authority or an issued certificate, with its chain."""

import click

from leafward.cli.ca_output import open_issuance, show_authority, show_chain, show_facts
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("show")
@click.argument("name")
@click.option("--pem", "as_pem", is_flag=True, help="Print the chain as PEM, leaf first.")
@click.option("--through", metavar="ROOT", help="The chain to this root, through cross-signed CAs where needed.")
@home_option
@json_option
def command(name: str, *, as_pem: bool, through: str | None, home: Home, as_json: bool) -> None:
    """An authority, or a certificate that was issued, with its chain.

    NAME is its name, the beginning of its fingerprint, or the serial number of a certificate.
    """
    from dataclasses import replace

    from leafward.authority.cross_signing import chain_through
    from leafward.authority.lookup import look_up
    from leafward.cli.ca_inventory import facts
    from leafward.errors import NotFound

    issuance = open_issuance(home)
    found = look_up(issuance, name, now=system_clock())
    known = {"name": name} if found.issued is None else facts(found.issued)
    if as_pem and found.chain is None:
        raise NotFound(f"the certificate {name!r} is not kept any more", why="it was compacted after it expired")
    if through and found.chain is not None:
        root = issuance.authorities.get(through)
        found = replace(found, authority=None, chain=chain_through(issuance.authorities, found.chain, root))
    if found.authority is not None and not as_pem:
        show_authority(found.authority, as_json)
    elif found.chain is None:
        show_facts(known, as_json)
    elif as_pem:
        click.echo(found.chain.to_pem(), nl=False)
    else:
        show_chain(found.chain, known, as_json)
