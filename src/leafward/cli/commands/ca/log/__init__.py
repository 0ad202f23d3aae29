"""`leafward ca log`: the issuance log, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup

COMMANDS = {
    "show": "how far the log is, and how far it is signed",
    "key": "the log's public key; makes its private key in a token or a TPM",
    "checkpoint": "sign the log as it is now",
    "proof": "proof that a certificate is in the log",
    "verify-proof": "verify such a proof, with nothing but the certificate and the log's public key",
    "verify": "was anything changed, removed, forked?",
    "export": "the log as static files, for auditors and witnesses",
    "restart": "end the log and begin another, where the newest database is lost, or the key shall be elsewhere",
}


@click.group("log", cls=LazyGroup, package="leafward.cli.commands.ca.log", table=COMMANDS)
def command() -> None:
    """The issuance log: every certificate, CRL and OCSP response that was signed, in a tree that cannot be rewritten.

    \b
    Examples:
      leafward ca log show                               how far it is
      leafward ca log proof pump-gateway-0001.ca         proof that a certificate is in it
      leafward ca log verify                             was anything changed, removed, forked?
      leafward ca log export public/                     files for auditors and witnesses
    As an auditor, without the maker:
      leafward ca log verify-proof certificate.pem gw.tlog-proof --key KEY
      leafward ca log verify --files-only --export public/ --log-key KEY
    """
