"""`leafward ca`: the maker's authority, one file a subcommand."""

import click

from leafward.cli.lazy_group import LazyGroup
from leafward.cli.secret_prompt import allow_asking

COMMANDS = {
    "init": "make a root CA",
    "intermediate": "make an intermediate CA",
    "ceremony": "an offline root: requests and answers on a stick, with a written record",
    "cross-sign": "another root vouches for a CA: the same name and key under it",
    "rollover": "a new root key under the old root's name, and what joins the two",
    "import": "certificates of CAs from elsewhere: a corporate root, or the answer to a request",
    "adopt": "take over the CA in a folder of a script, of EasyRSA, of openssl ca, or of PEM files",
    "sign": "sign a request of somebody else's: a contractor's CA, a device CA, a leaf",
    "device": "issue a device CA, from a request or with a key made here",
    "leaf": "issue an end-entity certificate: leaf device, device identity, verification",
    "lot": "factory lots: open, issue from many requests at line speed, status, close with an account",
    "list": "the authorities, and what they issued",
    "show": "an authority or an issued certificate, with its chain",
    "search": "find certificates by name, serial, fingerprint, kind or status; count them",
    "expiring": "the living certificates that end soon",
    "compact": "give back the room of expired certificates",
    "revoke": "take a certificate back before it ends",
    "crl": "publish the revocation lists that are due; show them",
    "ocsp": "sign OCSP answers ahead; show them",
    "log": "the issuance log: show, key, checkpoint, proof, verify-proof, verify, export, restart",
    "serve": "EST for devices that enrol by themselves; revocation lists",
    "account": "names and passwords for a device's first enrolment",
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
    allow_asking()
