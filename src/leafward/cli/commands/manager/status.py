"""`leafward manager status`: what a running manager holds, and what comes next."""

from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.cli.roles import ROLE_NAMES
from leafward.store.home import Home

_DOING = {"renew": "renews", "ends": "ends", "module-due": "is due for the module"}


@click.command("status")
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """What the manager holds, until when, what comes next, and what a person should know about it."""
    from leafward.cli.management_client import get_status

    facts = get_status(home)
    if as_json:
        voice.say_json(facts)
        return
    for line in lines(facts):
        voice.say(line)
    for warning in facts["warnings"]:
        voice.warn(warning)


def lines(facts: dict[str, Any]) -> list[str]:
    """The status as a person reads it. Times are in UTC."""
    development = ", a development chain" if facts["development"] else ""
    shown = [f"{facts['hostname']} ({facts['device_id']}){development}"]
    for role, certificate in facts["certificates"].items():
        renewals = facts["renewals"][role]
        counted = f"  renewed {renewals['done']}, failed {renewals['failed']}" if any(_counts(renewals)) else ""
        name, until = certificate["common_name"] or "-", certificate["not_after"][:10]
        shown.append(f"  {ROLE_NAMES[role]:<12}  {name:<32}  until {until}{counted}")
    offline = facts["safe_offline_until"]
    name = f"{ROLE_NAMES[offline['role']]} {offline['common_name'] or ''}".rstrip()
    shown.append(f"  safe offline until {_minute(offline['at'])}: then the {name} ends")
    coming = facts["next_event"]
    what = _DOING[coming["what"]]
    shown.append(f"  next: {_minute(coming['at'])} {ROLE_NAMES.get(coming['name'], coming['name'])} {what}")
    if facts["on_probation"]:
        shown.append(f"  not proved by the hub yet: {', '.join(ROLE_NAMES[role] for role in facts['on_probation'])}")
    return shown


def _counts(renewals: dict[str, Any]) -> tuple[int, int]:
    return renewals["done"], renewals["failed"]


def _minute(text: str) -> str:
    return text[:16].replace("T", " ")
