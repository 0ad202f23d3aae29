"""`leafward ca`: the maker's authority, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "init": "make a root CA",
    "intermediate": "make an intermediate CA",
    "device": "issue a device CA, from a request or with a key made here",
    "leaf": "issue an end-entity certificate: leaf device, device identity, verification",
    "list": "the authorities, and what they issued",
    "show": "one authority and its chain",
}


@click.group("ca", cls=LazyGroup, package="leafward.cli.commands.ca", table=COMMANDS)
def command() -> None:
    """The maker's authority: root, intermediates, device CAs, leaf certificates.

    \b
    Examples:
      leafward ca init --cn "Example Root CA"
      leafward ca intermediate "Example Factory CA"
      leafward ca device pump-gateway-0001 --csr request.pem --out pump-gateway-0001/
      leafward ca list
    """
