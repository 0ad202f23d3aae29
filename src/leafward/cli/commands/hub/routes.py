"""`leafward hub routes`: the routes that are set; whether one is understood; which of them take a message."""

import sys
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.options import home_option, json_option
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.wire.routes import Route

NO = 1


@click.group("routes", invoke_without_command=True)
@home_option
@json_option
@click.pass_context
def command(context: click.Context, home: Home, as_json: bool) -> None:
    """The routes of the settings file: where they lead, in which order, and for how long a message waits."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings(home)
    facts: list[Any] = [_facts(name, route, settings.hub.time_to_live_secs) for name, route in settings.routes.items()]
    if as_json:
        voice.say_json(facts)
        return
    for fact in facts:
        voice.say(f"{fact['name']}  {fact['route']}")
        waits = "for ever" if fact["time_to_live_secs"] is None else f"{fact['time_to_live_secs']} s at most"
        priority = "after all priorities" if fact["priority"] is None else f"priority {fact['priority']}"
        voice.say(f"    into {fact['endpoint']}, {priority}, waits {waits}")
    for name, route in settings.routes.items():
        _warn_of_silence(name, route)


@command.command("check")
@click.argument("route", required=False)
@home_option
@json_option
def check(route: str | None, home: Home, as_json: bool) -> int:
    """Says whether ROUTE is understood, and if not, where it stops making sense. Exit 1 if not.

    Without ROUTE, the routes of the settings file.
    """
    from leafward.wire.routes import Route, RouteError

    if route is None:
        return _check_file(home, as_json)
    try:
        found = Route.parse(route)
    except RouteError as error:
        if as_json:
            voice.say_json({"understood": False, "position": error.position + 1, "why": str(error.why)})
        else:
            voice.say(error.pointed())
            voice.say(str(error.why))
        return NO
    if as_json:
        voice.say_json({"understood": True, "endpoint": found.endpoint})
    else:
        voice.say(f"understood: it leads into {found.endpoint}")
    _warn_of_silence("it", found)
    return 0


@command.command("test")
@click.option("--message", required=True, metavar="JSON", help="A line of `leafward messages --json`; - reads it.")
@home_option
@json_option
def test(message: str, home: Home, as_json: bool) -> int:
    """Says which routes take a message. Exit 1 where none does, and it would be dropped.

    The message is an object with device_id, module_id, output, properties, system and body, each of which may be left
    out. `"event": "twinChangeNotifications"` makes one of the hub's own of it.
    """
    from leafward.wire.routed_message import LIMIT, RoutedMessage
    from leafward.wire.routes import Router

    data = sys.stdin.buffer.read(LIMIT + 1) if message == "-" else message.encode()
    sent = RoutedMessage.parse(data)
    settings = _settings(home)
    queues = Router(settings.routes.values(), settings.hub.time_to_live_secs).endpoints_for(sent)
    taken = {name: route.matches(sent) for name, route in settings.routes.items()}
    if as_json:
        shown = [{"queue": queue, "time_to_live_secs": seconds} for queue, seconds in queues.items()]
        voice.say_json({"routes": taken, "queues": shown})
    else:
        for name, takes in taken.items():
            voice.say(f"{'takes it' if takes else 'leaves it'}  {name}")
        for queue, seconds in queues.items():
            voice.say(f"it waits in {queue}" + ("" if seconds is None else f" for {seconds} s at most"))
        if not queues:
            voice.say("it is dropped: no route takes it")
    return 0 if queues else NO


def _settings(home: Home) -> Any:
    from leafward.hub.settings import read_settings

    return read_settings(home.settings)


def _warn_of_silence(name: str, route: "Route") -> None:
    """IoT Hub tells of more than a gateway's hub does; IoT Edge reads such routes as well."""
    if route.source.is_silent:
        voice.warn(f"{name} takes nothing: /{'/'.join(route.source.segments)} is told by IoT Hub in the cloud alone")


def _check_file(home: Home, as_json: bool) -> int:
    from leafward.errors import SettingsError

    try:
        routes = _settings(home).routes
    except SettingsError as error:
        faults = [fault for fault in error.faults if fault.key.startswith("hub.routes")]
        if not faults:
            raise
        if as_json:
            facts = [
                {"line": one.line, "name": one.key.removeprefix("hub.routes."), "why": one.message} for one in faults
            ]
            voice.say_json({"understood": False, "faults": facts})
        else:
            for one in faults:
                voice.say(str(one))
        return NO
    if as_json:
        voice.say_json({"understood": True, "routes": list(routes)})
    else:
        voice.say(f"{len(routes)} route{'s' * (len(routes) != 1)}, all understood")
    return 0


def _facts(name: str, route: "Route", default: int) -> dict[str, object]:
    seconds = default if route.time_to_live is None else route.time_to_live
    return {
        "name": name,
        "route": route.text,
        "endpoint": route.endpoint,
        "priority": route.priority,
        "time_to_live_secs": None if seconds < 0 else seconds,
    }
