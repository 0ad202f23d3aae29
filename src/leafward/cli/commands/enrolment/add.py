"""`leafward enrolment add`: admits a device, or a group of devices."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.enrolment_options import (
    FILE,
    group_option,
    opened,
    policy_options,
    policy_values,
    say_enrolment,
)
from leafward.cli.options import checked_by, home_option, json_option
from leafward.cli.service import system_clock
from leafward.errors import EncodingError, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.enrolments import Attestation, SymmetricKeys

_KINDS = ("certificate", "ca", "symmetric_key", "endorsement_key")


@click.command("add")
@click.argument("enrolment_id", metavar="ID", callback=checked_by("parse_registration_id"))
@group_option
@click.option("--certificate", type=FILE, help="The device's certificate; with --group a CA's.")
@click.option("--secondary-certificate", type=FILE, help="A second one, to go over to.")
@click.option("--ca", metavar="NAME", help="With --group: a registered CA.")
@click.option("--secondary-ca", metavar="NAME", help="A second one.")
@click.option("--symmetric-key", is_flag=True, help="Symmetric keys: made here, or read by --key-file.")
@click.option("--key-file", type=FILE, help="Two lines, each a key in base64: the primary, the secondary.")
@click.option("--endorsement-key", metavar="BASE64|@FILE", help="A TPM's endorsement key (TPM2B_PUBLIC).")
@click.option("--disabled", is_flag=True, help="Admit nobody by it yet.")
@policy_options
@home_option
@json_option
def command(enrolment_id: str, *, group: bool, disabled: bool, home: Home, as_json: bool, **asked: Any) -> None:
    """Admits the device that registers as ID, or with --group the devices of a CA or of a key.

    \b
    Examples:
      leafward enrolment add pump-7 --certificate pump-7.pem --device-id pump-north
      leafward enrolment add pump-8 --symmetric-key
      leafward enrolment add line-3 --group --ca line-3 --twin '{"tags": {"line": 3}}'
      leafward enrolment add plant --group --certificate device-ca.pem --hub gw-1.local --hub gw-2.local
    """
    from leafward.provisioning.enrolling import fresh_etag
    from leafward.store.enrolments import Enrolment

    now = system_clock()
    enrolment = Enrolment(
        id=enrolment_id,
        group=group,
        attestation=_attestation(asked, group=group),
        created=now,
        updated=now,
        etag=fresh_etag(),
        enabled=not disabled,
        **policy_values(asked),
    )
    with opened(home) as books:
        books.enrolments.add(enrolment)
        unproved = asked["certificate"] is not None and group and not any(ca.verified for ca in books.cas.all())
    # Keys that were made here are shown once; those of a file are known.
    say_enrolment(enrolment, as_json, secrets=asked["symmetric_key"] and asked["key_file"] is None)
    if unproved:
        voice.warn("no CA is proved yet, so this group admits nobody")
        voice.hint("leafward provisioning ca add CERT")


def _attestation(asked: dict[str, Any], *, group: bool) -> "Attestation":
    from leafward.cli.certificate_files import read_certificates
    from leafward.provisioning.enrolling import fresh_keys
    from leafward.provisioning.enrolment_json import read_signer
    from leafward.store.enrolments import CaReferences, Certificates, EndorsementKey

    if sum(bool(asked[name]) for name in _KINDS) != 1:
        hint = "--certificate FILE, --ca NAME, --symmetric-key or --endorsement-key"
        raise UsageError("an enrolment is by one kind of proof", hint=hint)
    if asked["certificate"] is not None:
        files = [asked["certificate"], *([asked["secondary_certificate"]] if asked["secondary_certificate"] else [])]
        return Certificates(*(read_signer(read_certificates(file)[0], group=group) for file in files))
    if asked["ca"] is not None:
        return CaReferences(asked["ca"], asked["secondary_ca"])
    if asked["symmetric_key"]:
        return fresh_keys() if asked["key_file"] is None else _keys(asked["key_file"])
    return EndorsementKey(_endorsement_key(asked["endorsement_key"]))


def _keys(file: Path) -> "SymmetricKeys":
    from leafward import disk
    from leafward.store.enrolments import SymmetricKeys
    from leafward.wire.base64_text import decode_base64

    lines = disk.read_file(file, limit=4096).decode("ascii", "replace").split()
    if len(lines) != 2:
        raise EncodingError(f"{file} cannot be used", why=f"got {len(lines)} lines, expected two keys in base64")
    return SymmetricKeys(*(decode_base64(line, f"key in {file}") for line in lines))


def _endorsement_key(text: str) -> bytes:
    from leafward import disk
    from leafward.wire.base64_text import decode_base64
    from leafward.wire.dps_tpm_public import TpmPublic

    if text.startswith("@"):
        data = disk.read_file(Path(text[1:]), limit=8192)
        key = (
            data
            if data[:2] == (len(data) - 2).to_bytes(2, "big")
            else decode_base64("".join(data.decode("ascii", "replace").split()), "endorsement key")
        )
    else:
        key = decode_base64(text, "endorsement key")
    TpmPublic.parse(key, "endorsement key")
    return key
