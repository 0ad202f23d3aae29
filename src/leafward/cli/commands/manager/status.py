"""`leafward manager status`: what a running manager holds, and what comes next."""

from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.doctor_home import home_report, report_json, report_lines
from leafward.cli.options import home_option, json_option
from leafward.cli.roles import ROLE_NAMES
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.doctor.runner import Report

_DOING = {"renew": "renews", "ends": "ends"}
_ENROLMENT = {
    "idle": "not asked since the start",
    "good": "it answered",
    "failing": "it failed, and may mend itself",
    "refused": "somebody has to act first",
}


@click.command("status")
@click.option(
    "--check",
    is_flag=True,
    help="Also look at the chain as a leaf device does, and tell all, as `leafward doctor` on the home.",
)
@home_option
@json_option
def command(home: Home, check: bool, as_json: bool) -> int:
    """What the manager holds, until when, what comes next, and what a person should know about it.

    With the doctor's verdict on the chain as it is filed; --check also looks at what the hub serves, tells all of it,
    and exits with 1 where it fails.
    """
    from leafward.cli.management_client import get_status

    facts = get_status(home)
    report = home_report(home, live=check)
    if as_json:
        voice.say_json({**facts, "diagnosis": report_json(report)})
        return int(check and report.failed)
    for line in lines(facts):
        voice.say(line)
    for warning in facts["warnings"]:
        voice.warn(warning)
    for line in ("", *report_lines(report)) if check else _verdict(report):
        voice.say(line)
    return int(check and report.failed)


def _verdict(report: "Report") -> list[str]:
    """The doctor's, short."""
    cause = report.cause
    if cause is None:
        warned = ", ".join(dict.fromkeys(one.code for one in report.findings if one.severity == "warning"))
        return [f"  doctor: {report.verdict}" + (f" ({warned})" if warned else "")]
    return [f"  doctor: {cause.title}  [{cause.code}]", f"    {cause.who}: {cause.fix}"]


def lines(facts: dict[str, Any]) -> list[str]:
    """The status as a person reads it. Times are in UTC."""
    development = ", a development chain" if facts["development"] else ""
    shown = [f"{facts['hostname']} ({facts['device_id']}){development}"]
    if facts["owner_epoch"] > 1:
        shown.append(f"  owner {facts['owner_epoch']} of this device")
    for role, certificate in facts["certificates"].items():
        renewals = facts["renewals"][role]
        counted = f"  renewed {renewals['done']}, failed {renewals['failed']}" if any(_counts(renewals)) else ""
        name, until = certificate["common_name"] or "-", certificate["not_after"][:10]
        shown.append(f"  {ROLE_NAMES[role]:<12}  {name:<32}  until {until}{counted}")
    offline = facts["safe_offline_until"]
    name = f"{ROLE_NAMES[offline['role']]} {offline['common_name'] or ''}".rstrip()
    shown.append(f"  safe offline until {_minute(offline['at'])}: then the {name} ends")
    shown.append(f"  next: {_minute(facts['next_event']['at'])} {_coming(facts['next_event'])}")
    if facts["on_probation"]:
        shown.append(f"  not proved by the hub yet: {', '.join(ROLE_NAMES[role] for role in facts['on_probation'])}")
    return [*shown, *_enrolment(facts["enrolment"]), *_clock(facts["time"])]


def _coming(event: dict[str, Any]) -> str:
    name = event["name"]
    if event["what"] == "module-due":
        return f"the module {name} is told to ask for its next certificate"
    return f"{ROLE_NAMES.get(name, name)} {_DOING[event['what']]}"


def _enrolment(facts: dict[str, Any] | None) -> list[str]:
    """Where the device CA is asked for, how that goes, and when it is asked for again. Nothing where it is in files."""
    if facts is None:
        return []
    shown = [f"  enrolment at {facts['url']}: {_ENROLMENT[facts['state']]}"]
    if facts["failures"]:
        times = f"{facts['failures']} failure{'s' if facts['failures'] > 1 else ''}"
        shown.append(f"    {times}, last at {_minute(facts['last_attempt'])}: {facts['last_error']}")
    elif facts["last_success"]:
        shown.append(f"    last answer at {_minute(facts['last_success'])}")
    return [*shown, f"    asked again at {_minute(facts['next_attempt'])}"]


def _clock(facts: dict[str, Any]) -> list[str]:
    """Only where the system's clock is not believed: which time is used, and what is known."""
    if not facts["floor_in_use"]:
        return []
    known = "a time server said so" if facts["vouched_for"] else "nobody vouched for it"
    return [
        f"  clock: {_minute(facts['now'])} is used, the system says {_minute(facts['system'])}",
        f"    last seen {_minute(facts['seen'])} ({known}); never before {_minute(facts['hard_floor'])}",
    ]


def _counts(renewals: dict[str, Any]) -> tuple[int, int]:
    return renewals["done"], renewals["failed"]


def _minute(text: str) -> str:
    return text[:16].replace("T", " ")
