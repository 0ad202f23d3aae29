"""`leafward ca rollover`: a new root key under the old root's name."""

import click

from leafward.cli import voice
from leafward.cli.ca_limits import asked_lifetime, forever_option
from leafward.cli.ca_options import days_option, encrypt_options, key_at_option
from leafward.cli.ca_output import open_issuance, proved, show_chain
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.keys.key_reference import KeyReference
from leafward.store.home import Home


@click.command("rollover")
@click.argument("name")
@click.option("--key", metavar="TYPE", help="Kind of the new key; default: as the old one.")
@key_at_option
@encrypt_options
@days_option
@forever_option
@click.option(
    "--proofs", is_flag=True, help="Beside each certificate the proof that it is in the log: NAME.tlog-proof."
)
@home_option
@json_option
def command(
    name: str,
    *,
    key: str | None,
    key_at: KeyReference | None,
    days: int | None,
    forever: bool,
    proofs: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Makes the root that follows the root NAME, and the certificates that join the two (RFC 7030 4.1.3).

    The old root goes on signing. Give the new one to everybody who trusts the old one, make new intermediates below it,
    and retire the old one when nobody needs it.
    """
    from leafward.authority.rollover import roll_over
    from leafward.pki.key_types import key_type_of, parse_key_type

    issuance = open_issuance(home)
    old = issuance.authorities.get(name)
    kind = parse_key_type(key) if key else key_type_of(old.chain.leaf.public_key())
    lifetime = asked_lifetime(days, forever)
    made = roll_over(issuance, old, kind, now=system_clock(), lifetime=lifetime, at=key_at)
    folder = issuance.authorities.folder / made.root.name
    chains = {
        "certificate": (made.root.chain, folder / "certificate.pem"),
        "old_with_new": (made.old_with_new, folder / "rollover" / "old-with-new.pem"),
        "new_with_old": (made.new_with_old, folder / "rollover" / "new-with-old.pem"),
    }
    facts = {"name": made.root.name, **{label: str(path) for label, (_, path) in chains.items()}}
    for label, (chain, path) in chains.items() if proofs else ():
        facts |= proved(issuance, chain, path.with_suffix(".tlog-proof"), f"{label}_proof")
    show_chain(made.root.chain, facts, as_json)
    if not as_json:
        voice.hint(f'leafward ca intermediate "Example Factory CA 2" --issuer {made.root.name}')
