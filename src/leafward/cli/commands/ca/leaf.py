"""`leafward ca leaf`: issues an end-entity certificate."""

from pathlib import Path

import click

from leafward.cli.ca_options import csr_option, days_option, issuer_option, key_option, out_option
from leafward.cli.ca_output import issue_and_show
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

LEAF_KINDS = ("leaf_device", "device_identity", "verification")


@click.command("leaf")
@click.argument("name")
@click.option("--profile", "kind", type=click.Choice(LEAF_KINDS), default="leaf_device", show_default=True)
@csr_option
@out_option
@issuer_option
@key_option
@days_option
@home_option
@json_option
def command(
    name: str,
    *,
    kind: str,
    csr: Path | None,
    out: Path | None,
    issuer: str | None,
    key: str,
    days: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Issues an end-entity certificate: of a leaf device, a device's identity, or to prove a CA."""
    issue_and_show(
        home, kind, name, csr=csr, folder=out or Path(name), issuer=issuer, key=key, days=days, as_json=as_json
    )
