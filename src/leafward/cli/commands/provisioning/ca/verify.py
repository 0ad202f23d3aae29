"""`leafward provisioning ca verify`."""

from pathlib import Path

import click

from leafward.cli.enrolment_options import opened, say_ca
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("verify")
@click.argument("name")
@click.argument("certificate", type=click.Path(dir_okay=False, path_type=Path), metavar="VERIFICATION_CERT")
@home_option
@json_option
def command(name: str, certificate: Path, home: Home, as_json: bool) -> None:
    """Proves a CA by a certificate that it signed and whose common name is the newest code."""
    from leafward.cli.certificate_files import read_certificates
    from leafward.provisioning.enrolling import verify_ca

    with opened(home) as books:
        ca = verify_ca(books.cas, name, read_certificates(certificate)[0], system_clock())
    say_ca(ca, as_json)
