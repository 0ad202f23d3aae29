"""`leafward ca device`: issues a device CA, and on request the device's identity beside it."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from leafward.cli.ca_limits import (
    asked_lifetime,
    chosen_issuer,
    limit_options,
    parsed_limits,
    serial_number_option,
)
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
from leafward.cli.ca_output import delivered, issue_and_show, key_source, open_issuance, proved, show_chain
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@dataclass(frozen=True)
class WantedIdentity:
    """`--with-identity` and what belongs to it."""

    csr: Path | None
    serial_number: str
    forever: bool
    proof: Path | None


@click.command("device")
@click.argument("name")
@csr_option
@out_option
@click.option("--install", is_flag=True, help="Make it this home's own device CA.")
@click.option("--hostname", metavar="HOST", help="The gateway's hostname, which the device CA must not be named.")
@limit_options
@click.option(
    "--gateways-below",
    type=click.IntRange(0, 6),
    default=0,
    show_default=True,
    help="How many further gateways are to hang one below another (nested edges).",
)
@click.option("--with-identity", is_flag=True, help="Also its identity (802.1AR IDevID), in the folder identity/.")
@click.option("--identity-csr", type=click.Path(path_type=Path), help="Request for the identity's own key.")
@serial_number_option
@click.option("--forever", is_flag=True, help="The identity without an end (99991231235959Z).")
@proof_option
@click.option("--identity-proof", type=click.Path(path_type=Path), help="File for the identity's own proof.")
@succession_options
@issuer_option
@key_option
@passphrase_option
@days_option
@home_option
@json_option
def command(
    name: str,
    *,
    out: Path | None,
    install: bool,
    hostname: str | None,
    permit_dns: tuple[str, ...],
    permit_ip: tuple[str, ...],
    policy: tuple[str, ...],
    gateways_below: int,
    with_identity: bool,
    identity_csr: Path | None,
    serial_number: str | None,
    forever: bool,
    identity_proof: Path | None,
    days: int | None,
    home: Home,
    **common: Any,
) -> None:
    """Issues a device CA, named NAME (never the gateway's hostname).

    --permit-dns and --permit-ip fence it to a site: whoever steals the gateway can be no other one. The identity's
    serial number is NAME unless --serial-number is given.
    """
    from leafward.authority.issuance import refuse_hostname
    from leafward.cli.edge import kept_hostname
    from leafward.errors import UsageError

    refuse_hostname(name, hostname or kept_hostname(home))
    asked: dict[str, Any] = {
        **common,
        "folder": home.manager / "device-ca" if install else out or default_folder(name),
        "limits": replace(parsed_limits(permit_dns, permit_ip, policy), gateways_below=gateways_below),
        "lifetime": asked_lifetime(days, forever=False),
    }
    if with_identity:
        wanted = WantedIdentity(identity_csr, serial_number or name, forever, identity_proof)
        _issue_both(home, name, wanted, **asked)
    elif forever or identity_csr or serial_number or identity_proof:
        raise UsageError("that option is for a device's identity", hint="give --with-identity too")
    else:
        issue_and_show(home, "device_ca", name, **asked)


def _issue_both(
    home: Home,
    name: str,
    wanted: WantedIdentity,
    *,
    csr: Path | None,
    key: str,
    issuer: str | None,
    lifetime: timedelta | None,
    proof: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    from leafward.authority.device_pair import Identity, deliver_device
    from leafward.errors import UsageError

    if (csr is None) != (wanted.csr is None):
        raise UsageError("one of the two keys would be made here", hint="give --csr and --identity-csr, or neither")
    issuance, now = open_issuance(home), system_clock()
    forever = asked_lifetime(None, wanted.forever)
    identity = Identity(key_source(wanted.csr, key), wanted.serial_number, forever or lifetime)
    chosen_issuer(issuance, issuer, forever, now)
    device_ca, made = deliver_device(
        issuance,
        name,
        key_source(csr, key),
        identity,
        now=now,
        issuer=chosen_issuer(issuance, issuer, lifetime, now),
        lifetime=lifetime,
        **asked,
    )
    facts = {
        "name": name,
        **delivered(device_ca),
        **{f"identity_{label}": path for label, path in delivered(made).items()},
        **proved(issuance, device_ca.chain, proof),
        **proved(issuance, made.chain, wanted.proof, "identity_proof"),
    }
    show_chain(device_ca.chain, facts, as_json)
