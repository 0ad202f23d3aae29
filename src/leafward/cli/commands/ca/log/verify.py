"""`leafward ca log verify`: hashes the whole log anew and compares it with all that is known of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_log import FILE, FOLDER, NOT_AS_SIGNED, open_log, progress_bar
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.errors import InputError, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.issuance_log.difference import Report


@click.command("verify")
@click.option("--checkpoint", "checkpoints", type=FILE, multiple=True, help="A checkpoint kept elsewhere; repeat it.")
@click.option("--export", "exported", type=FOLDER, help="Compare with exported files too.")
@click.option("--files-only", is_flag=True, help="Verify the exported files alone, without this home.")
@click.option("--proof", "proof_file", type=FILE, help="Verify this proof instead; see also verify-proof.")
@click.option("--certificate", type=FILE, help="With --proof: the certificate it must be about.")
@click.option("--log-key", metavar="KEY|FILE", help="The log's public key; default: the one kept in this home.")
@home_option
@json_option
def command(
    *,
    checkpoints: tuple[Path, ...],
    exported: Path | None,
    files_only: bool,
    proof_file: Path | None,
    certificate: Path | None,
    log_key: str | None,
    home: Home,
    as_json: bool,
) -> int:
    """Hashes the whole log anew and compares it with all that is known of it. Exit 1 where anything differs."""
    from leafward.authority.log_verification import read_key, verify_files, verify_home

    given = read_key(log_key) if log_key is not None else None
    if proof_file is not None:
        return _verify_proof(home, proof_file, certificate, log_key, as_json)
    with progress_bar("verifying", quiet=as_json) as progress:
        if files_only:
            if exported is None or given is None:
                hint = "leafward ca log verify --files-only --export DIR --log-key KEY"
                raise UsageError("--files-only needs --export and --log-key", hint=hint)
            report = verify_files(exported, given, checkpoints=checkpoints, progress=progress)
        else:
            report = verify_home(
                open_log(home),
                now=system_clock(),
                key=given,
                checkpoints=checkpoints,
                exported=exported,
                progress=progress,
            )
    return _tell(report, as_json)


def _verify_proof(home: Home, path: Path, certificate: Path | None, log_key: str | None, as_json: bool) -> int:
    from leafward.authority.log_keys import known_key
    from leafward.authority.log_verification import read_key, verify_proof

    key = read_key(log_key) if log_key is not None else known_key(home.maker)
    if key is None:
        raise UsageError("the log's public key is needed", hint="--log-key KEY, as `leafward ca log key` prints it")
    try:
        signed, entry = verify_proof(path, key, certificate)
    except InputError as error:
        if as_json:
            voice.say_json({"valid": False, "reason": str(error)})
        else:
            voice.fail(error)
        return NOT_AS_SIGNED
    facts = {"kind": entry.kind, "sha256": entry.sha256, "serial": f"{entry.serial:x}", "recorded": str(entry.time)}
    if as_json:
        voice.say_json({"valid": True, "origin": signed.origin, "size": signed.size, **facts})
    else:
        voice.say(f"proved: {entry.kind} {entry.sha256} is in {signed.origin}, signed at {signed.size} entries")
        if certificate is None:
            voice.hint("--certificate FILE says whether this is your certificate")
    return 0


def _tell(report: "Report", as_json: bool) -> int:
    if as_json:
        voice.say_json(
            {
                "valid": report.is_good,
                "size": report.size,
                "root": report.root.hex() if report.root else None,
                "signed": report.signed,
                "differences": [found.to_json() for found in report.differences],
                "not_shown": report.not_shown,
            }
        )
    elif report.is_good:
        voice.say(f"the log of {report.size} entries is as it was signed, up to entry {report.signed}")
        if report.signed < report.size:
            voice.hint("leafward ca log checkpoint signs the rest")
    else:
        for found in report.differences:
            voice.say(str(found))
        if report.not_shown:
            voice.say(f"and {report.not_shown} more")
    return 0 if report.is_good else NOT_AS_SIGNED
