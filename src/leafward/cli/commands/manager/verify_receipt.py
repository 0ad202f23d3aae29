"""`leafward manager verify-receipt`: what a wiped device says, checked with the maker's root alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward import disk
from leafward.cli import voice
from leafward.cli.commands.manager.wipe import COUNTS
from leafward.cli.commands.verify import NOT_VALID
from leafward.cli.options import json_option
from leafward.cli.service import system_clock
from leafward.errors import EncodingError

if TYPE_CHECKING:
    from leafward.pki.receipt import Receipt
    from leafward.pki.verify import Verdict

# The longest receipt: one that retires a hundred thousand leaf devices has some 6 MB.
_MOST = 64 * 1024 * 1024
PROVES = (
    "the device CA of this root signed it, and not a byte was changed since",
    "the device CA took back the CAs named: a verifier that is given its list (--crl-to) refuses what hangs below them",
)
DOES_NOT_PROVE = (
    "that nobody kept a copy of a key or a message: it is the device's own statement, and no signature can say that",
    "that the device was not used again since: `leafward manager status` says which owner it has now",
    "that it was made for you: let the seller answer a text of yours (wipe --challenge)",
    "that the old bytes cannot be read from the disk's chips: nothing was overwritten",
)
_ON_A_DEVELOPMENT_DEVICE = "anything about a maker: the root was made on the device itself, for development"


@click.command("verify-receipt")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--root", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The maker's root.")
@click.option("--challenge", metavar="TEXT", help="The text that the receipt must hold.")
@click.option("--crl", type=click.Path(path_type=Path), metavar="FILE", help="Revocation lists of the maker's CAs.")
@click.option("--crl-to", type=click.Path(path_type=Path), metavar="FILE", help="Write the device CA's list there.")
@json_option
def command(
    *, file: Path, root: Path, challenge: str | None, crl: Path | None, crl_to: Path | None, as_json: bool
) -> int:
    """Checks the receipt of a wipe, on any machine, with the maker's root alone: exit code 0 good, 1 not.

    \b
    Example:
      leafward manager verify-receipt receipt.pem --root root.pem --challenge 4711
    """
    from leafward.cli.certificate_files import read_certificates
    from leafward.pki.encoding import load_crls
    from leafward.pki.receipt import judge_receipt, read_receipt
    from leafward.pki.verify import Verdict

    data, anchors = disk.read_file(file, limit=_MOST), read_certificates(root)
    lists = [] if crl is None else load_crls(disk.read_file(crl))
    receipt = None
    try:
        receipt = read_receipt(data)
        verdict = judge_receipt(receipt, anchors, now=system_clock(), crls=lists, challenge=challenge)
    except EncodingError as error:
        verdict = Verdict(False, str(error), "receipt-damaged")
    if crl_to is not None and verdict.valid and receipt is not None:
        from leafward.pki.pem import write_block

        disk.write_file(crl_to, write_block("X509 CRL", receipt.signed.crl), mode=disk.PUBLIC)
    facts = _facts(receipt, verdict)
    if as_json:
        voice.say_json(facts)
    else:
        _show(facts)
    return 0 if verdict.valid else NOT_VALID


def _facts(receipt: "Receipt | None", verdict: "Verdict") -> dict[str, Any]:
    """Nothing of what a receipt says is repeated where it is not to be believed."""
    from leafward.pki.chain import fingerprint

    facts: dict[str, Any] = {"valid": verdict.valid, "reason": verdict.reason, "rule": verdict.rule}
    if receipt is None or not verdict.valid or verdict.path is None:
        return facts
    said = receipt.statement
    unproved = (_ON_A_DEVELOPMENT_DEVICE,) * said.development + DOES_NOT_PROVE
    return {
        **facts,
        "device_ca": fingerprint(receipt.device_ca),
        "root": fingerprint(verdict.path[-1]),
        **said.model_dump(mode="json", exclude={"format", "version", "chain"}),
        "proves": list(PROVES),
        "does_not_prove": list(unproved),
    }


def _show(facts: dict[str, Any]) -> None:
    if not facts["valid"]:
        voice.say(f"not valid: {facts['reason']} ({facts['rule']})")
        return
    behind = ", by a clock that is behind" if facts["clock_behind"] else ""
    voice.say(
        f"valid: owner {facts['owner_epoch']} of the device {facts['device']!r} left at {facts['finished']}{behind}"
    )
    voice.say(f"  device CA  {facts['device_ca']}")
    voice.say(f"  root       {facts['root']}")
    voice.say("it says that it destroyed:")
    for key in facts["keys"]:
        voice.say(f"  key of {key['kind']:<18}  {key['key'] or '-'}")
    for name, number in facts["counts"].items():
        voice.say(f"  {'an unknown number of' if number is None else number} {COUNTS.get(name, name)}")
    for one in facts["retired"]:
        voice.say(f"  retired {one['kind']:<17}  {one['sha256']}")
    for title, lines in (("it proves:", facts["proves"]), ("it does not prove:", facts["does_not_prove"])):
        voice.say(title)
        for line in lines:
            voice.say(f"  {line}")
