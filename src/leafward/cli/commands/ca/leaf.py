"""`leafward ca leaf`: issues an end-entity certificate."""

from pathlib import Path

import click

from leafward.cli.ca_limits import asked_lifetime, forever_option, serial_number_option
from leafward.cli.ca_options import (
    csr_option,
    days_option,
    default_folder,
    issuer_option,
    key_option,
    out_option,
    passphrase_option,
    proof_option,
    succession_options,
)
from leafward.cli.ca_output import issue_and_show
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

LEAF_KINDS = ("leaf_device", "device_identity", "verification")


@click.command("leaf")
@click.argument("name")
@click.option("--profile", "kind", type=click.Choice(LEAF_KINDS), default="leaf_device", show_default=True)
@csr_option
@out_option
@succession_options
@issuer_option
@key_option
@passphrase_option
@days_option
@forever_option
@serial_number_option
@proof_option
@home_option
@json_option
def command(
    name: str,
    *,
    kind: str,
    csr: Path | None,
    out: Path | None,
    replacing: bool,
    renewing: bool,
    issuer: str | None,
    key: str,
    days: int | None,
    forever: bool,
    serial_number: str | None,
    proof: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Issues an end-entity certificate: of a leaf device, a device's identity, or to prove a CA.

    A leaf device's NAME is its device id, which is its registration id.
    """
    if kind == "leaf_device":
        from leafward.pki.names import parse_device_id

        parse_device_id(name)
    issue_and_show(
        home,
        kind,
        name,
        csr=csr,
        folder=out or default_folder(name),
        issuer=issuer,
        key=key,
        lifetime=asked_lifetime(days, forever),
        serial_number=serial_number,
        proof=proof,
        as_json=as_json,
        replacing=replacing,
        renewing=renewing,
    )
