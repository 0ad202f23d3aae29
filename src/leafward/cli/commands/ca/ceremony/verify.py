"""`leafward ca ceremony verify`: the transcripts, each against the one before it and against the signed log."""

import click

from leafward.cli import voice
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import open_issuance
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("verify")
@passphrase_option
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """Checks that the transcripts follow one another and are those of the signed log. Exit code 3 where one is not.

    Prints their digests, and writes the proofs that are missing: NNNN-….tlog-proof, for leafward ca log verify-proof.
    """
    from leafward.authority.transcript_log import verify_transcripts

    found = verify_transcripts(open_issuance(home))
    if as_json:
        voice.say_json(
            [
                {
                    "transcript": str(one.path),
                    "sha256": one.sha256,
                    "log_index": one.log_index,
                    "proof": None if one.proof is None else str(one.proof),
                }
                for one in found
            ]
        )
        return
    for one in found:
        voice.say(f"{one.sha256}  {one.path.name}  {_standing(one.log_index, one.proof is not None)}")
    if not found:
        voice.hint('no ceremony yet: leafward ca ceremony root --cn "Example Root CA" --by "A. Person"')


def _standing(log_index: int | None, signed: bool) -> str:
    if log_index is None:
        return "not in the log: written by an earlier version"
    return f"entry {log_index} of the log, {'signed' if signed else 'not signed yet'}"
