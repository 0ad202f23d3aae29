"""`leafward ca ocsp`: signs OCSP answers ahead, and shows what is answered for a certificate."""

from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import show_facts
from leafward.cli.ca_revocation import open_maker
from leafward.cli.options import home_option, json_option
from leafward.cli.service import system_clock
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.store.inventory import Issued
    from leafward.store.revocations import Asked


@click.group("ocsp", invoke_without_command=True)
@click.option("--issuer", metavar="NAME", help="For the certificates of this authority only.")
@click.option("--all", "everything", is_flag=True, help="Those that are not due, too.")
@passphrase_option
@home_option
@json_option
@click.pass_context
def command(context: click.Context, *, issuer: str | None, everything: bool, home: Home, as_json: bool) -> None:
    """Signs the OCSP answers that are due, for every certificate that has not ended.

    `leafward ca serve` signs an answer when it is first asked for; this signs them ahead, so that none has to wait, and
    so that the CA's key need not be at hand when somebody asks.
    """
    if context.invoked_subcommand is not None:
        return
    from leafward.authority.ocsp_answers import OcspAnswers

    issuance, now = open_maker(home), system_clock()
    answers = OcspAnswers(issuance)
    authorities = [issuance.authorities.get(issuer)] if issuer else list(issuance.authorities)
    signed = {
        one.name: sum(answers.sign_ahead(one, now, everything=everything))
        for one in authorities
        if issuer or one.key is not None
    }
    if as_json:
        voice.say_json(signed)
        return
    for name, count in signed.items():
        voice.say(f"{name:<24}  {count:>8} answers signed")


@command.command("show")
@click.argument("name")
@home_option
@json_option
def show(name: str, *, home: Home, as_json: bool) -> None:
    """What is answered for the certificate of this name, fingerprint or serial number."""
    from leafward.authority.ocsp_answers import USUAL
    from leafward.store.revocations import Answers

    issuance, now = open_maker(home), system_clock()
    issued = issuance.ledger.inventory.get(name, now)
    asked = Answers(issuance.ledger.engine).find(issued.issuer_key_id, issued.serial, USUAL)
    show_facts({"name": issued.name, **_facts(issued, asked)}, as_json)


def _facts(issued: "Issued", asked: "Asked | None") -> dict[str, str | None]:
    last = asked.last if asked is not None and asked.until is not None else None
    until = asked.until if asked is not None else None
    return {
        "sha256": issued.sha256,
        "answer": "good" if issued.revoked is None else "revoked",
        "reason": issued.reason,
        "signed": f"{last:%Y-%m-%dT%H:%M:%SZ}" if last else None,
        "until": f"{until:%Y-%m-%dT%H:%M:%SZ}" if until else None,
    }
