"""`leafward hub failures`: which leaf devices cannot connect, why, and who can mend it."""

from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option, yes_option
from leafward.errors import NotFound, PeerUnavailable, UsageError
from leafward.store.home import Home

PATH = "/hub/failures"


@click.command("failures")
@click.option("--clear", is_flag=True, help="Forget all of it: what still fails comes back by itself.")
@click.option("--dry-run", is_flag=True, help="With --clear: show what would be forgotten.")
@yes_option
@home_option
@json_option
def command(home: Home, clear: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Which leaf devices cannot connect, and why: failed TLS handshakes and refused logins, the latest first.

    One line for each address and what went wrong there, however often; kept over a restart of the hub. The codes are
    those of `leafward doctor`, which looks at the chain that clients are shown: its fault is their cause.

    \b
    Examples:
      leafward hub failures
      leafward hub failures --json | jq '.failures[] | select(.connected == null)'
      leafward hub failures --clear --yes
    """
    if dry_run and not clear:
        raise UsageError("--dry-run is for --clear", hint="leafward hub failures --help")
    facts = _asked(home)
    if clear and not dry_run:
        _clear(home, len(facts["failures"]), yes=yes, as_json=as_json)
    else:
        _tell(home, facts, as_json=as_json)


def _tell(home: Home, facts: dict[str, Any], *, as_json: bool) -> None:
    from leafward.cli.doctor_home import home_report
    from leafward.cli.hub_verdict import in_the_light_of, verdict_lines

    facts = in_the_light_of(facts, home_report(home))
    if as_json:
        voice.say_json(facts)
        return
    for line in (*lines(facts), *verdict_lines(facts)):
        voice.say(line)


def lines(facts: dict[str, Any]) -> list[str]:
    """The list as a person reads it. Times are in UTC."""
    failures = facts["failures"]
    if not failures:
        return [f"no failures since {_when(facts['since'])}"]
    shown = [f"{_kinds(len(failures))} since {_when(facts['since'])}, the latest first"]
    for failure in failures:
        shown += ["", *_described(failure)]
    return shown


def _described(failure: dict[str, Any]) -> list[str]:
    times = "once" if failure["count"] == 1 else f"{failure['count']} times since {_when(failure['first'])}"
    shown = [
        f"{failure['code']}  {_who(failure)}  {times}, last {_when(failure['last'])}",
        f"  {failure['title']}{_seen(failure)}",
        f"  {failure['who']}: {failure['fix']}",
    ]
    if failure["alternatives"]:
        shown.append(f"  or it is {', '.join(failure['alternatives'])}")
    if failure["connected"] is not None:
        shown.append(f"  connected since, at {_when(failure['connected'])}")
    return shown


def _who(failure: dict[str, Any]) -> str:
    who = str(failure["address"])
    if failure["claimed"]:
        return f"{failure['claimed']} at {who}"
    likely = f" ({failure['device']} has come from there)" if failure["device"] else ""
    return f"{who}{likely}" + (f" for {failure['server_name']}" if failure["server_name"] else "")


def _seen(failure: dict[str, Any]) -> str:
    evidence = failure["evidence"]
    if "sent_by" in evidence:
        return f": the {evidence['sent_by']} said {failure['symptom']}"
    return f": {evidence['why']}" if evidence.get("why") else ""


def _asked(home: Home) -> dict[str, Any]:
    """What the hub knows; where none runs, what it knew when it last wrote it down."""
    from leafward.cli import hub_client

    try:
        return hub_client.ask(home, "GET", PATH, what="the failures cannot be shown").json()
    except PeerUnavailable as unavailable:
        from leafward.hub.failures_file import read_failures
        from leafward.hub.failures_service import report
        from leafward.hub.security import FAILURES_FILE

        try:
            known = report(*read_failures(home.hub / FAILURES_FILE))
        except NotFound:
            raise unavailable from None
        voice.warn("no hub is running: this is what it knew when it stopped")
        return known


def _clear(home: Home, count: int, *, yes: bool, as_json: bool) -> None:
    from leafward.cli import hub_client

    if not yes:
        voice.agree(f"Forget {_kinds(count)}?")
    cleared = hub_client.ask(home, "DELETE", PATH, what="the failures were not cleared").json()
    if as_json:
        voice.say_json(cleared)
    else:
        voice.say(f"cleared {cleared['cleared']}")


def _kinds(count: int) -> str:
    return "1 kind of failure" if count == 1 else f"{count} kinds of failure"


def _when(text: str) -> str:
    return text[:19]
