"""`leafward manager events`: what happened in a running manager, and what happens."""

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home
from leafward.wire.api_fields import moment
from leafward.wire.server_sent_events import Event


@click.command("events")
@click.option("--follow", is_flag=True, help="Go on with each new one.")
@home_option
@json_option
def command(home: Home, follow: bool, as_json: bool) -> None:
    """What happened since the manager's start, one a line: certificates, trust, modules, rotations, warnings."""
    from leafward.cli.management_client import watch_events

    watch_events(home, _json_line if as_json else _line, follow=follow)


def _json_line(event: Event) -> None:
    voice.say_json(event.fields())


def _line(event: Event) -> None:
    facts = " ".join(f"{name}={_short(value)}" for name, value in event.facts.items() if value is not None)
    voice.say(f"{moment(event.at)}  {event.kind:<13}  {facts}")


def _short(value: object) -> str:
    """Fingerprints in full are for JSON."""
    if isinstance(value, list):
        return ",".join(_short(one) for one in value)
    text = str(value)
    if len(text) == 64 and text.isalnum():
        return text[:16]
    return f'"{text}"' if " " in text else text
