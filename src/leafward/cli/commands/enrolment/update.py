"""`leafward enrolment update`: changes what an enrolment gives, or by what it admits."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli.enrolment_options import (
    FILE,
    enrolment_argument,
    etag_option,
    group_option,
    opened,
    policy_options,
    policy_values,
    say_enrolment,
)
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.errors import UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.enrolments import Attestation, Enrolment


@click.command("update")
@enrolment_argument
@group_option
@click.option("--certificate", type=FILE, help="Another primary certificate.")
@click.option("--secondary-certificate", type=FILE, help="Another secondary certificate.")
@click.option("--new-key", type=click.Choice(("primary", "secondary")), help="Makes this symmetric key anew.")
@policy_options
@etag_option
@home_option
@json_option
def command(
    enrolment_id: str,
    *,
    group: bool,
    certificate: Path | None,
    secondary_certificate: Path | None,
    new_key: str | None,
    etag: str | None,
    home: Home,
    as_json: bool,
    **asked: Any,
) -> None:
    """Changes an enrolment; what is not named stays. Devices get what is new when they register again.

    \b
    Examples:
      leafward enrolment update pump-7 --secondary-certificate pump-7-next.pem
      leafward enrolment update line-3 --group --reprovision reset --twin @twin.json
      leafward enrolment update batch-9 --group --new-key secondary
    """
    from leafward.provisioning.enrolling import fresh_etag

    with opened(home) as books:
        before = books.enrolments.get(enrolment_id, group=group)
        attestation = before.attestation
        if certificate is not None or secondary_certificate is not None:
            attestation = _certificates(before, certificate, secondary_certificate)
        if new_key is not None:
            attestation = _keys(before, new_key)
        changed = replace(
            before, attestation=attestation, etag=fresh_etag(), updated=system_clock(), **policy_values(asked)
        )
        books.enrolments.replace(changed, etag=etag or before.etag)
    say_enrolment(changed, as_json, secrets=new_key is not None)


def _certificates(enrolment: "Enrolment", primary: Path | None, secondary: Path | None) -> "Attestation":
    from leafward.cli.certificate_files import read_certificates
    from leafward.provisioning.enrolment_json import read_signer
    from leafward.store.enrolments import Certificates

    if not isinstance(enrolment.attestation, Certificates):
        raise UsageError(f"{enrolment.label} is not by certificate")
    new = [
        None if file is None else read_signer(read_certificates(file)[0], group=enrolment.group)
        for file in (primary, secondary)
    ]
    return Certificates(new[0] or enrolment.attestation.primary, new[1] or enrolment.attestation.secondary)


def _keys(enrolment: "Enrolment", which: str) -> "Attestation":
    from leafward.provisioning.enrolling import fresh_keys
    from leafward.store.enrolments import SymmetricKeys

    if not isinstance(enrolment.attestation, SymmetricKeys):
        raise UsageError(f"{enrolment.label} is not by symmetric key")
    return replace(enrolment.attestation, **{which: fresh_keys().primary})
