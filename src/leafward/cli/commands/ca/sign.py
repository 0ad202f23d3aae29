"""`leafward ca sign`: signs somebody else's request."""

from pathlib import Path

import click

from leafward.cli.ca_limits import (
    asked_lifetime,
    below_option,
    chosen_issuer,
    forever_option,
    limit_options,
    parsed_limits,
    path_length,
    serial_number_option,
)
from leafward.cli.ca_options import days_option, issuer_option, passphrase_option, proof_option
from leafward.cli.ca_output import open_issuance, proved, show_chain
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

KINDS = ("intermediate_ca", "device_ca", "device_identity", "leaf_device", "verification")


@click.command("sign")
@click.argument("csr", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--profile", "kind", type=click.Choice(KINDS), required=True, help="Kind of the certificate.")
@click.option("--name", metavar="NAME", help="Its common name; default: the request's.")
@click.option("--out", type=click.Path(path_type=Path), help="File for the chain, or a folder; default: NAME.pem")
@issuer_option
@below_option
@limit_options
@serial_number_option
@passphrase_option
@days_option
@forever_option
@proof_option
@home_option
@json_option
def command(
    csr: Path,
    *,
    kind: str,
    name: str | None,
    out: Path | None,
    issuer: str | None,
    intermediates_below: int,
    permit_dns: tuple[str, ...],
    permit_ip: tuple[str, ...],
    policy: tuple[str, ...],
    serial_number: str | None,
    days: int | None,
    forever: bool,
    proof: Path | None,
    home: Home,
    as_json: bool,
) -> None:
    """Signs a request of somebody else's: a contractor's intermediate CA, a device CA, a leaf certificate.

    Only the key is taken from the request, and its common name where none is given.
    """
    from dataclasses import replace

    from leafward import disk
    from leafward.authority.authorities import short_name
    from leafward.authority.signing import free_file, named
    from leafward.pki.profiles import profile
    from leafward.pki.request import CertificateRequest

    now, lifetime = system_clock(), asked_lifetime(days, forever)
    request = named(CertificateRequest.from_csr(disk.read_file(csr)), name)
    path = free_file(out or Path(f"{short_name(request.common_name or '')}.pem"))
    issuance = open_issuance(home)
    chain = issuance.issue(
        profile(kind),
        replace(
            parsed_limits(permit_dns, permit_ip, policy).on(request),
            serial_number=serial_number or request.serial_number,
        ),
        now=now,
        issuer=chosen_issuer(issuance, issuer, lifetime, now),
        lifetime=lifetime,
        path_length=path_length(intermediates_below) if kind == "intermediate_ca" else None,
    )
    disk.make_folder(path.parent)
    disk.write_file(path, chain.to_pem(), mode=disk.PUBLIC)
    facts = {"name": request.common_name, "certificate": str(path)}
    show_chain(chain, {**facts, **proved(issuance, chain, proof)}, as_json)
