"""`leafward manager rotate`: new certificates while everything runs, and nobody is dropped."""

from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.roles import ROLE_NAMES
from leafward.errors import LeafwardError
from leafward.store.home import Home
from leafward.wire.rotation import LEVELS, Level

_SHOWN = 16  # digits of a fingerprint that tell two apart


@click.command("rotate")
@click.argument("level", type=click.Choice(LEVELS), default="hub")
@click.option("--dry-run", is_flag=True, help="Only say what would be made anew.")
@home_option
@json_option
def command(home: Home, level: Level, dry_run: bool, as_json: bool) -> None:
    """Makes the hub's certificate (hub), or also the workload CA above it (workload), or everything below another
    device CA (device) anew, with new keys. Connections that stand live on.

    The hub proves the new chain before it serves it. Where that fails, the old one is in use again. For another device
    CA put its certificate and key in place first, unless [enrolment] says where to get it.
    """
    from leafward.cli.management_client import rotate

    outcome = rotate(home, level, dry_run=dry_run)
    if as_json:
        voice.say_json(outcome)
    else:
        _show(outcome)
    if outcome["state"] == "rolled-back":
        raise LeafwardError(
            "the rotation was taken back, the old certificates are in use",
            why=outcome["reason"],
            hint="leafward manager status",
        )


def _show(outcome: dict[str, Any]) -> None:
    for one in outcome["changed"]:
        name, before = ROLE_NAMES[one["name"]], one["before"][:_SHOWN]
        if one["after"] is None:
            voice.say(f"{name:<12}  {before}  would be made anew (until {one['not_after'][:10]})")
        else:
            voice.say(f"{name:<12}  {before} -> {one['after'][:_SHOWN]}  until {one['not_after'][:10]}")
    hub = outcome["hub"]
    if hub is not None and hub["accepted"]:
        held = hub["connections"]
        voice.say(f"the hub serves the new chain; {held} connection{'' if held == 1 else 's'} held")
    if outcome["state"] == "unproved":
        voice.warn(outcome["reason"])
    for warning in outcome["warnings"]:
        voice.warn(warning)
