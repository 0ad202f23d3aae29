"""`leafward provisioning ca`: CAs that sign devices, and the proof that somebody holds their keys."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "add": "register a CA; it admits nobody until it is proved",
    "code": "a code to prove it by",
    "verify": "prove it, by a certificate that it signed and that is named after the code",
    "list": "the CAs that are registered",
    "remove": "forget a CA",
}


@click.group("ca", cls=LazyGroup, package="leafward.cli.commands.provisioning.ca", table=COMMANDS)
def command() -> None:
    """CAs that sign devices.

    \b
    Examples:
      leafward provisioning ca add line-3-ca.pem --name line-3
      leafward provisioning ca code line-3
      leafward ca leaf CODE --profile verification --issuer "Line 3 CA" --out proof/
      leafward provisioning ca verify line-3 proof/certificate.pem
    """
