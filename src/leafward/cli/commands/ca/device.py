"""`leafward ca device`: issues a device CA."""

from pathlib import Path

import click

from leafward.cli.ca_options import csr_option, days_option, issuer_option, key_option, out_option
from leafward.cli.ca_output import issue_and_show
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

DEVICE_CA_DAYS = 3650


@click.command("device")
@click.argument("name")
@csr_option
@out_option
@click.option("--install", is_flag=True, help="Make it this home's own device CA.")
@issuer_option
@key_option
@days_option
@home_option
@json_option
def command(
    name: str,
    *,
    csr: Path | None,
    out: Path | None,
    install: bool,
    issuer: str | None,
    key: str,
    days: int | None,
    home: Home,
    as_json: bool,
) -> None:
    """Issues a device CA, named NAME (never the gateway's hostname)."""
    from leafward.authority.issuance import refuse_hostname
    from leafward.cli.edge import kept_hostname

    if install:
        refuse_hostname(name, kept_hostname(home))
    folder = home.manager / "device-ca" if install else out or Path(name)
    issue_and_show(
        home,
        "device_ca",
        name,
        csr=csr,
        folder=folder,
        issuer=issuer,
        key=key,
        days=days or DEVICE_CA_DAYS,
        as_json=as_json,
    )
