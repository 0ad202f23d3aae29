"""`leafward ca ceremony`: an offline root, by files on a stick and with a written record; one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "root": "offline: make a root CA",
    "rollover": "offline: make the root that follows another",
    "request": "online: put a request for a certificate on the stick",
    "request-crl": "online: ask for revocations, and for the root's revocation lists",
    "show": "offline: show in full what would be signed",
    "sign": "offline: sign what is asked, and write the transcript",
    "import": "online: take the answer from the stick",
    "verify": "check the transcripts: each follows the one before it, and is in the signed log",
}


@click.group("ceremony", cls=LazyGroup, package="leafward.cli.commands.ca.ceremony", table=COMMANDS)
def command() -> None:
    """Everything that needs the root key, on a machine without a network.

    \b
    offline  leafward ca ceremony root --cn "Example Root CA" --by "A. Person" --stick STICK
    online   leafward ca import STICK/root.pem
             leafward ca intermediate "Example Factory CA" --csr-out factory.csr
             leafward ca ceremony request STICK factory.csr --profile intermediate_ca
    offline  leafward ca ceremony show STICK
             leafward ca ceremony sign STICK --expect DIGEST --by "A. Person"
    online   leafward ca ceremony import STICK
    """
