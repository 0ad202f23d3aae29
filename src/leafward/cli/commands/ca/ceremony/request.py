"""`leafward ca ceremony request`: online, puts a request on the stick."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_ceremony import STICK
from leafward.cli.ca_limits import (
    below_option,
    limit_options,
    limit_texts,
    parsed_limits,
    path_length,
    serial_number_option,
)
from leafward.cli.ca_options import days_option
from leafward.cli.ca_output import show_facts
from leafward.cli.commands.ca.sign import KINDS
from leafward.cli.options import json_option
from leafward.cli.service import system_clock


@click.command("request")
@click.argument("stick", type=STICK)
@click.argument("csr", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--profile", type=click.Choice(KINDS), default="intermediate_ca", show_default=True)
@click.option("--name", metavar="NAME", help="Common name; default: the request's.")
@below_option
@limit_options
@serial_number_option
@days_option
@json_option
def command(
    stick: Path,
    csr: Path,
    *,
    profile: str,
    name: str | None,
    intermediates_below: int,
    permit_dns: tuple[str, ...],
    permit_ip: tuple[str, ...],
    policy: tuple[str, ...],
    serial_number: str | None,
    days: int | None,
    as_json: bool,
) -> None:
    """Online: puts the request CSR on the stick; may be repeated for more. Write the digest on paper."""
    from leafward import disk
    from leafward.authority import ceremony
    from leafward.authority.signing import named
    from leafward.authority.stick import Item
    from leafward.pki.request import CertificateRequest

    data = disk.read_file(csr)
    item = Item(
        file="unplaced",
        sha256="0" * 64,
        profile=profile,
        name=str(named(CertificateRequest.from_csr(data), name).common_name),
        days=days,
        path_length=path_length(intermediates_below) if profile == "intermediate_ca" else None,
        serial_number=serial_number,
        **limit_texts(parsed_limits(permit_dns, permit_ip, policy)),
    )
    digest = ceremony.ask(stick, data, item, now=system_clock())
    show_facts({"stick": str(stick), "digest": digest}, as_json)
    if not as_json:
        voice.hint("write the digest on paper; on the offline machine: leafward ca ceremony show STICK")
