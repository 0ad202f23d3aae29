"""`leafward device send`: messages to a device, which wait at the hub until the device takes them."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument
from leafward.cli.options import home_option, json_option, yes_option
from leafward.cli.service import system_clock
from leafward.errors import InputError, StoreError, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.wire.devicebound import DeviceMessage

_LIFE = re.compile(r"([1-9][0-9]{0,6})(s|min|h|d)")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
DONE = "completed"


def _pairs(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name or name in found:
            raise UsageError(f"{value!r} is no property", hint="--property NAME=VALUE, each name once")
        found[name] = text
    return found


@click.command("send")
@device_argument
@click.argument("text", required=False)
@click.option("--file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), help="The body; - for stdin.")
@click.option("--property", "properties", multiple=True, metavar="K=V", callback=_pairs, help="May be repeated.")
@click.option("--content-type", metavar="TYPE", help="Such as application/json.")
@click.option("--content-encoding", metavar="NAME", help="Such as utf-8.")
@click.option("--message-id", metavar="ID", help="Default: a random one.")
@click.option("--correlation-id", metavar="ID")
@click.option("--ack", type=click.Choice(("none", "positive", "negative", "full")), help="What the device is told.")
@click.option("--expires", metavar="WHEN", help="A time such as 2030-01-31T12:00:00Z, or from now: 90s, 10min, 2h, 1d.")
@click.option(
    "--wait", type=click.IntRange(1, 300), metavar="S", help="Wait so many seconds for the device to take it."
)
@click.option("--list", "listed", is_flag=True, help="Show what waits for the device, and send nothing.")
@click.option("--purge", is_flag=True, help="Take away what waits for the device, and send nothing.")
@click.option("--dry-run", is_flag=True, help="With --purge: show what would go; change nothing.")
@yes_option
@home_option
@json_option
def command(
    *,
    device_id: str,
    text: str | None,
    file: Path | None,
    properties: dict[str, str],
    wait: int | None,
    listed: bool,
    purge: bool,
    dry_run: bool,
    yes: bool,
    home: Home,
    as_json: bool,
    **system: str | None,
) -> None:
    """Sends a message to a device. It waits at the hub, an hour if nothing else is said, until the device takes it.

    With --wait the exit code is 0 when the device has taken it, else 1.

    \b
    Examples:
      leafward device send pump-7 'open the valve' --property priority=high --wait 30
      leafward device send pump-7 --file plan.json --content-type application/json --expires 2h
      leafward device send pump-7 --list
    """
    if listed or purge:
        if text is not None or file is not None or listed == purge:
            raise UsageError("--list and --purge send nothing", hint="give one of them, and no message")
        if listed or dry_run:
            _show_waiting(home, device_id, as_json=as_json)
        else:
            _purge(home, device_id, yes=yes, as_json=as_json)
        return
    message = _message(_body(text, file), properties, system)
    _send(home, device_id, message, wait=wait, as_json=as_json)


def _send(home: Home, device_id: str, message: "DeviceMessage", *, wait: int | None, as_json: bool) -> None:
    from leafward.cli import hub_client

    number, message_id = hub_client.send(home, device_id, message)
    state = None if wait is None else hub_client.state_of(home, device_id, number, wait=wait)
    if as_json:
        voice.say_json({"device_id": device_id, "id": number, "message_id": message_id, "state": state})
    else:
        voice.say(f"message {number} ({message_id}) waits for {device_id}" if state is None else f"{number}  {state}")
    if state not in (None, DONE):
        raise click.exceptions.Exit(1)


def _show_waiting(home: Home, device_id: str, *, as_json: bool) -> None:
    from leafward.cli import hub_client

    found = hub_client.waiting(home, device_id)
    if as_json:
        voice.say_json({"device_id": device_id, "messages": found})
        return
    for message in found:
        voice.say(_line(message))
    if not found:
        voice.hint(f"nothing waits for {device_id}")


def _purge(home: Home, device_id: str, *, yes: bool, as_json: bool) -> None:
    from leafward.cli import hub_client

    if not yes:
        voice.agree(f"Take away every message that waits for {device_id!r}?")
    count = hub_client.purge(home, device_id)
    if as_json:
        voice.say_json({"device_id": device_id, "purged": count})
    else:
        voice.say(f"taken away: {count}")


def _line(message: dict[str, Any]) -> str:
    body = message["body"] if isinstance(message["body"], str) else str(message["body"])
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in body[:200])
    until, tries = message["expires"][:19], message["attempts"]
    return f"{message['id']:>8}  {message['system'].get('messageId', '-')}  until {until}  tried {tries}  {shown}"


def _body(text: str | None, file: Path | None) -> bytes:
    if (text is None) == (file is None):
        raise UsageError("a message needs one body", hint="leafward device send ID TEXT, or --file FILE")
    if text is not None:
        return text.encode("utf-8", "surrogateescape")
    assert file is not None
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {file}", why=error.strerror) from error


def _message(body: bytes, properties: dict[str, str], given: dict[str, str | None]) -> "DeviceMessage":
    from leafward.wire.devicebound import MAX_MESSAGE, DeviceMessage, written

    if len(body) > MAX_MESSAGE:
        raise UsageError("the message is too large", why=f"got {len(body)} bytes, at most {MAX_MESSAGE} are taken")
    system = {
        "messageId": given["message_id"],
        "correlationId": given["correlation_id"],
        "contentType": given["content_type"],
        "contentEncoding": given["content_encoding"],
        "iothub-ack": given["ack"],
        "expiryTimeUtc": None if given["expires"] is None else written(_expiry(given["expires"], system_clock())),
    }
    told = {name: value for name, value in system.items() if value is not None}
    try:
        return DeviceMessage.checked(body, properties, told)
    except InputError as error:
        raise UsageError(error.what, why=error.why, hint=error.hint) from error


def _expiry(text: str, now: datetime) -> datetime:
    if (life := _LIFE.fullmatch(text)) is not None:
        return now + timedelta(seconds=int(life[1]) * _UNITS[life[2]])
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise UsageError(f"{text!r} is no time", hint="--expires 2030-01-31T12:00:00Z, or 90s, 10min, 2h, 1d from now")
    return time.astimezone(UTC)
