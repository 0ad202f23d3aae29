"""`leafward hub upstream`: how it stands with what is above this gateway, and with what it refused."""

from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("upstream")
@click.option("--refused", is_flag=True, help="The messages that upstream did not take, which were set aside.")
@click.option("--retry", is_flag=True, help="Sends them once more.")
@home_option
@json_option
def command(refused: bool, retry: bool, home: Home, as_json: bool) -> None:
    """Whether the hub is connected upstream, what waits and since when, how fast it goes, and what was last wrong."""
    from leafward.cli import hub_client
    from leafward.cli.commands.messages import printable

    if retry:
        moved = hub_client.ask(home, "POST", "/hub/upstream/retry", what="nothing was sent once more").json()
        _say(moved, [f"{_messages_wait(moved['messages'])} once more"], as_json)
    elif refused:
        found = hub_client.ask(
            home, "GET", "/hub/upstream/refused", what="the hub does not say what was refused"
        ).json()
        _say(found, [_refused(message, printable) for message in found["messages"]], as_json)
    else:
        facts = hub_client.ask(home, "GET", "/hub/upstream", what="the hub does not say how it stands").json()
        _say(facts, lines(facts), as_json)


def lines(facts: dict[str, Any]) -> list[str]:
    """The status as a person reads it. Times are in UTC."""
    shown = [_connection(facts)]
    if facts.get("last_error"):
        shown.append(f"last error, {facts['last_error_at'] or '?'}: {facts['last_error']}")
    oldest = f", the oldest since {facts['oldest']}" if facts["oldest"] else ""
    shown.append(f"{_messages_wait(facts['waiting'])}{oldest}")
    shown += [
        f"  priority {queue['priority']}: {queue['waiting']}, the oldest since {queue['oldest']}"
        for queue in facts["queues"]
        if queue["priority"] is not None
    ]
    if facts["configured"]:
        shown.append(
            f"{facts['in_flight']} in flight, {facts['forwarded']} forwarded, {facts['rate']:g} a second of late"
        )
    if facts["refused"]:
        shown.append(f"{facts['refused']} were refused and are set aside: leafward hub upstream --refused")
    store = facts["store"]
    used, most = store["bytes"] / 1e6, store["most_bytes"] / 1e6
    shown.append(f"the store has {store['messages']} messages in {used:.1f} of {most:.0f} MB")
    shown += [f"dropped, {why}: {count}" for why, count in sorted(store["dropped"].items())]
    return shown


def _messages_wait(count: int) -> str:
    return "1 message waits" if count == 1 else f"{count} messages wait"


def _connection(facts: dict[str, Any]) -> str:
    if not facts["configured"]:
        return "no upstream is set: messages stay here (hub.upstream in leafward.toml)"
    to = f" to {facts['to']}" if facts["to"] else ""
    if facts["connected"]:
        return f"connected{to} ({facts['kind']}) since {facts['since']}"
    soon = f", next attempt within {facts['next_attempt_in']:g} s" if facts["next_attempt_in"] is not None else ""
    return f"not connected{to} ({facts['kind']}){soon}"


def _refused(message: dict[str, Any], printable: Any) -> str:
    source = message["device_id"] + (f"/{message['module_id']}" if message["module_id"] else "")
    return str(printable(f"{message['id']}  {message['enqueued'][:19]}  {source}  {message['body']}"))


def _say(facts: dict[str, Any], text: list[str], as_json: bool) -> None:
    if as_json:
        voice.say_json(facts)
    else:
        for line in text:
            voice.say(line)
