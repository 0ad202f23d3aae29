"""`leafward hub status`: who is connected, and the counters."""

from typing import Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home


@click.command("status")
@home_option
@json_option
def command(home: Home, as_json: bool) -> None:
    """Every connected client: since when, by which protocol, from where; then the counters that are not 0."""
    from leafward.cli import hub_client

    facts = hub_client.status(home)
    if as_json:
        voice.say_json(facts)
        return
    for line in lines(facts):
        voice.say(line)


def lines(facts: dict[str, Any]) -> list[str]:
    """The status as a person reads it. Times are in UTC."""
    clients = facts["clients"]
    width = max((len(client["id"]) for client in clients), default=0)
    shown = [f"{len(clients)} connected, {facts['sessions_away']} sessions wait for their client"]
    shown += [f"  {client['id']:<{width}}  {_circumstances(client)}" for client in clients]
    for name, value in facts["counters"].items():
        if isinstance(value, dict):
            shown += [f"{name.replace('_', ' ')}: {reason}  {count}" for reason, count in sorted(value.items())]
        elif value:
            shown.append(f"{name.replace('_', ' ')}  {value}")
    return shown


def _circumstances(client: dict[str, Any]) -> str:
    since = (client["since"] or "?")[:19]
    transport = f" over {client['transport']}" if client["transport"] else ""
    return f"since {since}  {client['protocol']}{transport}  from {client['address']}"
