"""`leafward ca ceremony sign`: offline, shows what is asked, asks, and signs it."""

from pathlib import Path

import click

from leafward.cli.ca_ceremony import STICK, people_option, plan_of, show_plan
from leafward.cli.ca_options import passphrase_option
from leafward.cli.ca_output import open_issuance, show_facts
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.store.home import Home


@click.command("sign")
@click.argument("stick", type=STICK)
@click.option("--issuer", metavar="NAME", help="Which CA signs; default: the only one.")
@click.option("--expect", metavar="DIGEST", help="The digest on the paper, or its first 8 digits or more.")
@people_option
@passphrase_option
@yes_option
@home_option
@json_option
def command(
    stick: Path,
    *,
    issuer: str | None,
    expect: str | None,
    by: tuple[str, ...],
    yes: bool,
    home: Home,
    as_json: bool,
) -> None:
    """Offline: shows what is asked, asks, signs it, writes the transcript, and puts the answer on the stick."""
    from leafward.authority import ceremony
    from leafward.authority.crl_shards import ENDING

    issuance = open_issuance(home)
    plan = plan_of(issuance, stick, issuer)
    if not as_json:
        show_plan(plan, as_json)
    told = expect or click.prompt("the first 8 digits of the digest on the paper, or more")
    ceremony.check_digest(plan, told)
    if not yes:
        lists = " and the revocation lists" if plan.lists else ""
        click.confirm(f"sign {len(plan.items)}{lists} with {plan.issuer.name}?", abort=True, err=True)
    confirmed = f"the digest was given as {told}; {'--yes was given' if yes else 'the question was answered with yes'}"
    paths = ceremony.sign(issuance, plan, by=by, confirmed=confirmed, now=system_clock())
    transcript = ceremony.last_transcript(issuance)
    crls = [str(path) for path in paths if path.suffix == ENDING]
    facts = {"certificates": [str(path) for path in paths if path.suffix != ENDING], "revocation_lists": crls or None}
    show_facts({**facts, "transcript": str(transcript)}, as_json)
