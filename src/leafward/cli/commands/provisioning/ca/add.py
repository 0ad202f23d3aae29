"""`leafward provisioning ca add`."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import opened, say_ca
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("add")
@click.argument("certificate", type=click.Path(dir_okay=False, path_type=Path), metavar="CERT")
@click.option("--name", metavar="NAME", help="Default: its common name.")
@home_option
@json_option
def command(certificate: Path, name: str | None, home: Home, as_json: bool) -> None:
    """Registers the CA whose certificate is the first in CERT. It admits nobody until it is proved."""
    from leafward.cli.certificate_files import read_certificates
    from leafward.provisioning.enrolling import register_ca

    with opened(home) as books:
        ca = register_ca(books.cas, name, read_certificates(certificate)[0], system_clock())
    say_ca(ca, as_json)
    if not as_json:
        voice.hint(f"leafward provisioning ca code {ca.name}")
