"""`leafward ca log verify-proof`: what an auditor runs, with nothing of the maker's but two files and a line."""

from pathlib import Path

import click

from leafward.cli import voice
from leafward.cli.ca_log import FILE, NOT_AS_SIGNED, log_key_option
from leafward.cli.options import json_option
from leafward.errors import InputError, LeafwardError, UsageError


@click.command("verify-proof")
@click.argument("file", metavar="CERTIFICATE", type=FILE)
@click.argument("proof", metavar="PROOF", type=FILE)
@log_key_option
@json_option
def command(file: Path, proof: Path, log_key: str | None, as_json: bool) -> int:
    """Verifies that CERTIFICATE is in the log that KEY signed. Needs no home, no network and no maker.

    CERTIFICATE is a certificate (of a chain: the first), a revocation list, or a ceremony's transcript. Exit code 1
    where the proof does not hold, or is of something else.
    """
    from leafward.authority.log_verification import read_key, verify_proof

    if log_key is None:
        raise UsageError("the log's public key is needed", hint="--key KEY, as `leafward ca log key` prints it")
    key = read_key(log_key)
    try:
        signed, entry = verify_proof(proof, key, file)
    except InputError as error:
        return _refused(error, as_json)
    facts = {"kind": entry.kind, "sha256": entry.sha256, "serial": f"{entry.serial:x}", "recorded": str(entry.time)}
    if as_json:
        voice.say_json({"valid": True, "origin": signed.origin, "size": signed.size, **facts})
    else:
        voice.say(f"proved: {file} ({entry.kind}) is in {signed.origin}, signed at {signed.size} entries")
        voice.say(f"recorded {entry.time:%Y-%m-%dT%H:%M:%SZ}, SHA-256 {entry.sha256}")
    return 0


def _refused(error: LeafwardError, as_json: bool) -> int:
    if as_json:
        voice.say_json({"valid": False, "reason": str(error)})
    else:
        voice.fail(error)
    return NOT_AS_SIGNED
