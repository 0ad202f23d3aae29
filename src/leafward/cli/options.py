"""The options that many commands share, spelled once."""

import importlib
import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from leafward.errors import InputError, UsageError

if TYPE_CHECKING:
    from leafward.store.home import Home

PORT = click.IntRange(0, 65535)
# A gateway is there for the devices around it: it listens on every address unless told otherwise.
ANYWHERE = "0.0.0.0"  # noqa: S104

Command = TypeVar("Command", bound=Callable[..., Any])


def home_option(command: Command) -> Command:
    """`--home DIR`, then LEAFWARD_HOME, then the user's default; the command gets a `Home`."""
    return click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        callback=_as_home,
        help="Where the state lives (default: LEAFWARD_HOME, else the user's data folder).",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`: facts for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def yes_option(command: Command) -> Command:
    """`--yes`: do not ask before something is destroyed."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def dry_run_option(command: Command) -> Command:
    """`--dry-run`: show what would be destroyed, and destroy nothing."""
    return click.option("--dry-run", is_flag=True, help="Show what would happen; change nothing.")(command)


def listen_options(command: Command) -> Command:
    """`--bind`, `--mqtt-port` and `--https-port`: where the hub listens."""
    for option in (
        click.option("--https-port", type=PORT, help="Default: 443 where that may be bound, else 8443; 0: any."),
        click.option("--mqtt-port", type=PORT, default=8883, show_default=True, help="MQTT over TLS; 0: any."),
        click.option(
            "--bind",
            metavar="ADDRESS",
            default=ANYWHERE,
            show_default=True,
            callback=_address,
            help="Address to listen on.",
        ),
    ):
        command = option(command)
    return command


def address_option(name: str, text: str) -> Callable[[Command], Command]:
    """An address to listen on, None where none is given."""
    return click.option(name, metavar="ADDRESS", callback=_given_address, help=text)


def https_ports(chosen: int | None) -> list[int]:
    """The HTTPS ports to try, in this order."""
    return [443, 8443] if chosen is None else [chosen]


def checked_by(parse: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that lets a value through as it is once `parse`, of `pki/names.py`, has taken it.

    What a person wrote on the command line is wrong use, exit code 2. Loaded late: `--help` needs no names.
    """

    def check(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
        if value is not None:
            names = importlib.import_module("leafward.pki.names")
            try:
                getattr(names, parse)(value)
            except InputError as error:
                raise UsageError(error.what, why=error.why, hint=error.hint) from error
        return value

    return check


def _address(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise UsageError(f"{value!r} is no address", hint=f"--bind takes one as {ANYWHERE} or ::1") from error
    return value


def _given_address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    return None if value is None else _address(context, parameter, value)


def _as_home(_context: click.Context, _parameter: click.Parameter, value: Path | None) -> "Home":
    from leafward.store.home import Home

    return Home(value.absolute()) if value is not None else Home.default()
