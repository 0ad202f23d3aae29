"""`leafward chain`: the hierarchy of a PEM file or of a live server, as a tree."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.options import json_option
from leafward.errors import EncodingError
from leafward.pki.chain import Chain


@click.command("chain")
@click.argument("target")
@click.option("--name", metavar="HOST", help="The name to ask the server for (SNI); default: the host.")
@json_option
def command(target: str, name: str | None, as_json: bool) -> None:
    """The hierarchy of a PEM file or of HOST:PORT.

    \b
    Examples:
      leafward chain gateway.local:8883
      leafward chain /etc/leafward/device-ca/certificate.pem --json
    """
    from leafward.cli.tree import draw_chain
    from leafward.pki.summary import describe_chain

    chain = read_chain(target, name)
    if as_json:
        voice.say_json(describe_chain(target, chain))
        return
    for line in draw_chain(chain):
        voice.say(line)
    if not chain.is_complete:
        voice.warn(f"the chain ends below its root: {chain.top.issuer.rfc4514_string()} is not presented")


def read_chain(target: str, name: str | None = None) -> Chain:
    """The chain of a file, or the one that a server presents, put in order leaf first."""
    path = Path(target)
    if path.exists():
        from leafward.cli.certificate_files import read_certificates

        certificates = read_certificates(path)
    else:
        from leafward.doctor.probe import parse_target, presented_chain

        certificates = list(presented_chain(parse_target(target, name=name)))
    if not certificates:
        raise EncodingError(f"{target} holds no certificate")
    return Chain.ordered(certificates)
