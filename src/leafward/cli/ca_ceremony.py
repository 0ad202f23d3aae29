"""What the `leafward ca ceremony` commands do alike: the stick, the people, what is planned."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.options import Command
from leafward.cli.service import system_clock

if TYPE_CHECKING:
    from leafward.authority.ceremony import Plan
    from leafward.authority.issuance import Issuance

STICK = click.Path(file_okay=False, path_type=Path)


def people_option(function: Command) -> Command:
    """`--by PERSON`: who is there; the command gets `by`."""
    return click.option("--by", multiple=True, required=True, metavar="PERSON", help="Who is there; may be repeated.")(
        function
    )


def plan_of(issuance: "Issuance", stick: Path, issuer: str | None) -> "Plan":
    """What would be signed, by a CA that is named or the only one."""
    from leafward.authority import ceremony

    signer = issuance.authorities.get(issuer) if issuer else issuance.authorities.default_issuer()
    return ceremony.plan(issuance, stick, signer, now=system_clock())


def show_plan(plan: "Plan", as_json: bool) -> None:
    """What would be signed, in full, with the digest to compare with the paper."""
    if as_json:
        items = [one.item.model_dump() for one in plan.items]
        lists = [one.item.model_dump() for one in plan.lists]
        facts = {"digest": plan.digest, "issuer": plan.issuer.name, "items": items, "lists": lists}
        voice.say_json({**facts, "lines": plan.lines()})
        return
    for line in plan.lines():
        voice.say(line)
    voice.say(f"issuer: {plan.issuer.name}")
    voice.say(f"digest: {plan.digest}")
