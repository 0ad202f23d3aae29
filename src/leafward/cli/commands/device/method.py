"""`leafward device method`: a question to a device or module that is connected, and its answer."""

import json
from typing import TYPE_CHECKING

import click

from leafward.cli import voice
from leafward.cli.device_options import device_argument
from leafward.cli.options import checked_by, home_option, json_option
from leafward.errors import InputError, UsageError
from leafward.store.home import Home

if TYPE_CHECKING:
    from leafward.wire.methods import MethodCall


@click.command("method")
@device_argument
@click.argument("name")
@click.option("--module", metavar="M", callback=checked_by("parse_module_id"), help="A module of the device.")
@click.option("--payload", metavar="JSON", default="null", help="What the method is given; a text stands in quotes.")
@click.option(
    "--timeout",
    type=click.IntRange(5, 300),
    default=30,
    show_default=True,
    metavar="S",
    help="Seconds to wait for the answer.",
)
@click.option(
    "--connect-timeout",
    type=click.IntRange(0, 300),
    default=0,
    show_default=True,
    metavar="S",
    help="Seconds to wait for a device that is not connected.",
)
@home_option
@json_option
def command(
    *,
    device_id: str,
    name: str,
    module: str | None,
    payload: str,
    timeout: int,
    connect_timeout: int,
    home: Home,
    as_json: bool,
) -> None:
    """Calls the direct method NAME of a device, or of one of its modules, and shows the answer.

    The status is the method's own: below 400 the exit code is 0, else 1.

    \b
    Examples:
      leafward device method pump-7 restart
      leafward device method pump-7 set-speed --payload '{"rpm": 900}' --timeout 60
      leafward device method edge-device reset --module filter
    """
    from leafward.cli import hub_client

    result = hub_client.invoke(home, device_id, module, _call(name, payload, timeout, connect_timeout))
    value = json.loads(result.payload)
    if as_json:
        voice.say_json({"status": result.status, "payload": value})
    else:
        voice.say(f"{result.status}  {json.dumps(value)}")
    if result.status >= 400:
        raise click.exceptions.Exit(1)


def _call(name: str, payload: str, timeout: int, connect_timeout: int) -> "MethodCall":
    from leafward.wire.methods import MethodCall, check_name, check_payload

    try:
        return MethodCall(check_name(name), check_payload(payload.encode()), timeout, connect_timeout)
    except InputError as error:
        hint = error.hint or "--payload takes JSON, such as '{\"rpm\": 900}' or '\"a text\"'"
        raise UsageError(error.what, why=error.why, hint=hint) from error
